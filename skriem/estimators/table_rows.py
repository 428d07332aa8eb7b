"""Rows of tables with numbers, categories, dates and gaps as rows of numbers in one unit."""

from __future__ import annotations

from collections import Counter

import numpy as np
from sklearn.metrics.pairwise import nan_euclidean_distances

from ..geometry.callers import warn
from ..support.cells import MOST_LEVELS, NAME, NUMBER, Table, read_table
from ..support.rows import check_size, check_weights
from .dense_rows import DenseRows

# Levels that have an indicator of their own; the rarer ones share one.
MAX_LEVELS = 20
# Rows that are alike say what is missing; they are looked for among so many.
N_ALIKE, MAX_SEEN = 10, 5000
# Squares of distances that differ by less are the same.
SAME = 1e-9
# Rows whose distances are found at once.
CHUNK = 500


class TableRows(DenseRows):
    """Numbers in units of their standard deviation, and an indicator for every category.

    The indicators of a column have a variance of one together, as a column of numbers has. What is
    missing, or a category that was not there in the fit, is filled in with the mean of the ten
    rows that are most alike in what is known of both, and all that are as much alike as the tenth.
    Columns that are the same everywhere, and names that are different nearly everywhere, are left
    out.
    """

    def fit(self, X, sample_weight=None):
        """Learn units and categories.

        Parameters
        ----------
        X : data frame of shape (n, p), or Table
        sample_weight : array-like of shape (n,), default=None

        Returns
        -------
        self
        """
        table = X if isinstance(X, Table) else read_table(X)
        n = len(table.columns[0])
        weights = check_weights(sample_weight, range(n))
        if n < 2:
            raise ValueError(f"Found {n} sample(s), but a minimum of 2 is required.")
        self._kinds = table.kinds
        self._levels = [
            _levels(values, weights) if kind == NAME else None
            for values, kind in zip(table.columns, table.kinds)
        ]
        parts = [_numbers(*pair) for pair in zip(table.columns, self._levels)]
        self._feature = np.repeat(np.arange(len(parts)), [part.shape[1] for part in parts])
        values = np.concatenate(parts, axis=1)
        check_size(values)
        self._center, variance = _moments(values, weights)
        # Indicators of one column have one unit.
        variance = np.bincount(self._feature, variance, minlength=len(parts))
        self._kept = variance[self._feature] > 0.0
        self._unit = np.sqrt(np.where(self._kept, variance[self._feature], 1.0))
        self._say_what_is_left_out(table.names, variance)
        scaled, mass = self._scaled(values)[weights > 0], weights[weights > 0]
        # In the order of what they are: none of rows.
        order = np.lexsort(np.nan_to_num(scaled, nan=np.inf).T)[:: max(1, len(mass) // MAX_SEEN)]
        self._seen, self._mass = scaled[order], mass[order]
        return self

    def transform(self, X):
        if not isinstance(X, Table) and not hasattr(X, "columns"):
            raise TypeError(
                "The fit was to a data frame with columns that are no numbers, or with gaps: pass "
                f"a data frame with the same columns, not {type(X).__name__}."
            )
        table = X if isinstance(X, Table) else read_table(X, self._kinds)
        if not len(table.columns[0]):
            raise ValueError("Found array with 0 sample(s) while a minimum of 1 is required.")
        parts = [_numbers(*pair) for pair in zip(table.columns, self._levels)]
        values = np.concatenate(parts, axis=1)
        check_size(values)
        scaled = self._scaled(values)
        gaps = np.flatnonzero(np.isnan(scaled).any(1))
        for first in range(0, len(gaps), CHUNK):
            rows = gaps[first : first + CHUNK]
            scaled[rows] = _filled(scaled[rows], self._seen, self._mass)
        return scaled

    def feature_squares(self, steps):
        squares = np.zeros((len(steps), len(self._levels)))
        np.add.at(squares.T, self._feature[self._kept], np.square(steps).T)
        return squares

    def _scaled(self, values):
        return ((values - self._center) / self._unit)[:, self._kept]

    def _say_what_is_left_out(self, names, variance):
        if not (variance > 0.0).any():
            raise ValueError("Nothing in X tells groups apart: all columns are constant or names.")
        left = [name for name, levels in zip(names, self._levels) if levels == {}]
        if left:
            warn(
                f"Columns {left} are left out: their names are different nearly everywhere. Pass "
                "numbers as numbers."
            )


def mixed_table(X):
    """`X` as it was read if it is a data frame with names, dates or gaps, else None."""
    if not hasattr(X, "columns") or not hasattr(X, "dtypes"):
        return None
    table = read_table(X)
    pairs = zip(table.kinds, table.columns)
    mixed = any(kind != NUMBER or np.isnan(values).any() for kind, values in pairs)
    return table if mixed else None


def _levels(values, weights):
    """The indicator of every name in a column: none if names are different nearly everywhere."""
    counts: Counter[str] = Counter()
    for value, weight in zip(values, weights):
        if value is not None and weight > 0.0:
            counts[value] += weight
    if len(counts) > max(2.0, MOST_LEVELS * sum(counts.values())):
        return {}
    usual = sorted(counts, key=lambda level: (-counts[level], level))
    return {level: min(k, MAX_LEVELS) for k, level in enumerate(usual)}


def _numbers(values, levels):
    """A column as columns of numbers: itself, or indicators, NaN for what is not known."""
    if levels is None:
        return values[:, None]
    n_indicators = max(levels.values(), default=-1) + 1
    place = np.array([levels.get(value, -1) for value in values], dtype=np.intp)
    found = (place[:, None] == np.arange(n_indicators)).astype(np.float64)
    found[place < 0] = np.nan
    return found


def _moments(values, weights):
    """Means and variances of columns with gaps, zero where nothing is known."""
    mass = np.where(np.isnan(values), 0.0, weights[:, None])
    total = np.maximum(mass.sum(0), np.finfo(float).tiny)
    known = np.where(mass > 0.0, values, 0.0)
    center = (mass * known).sum(0) / total
    return center, (mass * np.square(known - center)).sum(0) / total


def _filled(rows, seen, mass):
    """Rows (m, q) with means of those among `seen` (n, q) that are most alike in place of NaN."""
    found, distances = rows.copy(), nan_euclidean_distances(rows, seen, squared=True)
    distances = np.nan_to_num(distances, nan=np.inf)
    order = np.argsort(distances, axis=1)
    for j in np.flatnonzero(np.isnan(rows).any(0)):
        at, known = np.flatnonzero(np.isnan(rows[:, j])), ~np.isnan(seen[:, j])
        weights = np.where(known, mass, 0.0)
        # Where nobody knows, the mean of all.
        found[at, j] = 0.0
        if not known.any():
            continue
        enough = np.cumsum(weights[order[at]], axis=1) >= min(N_ALIKE, weights.sum())
        last = np.take_along_axis(order[at], enough.argmax(1)[:, None], axis=1)
        # Rows that are as much alike as the last count as well, whatever their order.
        limit = np.take_along_axis(distances[at], last, axis=1)
        alike = np.where(distances[at] <= limit + SAME * (1.0 + limit), weights, 0.0)
        # Not by a matrix product: what that rounds depends on the other rows.
        found[at, j] = np.einsum("mn,n->m", alike, np.where(known, seen[:, j], 0.0)) / alike.sum(1)
    return found
