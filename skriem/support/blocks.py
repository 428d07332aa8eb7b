"""Dask arrays in, Dask arrays out, a block of rows at a time."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

import numpy as np

Method = TypeVar("Method", bound=Callable[..., Any])


def by_blocks(method: Method) -> Method:
    """Let a method that maps rows to rows take Dask arrays.

    The result is a Dask array with the same blocks of rows, empty ones and those of unknown
    length included; nothing is computed but a row of zeros, to see what comes out. Anything else
    goes straight to the method, and so do all rows together where an estimator's property
    `_rows_together` says that what one gets depends on the others.
    """

    @wraps(method)
    def wrapped(self, X, *args, **kwargs):
        if not (hasattr(X, "map_blocks") and hasattr(X, "rechunk")):
            return method(self, X, *args, **kwargs)
        if getattr(self, "_rows_together", False):
            X = X.copy()
            X = (X.compute_chunk_sizes() if np.isnan(X.shape[0]) else X).rechunk({0: -1, 1: -1})
            found = np.asarray(method(self, X.compute(), *args, **kwargs))
            shape = {"drop_axis": 1} if found.ndim == 1 else {}
            shape = shape or {"chunks": (X.chunks[0], (found.shape[1],))}
            return X.map_blocks(lambda _: found, dtype=found.dtype, meta=found[:0], **shape)

        # Zeros are of the kind that every likelihood is for.
        example = np.asarray(method(self, np.zeros((1, X.shape[1]), X.dtype), *args, **kwargs))

        def of_block(block):
            return np.asarray(method(self, block, *args, **kwargs)) if len(block) else example[:0]

        if X.numblocks[1] > 1:
            X = X.rechunk({1: -1})
        if example.ndim == 1:
            return X.map_blocks(of_block, dtype=example.dtype, drop_axis=1, meta=example[:0])
        columns = (example.shape[1],)
        return X.map_blocks(
            of_block, dtype=example.dtype, chunks=(X.chunks[0], columns), meta=example[:0]
        )

    return cast(Method, wrapped)
