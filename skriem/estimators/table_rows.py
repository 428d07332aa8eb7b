"""Rows of tables with numbers, categories, dates and gaps as rows of numbers in one unit."""

import numbers

import numpy as np
from sklearn.impute import KNNImputer
from sklearn.preprocessing import StandardScaler

from ..support.rows import check_size, check_weights
from .dense_rows import DenseRows

# A column of names with more levels than this share of its entries tells rows apart, not groups.
MOST_LEVELS = 0.5
# Rows that are alike say what is missing; they are looked for among so many.
N_ALIKE, MAX_SEEN = 10, 5000


class TableRows(DenseRows):
    """Numbers in units of their standard deviation, and an indicator for every category.

    The indicators of a column have a variance of one together, as a column of numbers has. What is
    missing, or a category that was not there in the fit, is filled in with the mean of the ten
    rows that are most alike in what is known of both. Columns that are the same everywhere, and
    names that are different nearly everywhere, are left out.
    """

    def fit(self, X, sample_weight=None):
        """Learn units and categories.

        Parameters
        ----------
        X : data frame of shape (n, p)
        sample_weight : array-like of shape (n,), default=None

        Returns
        -------
        self
        """
        weights = check_weights(sample_weight, range(len(X)))
        columns = _columns(X)
        if len(X) < 2:
            raise ValueError(f"Found {len(X)} sample(s), but a minimum of 2 is required.")
        self._kinds = [values.dtype.kind for values in columns]
        self._levels = [_levels(values[weights > 0]) for values in columns]
        parts = [_numbers(*pair) for pair in zip(columns, self._levels)]
        self._feature = np.repeat(np.arange(len(parts)), [part.shape[1] for part in parts])
        values = np.concatenate(parts, axis=1)
        known = ~np.isnan(values)
        check_size(values)
        scaler = StandardScaler().fit(values, sample_weight=weights)
        self._center = scaler.mean_
        # Indicators of one column have one unit.
        variance = np.bincount(self._feature, scaler.var_)[self._feature]
        self._kept = (variance > 0.0) & known[weights > 0].any(0)
        if not self._kept.any():
            raise ValueError("Nothing in X tells groups apart: all columns are constant or names.")
        self._unit = np.sqrt(np.where(variance > 0.0, variance, 1.0))
        scaled = self._scaled(values)
        self._imputer = None
        if np.isnan(scaled).any() or _has_levels(self._levels):
            seen = np.flatnonzero(weights > 0)[:: max(1, len(X) // MAX_SEEN)]
            self._imputer = KNNImputer(n_neighbors=N_ALIKE).fit(scaled[seen])
        return self

    def transform(self, X):
        columns = _columns(X)
        for k, (values, kind) in enumerate(zip(columns, self._kinds)):
            if (values.dtype.kind == "O") != (kind == "O"):
                raise ValueError(
                    f"Column {k} of X has {'names' if kind == 'f' else 'numbers'} now and had "
                    f"{'numbers' if kind == 'f' else 'names'} in fit."
                )
        values = np.concatenate([_numbers(*pair) for pair in zip(columns, self._levels)], axis=1)
        check_size(values)
        scaled = self._scaled(values)
        if self._imputer is not None and np.isnan(scaled).any():
            scaled = self._imputer.transform(scaled)
        return scaled

    def feature_squares(self, steps):
        squares = np.zeros((len(steps), len(self._levels)))
        np.add.at(squares.T, self._feature[self._kept], np.square(steps).T)
        return squares

    def _scaled(self, values):
        return ((values - self._center) / self._unit)[:, self._kept]


def is_mixed(X):
    """Whether `X` is a data frame with columns that are no numbers, or with gaps."""
    if not hasattr(X, "columns") or not hasattr(X, "dtypes"):
        return False
    return any(values.dtype.kind == "O" or np.isnan(values).any() for values in _columns(X))


def _columns(X):
    """Columns as floats with NaN for what is missing, or as objects with None for it."""
    return [_column(np.asarray(X[name])) for name in X.columns]


def _column(values):
    if values.ndim != 1:
        raise ValueError("Names of columns must be different.")
    if values.dtype.kind in "biuf":
        return values.astype(np.float64)
    if values.dtype.kind in "mM":
        numbers_ = values.astype("datetime64[s]" if values.dtype.kind == "M" else "m8[s]")
        return np.where(np.isnat(values), np.nan, numbers_.astype(np.int64).astype(np.float64))
    missing = np.array([_is_missing(value) for value in values], dtype=bool)
    known = values[~missing]
    if all(_is_number(value) for value in known) and len(known):
        found = np.full(len(values), np.nan)
        found[~missing] = known.astype(np.float64)
        return found
    found = np.full(len(values), None, dtype=object)
    found[~missing] = [str(value) for value in known]
    return found


def _is_missing(value):
    # The missing values of pandas are equal to nothing, nor different from it.
    return value is None or type(value).__name__ in ("NAType", "NaTType") or value != value


def _is_number(value):
    return isinstance(value, (numbers.Real, np.bool_))


def _levels(values):
    """Categories of a column of names, none of those that are different nearly everywhere."""
    if values.dtype.kind != "O":
        return None
    known = [value for value in values if value is not None]
    levels = np.unique(known) if known else np.empty(0, dtype=str)
    return levels if len(levels) <= max(2.0, MOST_LEVELS * len(known)) else levels[:0]


def _has_levels(levels):
    return any(names is not None for names in levels)


def _numbers(values, levels):
    """A column as columns of numbers: itself, or indicators, NaN for what is not known."""
    if levels is None:
        return values[:, None]
    found = (values[:, None] == levels).astype(np.float64)
    found[~found.any(1)] = np.nan
    return found
