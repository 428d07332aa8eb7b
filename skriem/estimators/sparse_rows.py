"""Rows of sparse matrices, such as texts, as dense rows with few columns."""

import numpy as np
from scipy.sparse import csr_matrix, diags
from sklearn.decomposition import TruncatedSVD
from sklearn.preprocessing import normalize

from ..support.rows import check_weights
from .count_rows import are_counts, log_shares, usual_total
from .dense_rows import DenseRows

# Components of matrices with more columns than that.
N_COMPONENTS = 100


class SparseRows(DenseRows):
    """Rows along the singular vectors of the matrix, as latent semantic analysis has them.

    Matrices of up to 100 columns are made dense as they are. Of those without negative numbers,
    which count or weigh, what matters is the direction of the rows: they are made as long as one.
    Counts of what is not merely there or not there are :class:`.CountRows` before.

    Parameters
    ----------
    random_state : int, RandomState instance or None, default=None
    """

    def __init__(self, random_state=None):
        self.random_state = random_state

    def fit(self, X, sample_weight=None):
        """Find the vectors.

        Parameters
        ----------
        X : sparse matrix of shape (n, p)
        sample_weight : array-like of shape (n,), default=None

        Returns
        -------
        self
        """
        given = check_weights(sample_weight, range(X.shape[0]))
        self.total_ = usual_total(X, given) if are_counts(X) else None
        self._are_directions = X.nnz == 0 or bool(X.data.min() >= 0.0)
        self.components_ = None
        if X.shape[1] > N_COMPONENTS:
            svd = TruncatedSVD(N_COMPONENTS, random_state=self.random_state)
            self.components_ = svd.fit(diags(np.sqrt(given)) @ self._normed(X)).components_
        return self

    def transform(self, X):
        """Dense rows, (n, at most 100), float64."""
        X = self._normed(csr_matrix(X, dtype=np.float64))
        if self.components_ is None:
            return X.toarray()
        found = X @ self.components_.T
        return normalize(found) if self._are_directions else found

    def feature_squares(self, steps):
        return np.square(steps if self.components_ is None else steps @ self.components_)

    def _normed(self, X):
        if self.total_ is not None:
            X = log_shares(X, self.total_)
        return normalize(X) if self._are_directions else X
