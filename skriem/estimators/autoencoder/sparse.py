"""Autoencoders of sparse matrices: rows are made dense a few at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_matrix, issparse

from ...nn.likelihoods.base import Likelihood
from ...support.parts import BUDGET, dense_parts, some_rows
from ...support.rows import distinct_rows
from .missing import known, without_empty_rows
from .parts import common_unit
from .sequences import in_sequences


class DenseBatches:
    """Rows of a sparse matrix as a training sees them: any some of them are a dense tensor.

    Parameters
    ----------
    X : csr_matrix of shape (n, p)
    made_of : callable
        What is made of dense rows, (b, p) to (b, m).
    device : torch.device
    """

    dtype = torch.float32

    def __init__(self, X, made_of, device):
        self._X, self._made_of, self.device = X, made_of, device

    def __len__(self):
        return self._X.shape[0]

    def __getitem__(self, rows):
        dense = self._X[rows.cpu().numpy()].toarray()
        return torch.as_tensor(self._made_of(dense), dtype=self.dtype, device=self.device)


class _Sparse:
    """Fits to sparse matrices that are not made dense; see :class:`skriem.VAETransformer`."""

    _likelihood: Likelihood
    _asked_likelihood: Callable[..., Any]

    def _check(self, X):
        """Raise for data that are not of the kind that the likelihood is for."""
        for part in dense_parts(X):
            self._likelihood.check(known(part))

    def _check_sparse(self: Any) -> None:
        """Raise for parameters that need all rows at once."""
        for name in ("early_stopping", "neighbors"):
            if getattr(self, name):
                raise ValueError(
                    f"{name} does not go together with sparse matrices of this size: pass an "
                    f"array, or fewer features or rows (n_samples * n_features <= {BUDGET})."
                )
        if in_sequences(self):
            raise ValueError("Sequences are not sparse matrices of this size: pass an array.")

    def _init_sparse(self: Any, X: Any, weights: Any, rng: Any) -> None:
        """Scales and networks, as for dense rows; networks start from some of these."""
        if self.likelihood == "categorical":
            raise TypeError(
                "likelihood='categorical' does not take sparse matrices of this size: zero is a "
                "category like others. Pass an array."
            )
        self._likelihood = self._asked_likelihood()
        self._check(X)
        self._sees_missing = False
        self._n_columns = X.shape[1]
        # Zero is seen as zero under every likelihood.
        seen = csr_matrix(X, copy=True, dtype=np.float64)
        seen.data = self._likelihood.inputs(seen.data)
        shares = weights / weights.sum()
        self._center, squares = shares @ seen, shares @ seen.multiply(seen).tocsr()
        variance = np.maximum(squares - self._center**2, 0.0)
        # What rounding alone makes of a constant column is not variance.
        varying = variance > 8.0 * np.finfo(float).eps * squares
        self._scale = common_unit(variance, varying)
        mean = shares @ csr_matrix(X, dtype=np.float64)
        some = some_rows(X, rng)
        self._settle_init(X[some].toarray(), mean[None], int(varying.sum()), weights[some], rng)


def distinct(X, weights):
    """The distinct rows of an array or a sparse matrix in an order of their own; see
    :func:`.support.rows.distinct_rows`.
    """
    if not issparse(X):
        return distinct_rows(X, without_empty_rows(X, weights))
    X = csr_matrix(X)[weights > 0.0]
    X.sum_duplicates()
    X.eliminate_zeros()
    weights, ends = weights[weights > 0.0], X.indptr
    rows: dict[bytes, list[int]] = {}
    for k, (a, b) in enumerate(zip(ends[:-1], ends[1:])):
        rows.setdefault(X.indices[a:b].tobytes() + X.data[a:b].tobytes(), []).append(k)
    places = [rows[key] for key in sorted(rows)]
    mass = np.array([weights[equal].sum() for equal in places])
    return X[[equal[0] for equal in places]], mass
