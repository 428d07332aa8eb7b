"""Rows, weights and numbers as users give them: checks, and merging rows that are the same."""

import math
import numbers
from contextlib import contextmanager

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import check_scalar
from sklearn.utils.validation import validate_data

from ..geometry.containers import LARGEST


def validated(estimator, X, *y, **options):
    """Data as a float64 or float32 array, as scikit-learn checks them, and of usable size.

    With labels `y`, both.
    """
    found = validate_data(estimator, X, *y, dtype=[np.float64, np.float32], **options)
    check_size(found[0] if y else found)
    return found


@contextmanager
def names_refused(instead):
    """Let the error about names in data that must be numbers say what takes them."""
    try:
        yield
    except ValueError as error:
        if "could not convert" not in str(error):
            raise
        raise ValueError(f"{error}. X must be numbers; {instead} takes names as well.") from error


def check_size(values):
    """Raise ValueError for an array of numbers too large to compute with."""
    values = values.data if issparse(values) else values
    if not values.size:
        return
    # Missing values are passed over.
    highest, lowest = (extreme.reduce(values, axis=None) for extreme in (np.fmax, np.fmin))
    if max(float(highest), -float(lowest)) > LARGEST:
        raise ValueError(f"X has numbers beyond {LARGEST:.0e}: pass it in a larger unit.")


def check_number(value, name, min_val, max_val=LARGEST, include_boundaries="both"):
    """Raise for a parameter that is no real number between bounds; NaN is not."""
    check_scalar(value, name, numbers.Real, min_val=min_val, max_val=max_val)
    closed = include_boundaries == "both" or min_val < value < max_val
    if not closed or not min_val <= value <= max_val or 0 < abs(value) < 1.0 / LARGEST:
        least = f"{'from' if include_boundaries == 'both' else 'above'} {min_val}"
        most = "" if max_val == LARGEST else f" and below {max_val}"
        raise ValueError(f"{name} must be a finite number {least}{most}, got {value!r}.")


def check_image_shape(image_shape, n_features=None):
    """Raise for what is no shape of images, or not that of rows with so many features.

    Returns
    -------
    (int, int, int)
        Channels, height and width, of grey images too.
    """
    shape = tuple(image_shape) if np.iterable(image_shape) else ()
    if len(shape) not in (2, 3) or not all(
        isinstance(side, numbers.Integral) and side > 0 for side in shape
    ):
        raise ValueError(
            "image_shape must be (height, width) or (channels, height, width), got "
            f"{image_shape!r}."
        )
    if n_features is not None and math.prod(shape) != n_features:
        raise ValueError(
            f"image_shape={image_shape!r} has {math.prod(shape)} pixels, but X has "
            f"{n_features} features."
        )
    return (1, *shape) if len(shape) == 2 else shape


def check_weights(sample_weight, X):
    """Sample weights as a float64 array, one per row of `X`."""
    if sample_weight is None:
        return np.ones(len(X))
    weights = np.array(sample_weight, dtype=np.float64)
    if weights.ndim == 0:
        weights = np.full(len(X), float(weights))
    if weights.shape != (len(X),):
        raise ValueError(
            f"sample_weight must have shape ({len(X)},), one weight per row, got {weights.shape}."
        )
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise ValueError("sample_weight must be finite and not negative.")
    if weights.max() > LARGEST:
        raise ValueError(f"sample_weight must not go beyond {LARGEST:.0e}.")
    if not weights.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return weights


def distinct_rows(X, weights):
    """The distinct rows of `X` that have weight, in lexicographic order, and their weights.

    What is fitted to the result does not depend on the order of the rows, and cannot tell a
    row of weight two from a row that comes twice.

    Returns
    -------
    X : ndarray of shape (n_distinct, n_features)
    weights : ndarray of shape (n_distinct,)
    """
    return distinct_rows_and_places(X, weights)[:2]


def distinct_rows_and_places(X, weights):
    """:func:`distinct_rows`, and the place among them of every row of `X`, -1 without weight.

    Returns
    -------
    X : ndarray of shape (n_distinct, n_features)
    weights : ndarray of shape (n_distinct,)
    places : ndarray of shape (n_samples,) int
    """
    counted = np.flatnonzero(weights > 0)
    X, counts = X[counted], weights[counted]
    order = np.lexsort(X.T[::-1])
    X, counts = X[order], counts[order]
    # Missing values are equal to each other.
    differ = (X[1:] != X[:-1]) & ~(np.isnan(X[1:]) & np.isnan(X[:-1]))
    first = np.r_[True, differ.any(axis=1)]
    places = np.full(len(weights), -1)
    places[counted[order]] = np.cumsum(first) - 1
    return X[first], np.add.reduceat(counts, np.flatnonzero(first)), places


def first_of_each(places, n_distinct):
    """The first row of `X` at each place that :func:`distinct_rows_and_places` says."""
    first = np.empty(n_distinct, dtype=np.intp)
    last_to_first = np.flatnonzero(places >= 0)[::-1]
    first[places[last_to_first]] = last_to_first
    return first
