"""Rows of counts, such as those of genes in cells, as logarithms of shares of their totals."""

import numpy as np
from scipy.sparse import csr_matrix, diags, issparse

from ..support.rows import check_weights
from .dense_rows import DenseRows

# Counts of fewer kinds of things are columns like others.
LEAST_KINDS = 50
# At least the first share of the columns goes beyond one, and no more than the second reaches the
# largest number of all: what does, as brightness, is measured on a scale that ends there.
BEYOND_ONE, AT_THE_END = 0.5, 0.02
# The largest number of most columns is so many times their mean: codes of categories are not rare.
RARE = 4.0


class CountRows(DenseRows):
    """Logarithms of counts after every row has been given the same total.

    How much was counted in a row says how long one looked, not what was seen. One is added before
    the logarithm, so that none stays none.
    """

    def fit(self, X, sample_weight=None):
        """Find the total that is usual.

        Parameters
        ----------
        X : ndarray of shape (n, p)
        sample_weight : array-like of shape (n,), default=None

        Returns
        -------
        self
        """
        self.total_ = usual_total(X, check_weights(sample_weight, range(len(X))))
        return self

    def transform(self, X):
        """Logarithms, (n, p) float64."""
        return log_shares(X.toarray() if issparse(X) else X, self.total_)

    def feature_squares(self, steps):
        return np.square(steps)


def are_counts(X):
    """Whether all columns count things that are rare in most rows.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n, p)

    Returns
    -------
    bool
    """
    values = X.data if issparse(X) else X.ravel()
    if X.shape[1] <= LEAST_KINDS or values.size == 0 or values.min() < 0.0:
        return False
    if not np.array_equal(values, np.floor(values)):
        return False
    largest, mean = (np.asarray(part).ravel() for part in (_largest(X), X.mean(0)))
    seen = largest > 0.0
    largest, mean = largest[seen], mean[seen]
    alike = (
        len(largest) > LEAST_KINDS
        and (largest > 1.0).mean() >= BEYOND_ONE
        and (largest == largest.max()).mean() <= AT_THE_END
        and np.median(largest / mean) >= RARE
    )
    if not alike:
        return False
    # All entries are sorted for that: images do not come so far.
    numbers, times = np.unique(values[values > 0.0], return_counts=True)
    return bool(numbers[times.argmax()] == 1.0)


def usual_total(X, weights):
    """The geometric mean of the totals of rows, float."""
    totals = np.asarray(X.sum(1), dtype=np.float64).ravel()
    seen = (totals > 0.0) & (weights > 0.0)
    return float(np.exp(np.average(np.log(totals[seen]), weights=weights[seen])))


def log_shares(X, total):
    """log(1 + x) of rows that have been given one total; rows of zeros stay what they are.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n, p)
    total : float

    Returns
    -------
    ndarray or CSR matrix of shape (n, p)
        float64
    """
    totals = np.asarray(X.sum(1), dtype=np.float64).ravel()
    factors = np.divide(total, totals, out=np.zeros(len(totals)), where=totals > 0.0)
    if issparse(X):
        return csr_matrix(diags(factors) @ X).log1p()
    return np.log1p(X * factors[:, None])


def _largest(X):
    return X.max(0).toarray() if issparse(X) else X.max(0)
