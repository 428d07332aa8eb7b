"""Codes that remember the metric of the space they live in, and the one lookup for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ..geometry import Metric

_ATTRS_KEY = "skriem_metric"


class LatentArray(np.ndarray):
    """Codes, one row each, with the metric of their space in the attribute ``metric``.

    The metric survives what leaves whole rows intact: selecting rows, copying, changing the
    floating point type, pickling. Everything else (arithmetic, column selection, NumPy
    functions) returns plain arrays, because the result is no longer a set of codes.
    """

    # None in what NumPy makes on the way, and nowhere else.
    metric: Metric = None  # type: ignore[assignment]

    def __new__(cls, codes, metric):
        array = np.array(codes, subok=False).view(cls)
        array.metric = metric
        return array

    def _with_metric(self, result):
        if isinstance(result, LatentArray):
            result.metric = self.metric
        return result

    def __getitem__(self, key):
        result = super().__getitem__(key)
        if self.metric is not None and self.ndim == 2 and _selects_rows(key, result, self):
            return self._with_metric(result)
        return result.view(np.ndarray) if isinstance(result, LatentArray) else result

    def copy(self, order="C"):
        return self._with_metric(super().copy(order))

    def __copy__(self):
        return self.copy()

    def __deepcopy__(self, memo):
        return self.copy()

    def astype(self, dtype, *args, **kwargs):
        result = super().astype(dtype, *args, **kwargs)
        if np.issubdtype(result.dtype, np.floating):
            return self._with_metric(result)
        return np.asarray(result)

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
        if out is not None:
            kwargs["out"] = tuple(_plain(array) for array in out)
        return getattr(ufunc, method)(*(_plain(value) for value in inputs), **kwargs)

    def __array_function__(self, function, types, args, kwargs):
        result = super().__array_function__(function, types, args, kwargs)
        return _plain(result)

    def __reduce__(self):
        return LatentArray, (np.asarray(self), self.metric)

    def view(self, *args, **kwargs):
        # joblib hashes an array through its bytes alone. Codes that are equal in value but
        # live under different metrics must not share a cache entry, so the bytes that a hash
        # asks for include the metric's fingerprint.
        result = super().view(*args, **kwargs)
        if self.metric is not None and args == (np.uint8,):
            mark = np.frombuffer(self.metric.fingerprint.encode(), dtype=np.uint8)
            return np.concatenate([np.asarray(result).ravel(), mark])
        return result


def attach_metric(codes: Any, metric: Metric) -> Any:
    """Codes in their container (array or data frame), with the metric on it where it can be."""
    if isinstance(codes, np.ndarray):
        return LatentArray(codes, metric)
    if hasattr(codes, "attrs"):
        codes.attrs[_ATTRS_KEY] = metric
    return codes


def find_metric(X):
    """The metric that `X` carries, or None."""
    if isinstance(X, LatentArray):
        return X.metric
    attrs = getattr(X, "attrs", None)
    return attrs.get(_ATTRS_KEY) if isinstance(attrs, dict) else None


def _plain(value):
    return np.asarray(value) if isinstance(value, LatentArray) else value


def _selects_rows(key, result, array):
    _, *columns = key if isinstance(key, tuple) else (key,)
    whole = all(
        part is Ellipsis or (isinstance(part, slice) and part == slice(None)) for part in columns
    )
    return whole and getattr(result, "ndim", 0) == 2 and result.shape[1] == array.shape[1]
