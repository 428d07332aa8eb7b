"""Sparse matrices, of which some rows are dense at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, TypeVar, cast

import numpy as np
from scipy.sparse import csr_matrix, issparse

# Numbers that are dense at once.
BUDGET = 2**24
Method = TypeVar("Method", bound=Callable[..., Any])


def is_large(X):
    """Whether a sparse matrix is too large to be made dense as a whole."""
    return X.shape[0] * X.shape[1] > BUDGET


def n_dense(X):
    """How many rows of a matrix may be dense at once."""
    return max(1, BUDGET // max(1, X.shape[1]))


def some_rows(X, rng):
    """Places of as many rows as may be dense at once, (n_some,) int."""
    n, most = X.shape[0], max(2, n_dense(X))
    return np.arange(n) if n <= most else np.sort(rng.choice(n, most, replace=False))


def dense_parts(X: Any) -> Iterator[Any]:
    """The rows of a matrix, part by part, as arrays; an array is one part."""
    if not issparse(X):
        yield X
        return
    X, size = csr_matrix(X), n_dense(X)
    for first in range(0, max(1, X.shape[0]), size):
        yield X[first : first + size].toarray()


def by_dense_rows(method: Method) -> Method:
    """Let a method that maps rows to rows take sparse matrices, some rows at a time.

    All at once where an estimator's property `_rows_together` says that rows need each other.
    """

    @wraps(method)
    def wrapped(self, X, *args, **kwargs):
        if not issparse(X):
            return method(self, X, *args, **kwargs)
        X = csr_matrix(X)
        if not np.isfinite(X.data).all():
            raise ValueError("Sparse X contains NaN or infinity: pass an array if that is missing.")
        if getattr(self, "_rows_together", False):
            return method(self, X.toarray(), *args, **kwargs)
        return np.concatenate([method(self, part, *args, **kwargs) for part in dense_parts(X)])

    return cast(Method, wrapped)
