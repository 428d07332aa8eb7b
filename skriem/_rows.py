"""Weighted rows: checking the weights, and merging rows that are the same."""

import numpy as np


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
    first = np.r_[True, (X[1:] != X[:-1]).any(axis=1)]
    places = np.full(len(weights), -1)
    places[counted[order]] = np.cumsum(first) - 1
    return X[first], np.add.reduceat(counts, np.flatnonzero(first)), places


def first_of_each(places, n_distinct):
    """The first row of `X` at each place that :func:`distinct_rows_and_places` says."""
    first = np.empty(n_distinct, dtype=np.intp)
    last_to_first = np.flatnonzero(places >= 0)[::-1]
    first[places[last_to_first]] = last_to_first
    return first
