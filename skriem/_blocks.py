"""Dask arrays in, Dask arrays out, a block of rows at a time."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

import numpy as np

Method = TypeVar("Method", bound=Callable[..., Any])


def by_blocks(method: Method) -> Method:
    """Let a method that maps rows to rows take Dask arrays.

    The result is a Dask array with the same blocks of rows; nothing is computed but one row, to
    see what comes out. Anything else goes straight to the method.
    """

    @wraps(method)
    def wrapped(self, X, *args, **kwargs):
        if not (hasattr(X, "map_blocks") and hasattr(X, "rechunk")):
            return method(self, X, *args, **kwargs)

        def of_block(block):
            return np.asarray(method(self, block, *args, **kwargs))

        X = X.rechunk({1: -1})
        example = of_block(np.asarray(X[:1]))
        if example.ndim == 1:
            return X.map_blocks(of_block, dtype=example.dtype, drop_axis=1, meta=example[:0])
        columns = (example.shape[1],)
        return X.map_blocks(
            of_block, dtype=example.dtype, chunks=(X.chunks[0], columns), meta=example[:0]
        )

    return cast(Method, wrapped)
