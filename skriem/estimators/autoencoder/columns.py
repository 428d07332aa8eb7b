"""Tables whose columns have likelihoods of their own: what they are, as numbers, and back again."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np

from ...geometry.callers import warn
from ...support.cells import DATE, MOST_LEVELS, NAME, are_flags, cells_of, column_of, kind_of
from ...support.frames import Layout

# Whole numbers from zero are counts if so many are different, and such a share is zero.
LEAST_DIFFERENT, LEAST_ZEROS = 5, 0.1
AUTO = "auto"


def check_likelihoods(likelihood, allowed):
    """Raise for likelihoods of columns that do not exist."""
    for name, own in likelihood.items():
        if own != AUTO and own not in allowed:
            raise ValueError(
                f"likelihood of column {name!r} must be 'auto' or one of {sorted(allowed)}, got "
                f"{own!r}."
            )


class Columns:
    """What the columns of a table are.

    Parameters
    ----------
    likelihood : "auto" or dict of str or int to str
        What is asked for; columns that are not named are "auto".

    Attributes
    ----------
    kept : ndarray of shape (n_kept,), int
        Places of the columns that are looked at.
    names : list of str
        Name of the likelihood of each of these.
    """

    def __init__(self, likelihood):
        self._asked = {} if isinstance(likelihood, str) else dict(likelihood)

    def fit(self, X, weights):
        """Decide on likelihoods, and learn the levels of names.

        Parameters
        ----------
        X : data frame or ndarray of shape (n, p)
        weights : ndarray of shape (n,)
        """
        titles, series = _columns_of(X)
        self._layout = Layout.of(X)
        self._kinds, self._levels, names, left = [], [], [], []
        asked = self._by_place(titles)
        for place, (title, column) in enumerate(zip(titles, series)):
            cells = cells_of(column)
            kind = kind_of(cells, column)
            values = column_of(cells, kind, title)
            name = asked.get(place, AUTO)
            if name == AUTO:
                name = usual_likelihood(values[weights > 0.0], kind, are_flags(cells))
            levels = None
            if kind == NAME or name == "categorical":
                levels = _levels(values[weights > 0.0], cells[weights > 0.0])
                _check_levels(name, levels, title)
            if name is None:
                left.append(title)
            self._kinds.append(kind)
            self._levels.append(levels)
            names.append(name)
        self.kept = np.flatnonzero([name is not None for name in names])
        self.names = [names[place] for place in self.kept]
        if left:
            warn(
                f"Columns {left} are left out: their names are different nearly everywhere. Pass "
                "numbers as numbers, or ask for likelihood={column: 'categorical'}."
            )
        if not self.names:
            raise ValueError("Nothing in X tells rows from each other: all columns are left out.")
        return self

    def _by_place(self, titles):
        """Likelihoods that are asked for by the places of their columns."""
        found = {}
        for key, name in self._asked.items():
            if key in titles:
                found[titles.index(key)] = name
            elif isinstance(key, numbers.Integral) and 0 <= key < len(titles):
                found[int(key)] = name
            else:
                raise ValueError(
                    f"likelihood names a column {key!r} that X does not have. Its columns are "
                    f"{titles}."
                )
        return found

    def values(self, X, quiet=False):
        """The columns that are kept as numbers, (n, n_kept) float64, NaN for what is not known.

        Unless `quiet`, with a warning if that is so of categories.
        """
        titles, series = _columns_of(X)
        found, unseen = [], []
        for place in self.kept:
            title, kind, levels = titles[place], self._kinds[place], self._levels[place]
            column = column_of(cells_of(series[place]), kind, title)
            if levels is not None:
                known = ~_gaps(column)
                column = np.array([levels[0].get(key, np.nan) for key in column.tolist()])
                column = column.astype(np.float64)
                if np.isnan(column[known]).any():
                    unseen.append(title)
            found.append(column)
        if unseen and not quiet:
            warn(
                f"Columns {unseen} have categories that were not seen in fit: they are taken for "
                "missing."
            )
        return np.stack(found, axis=1)

    def restored(self, values, like=None, filled=False):
        """Numbers (n, n_kept) as a table of the kind that the fit was to.

        Parameters
        ----------
        values : ndarray of shape (n, n_kept)
        like : object
            Data whose index, if they have one, the table takes over.
        filled : bool
            Whether the numbers are those of `like`, which then has the columns that are left out.
        """
        columns: list[Any] = [None] * len(self._kinds)
        if filled:
            columns = [cells_of(column) for column in _columns_of(like)[1]]
        for place, column in zip(self.kept, values.T):
            levels = self._levels[place]
            if levels is not None:
                at = np.rint(column).astype(int).clip(0, len(levels[1]) - 1)
                column = np.array([levels[1][k] for k in at], dtype=object)
            columns[place] = column
        return self._layout.filled(columns, len(values), like)

    @property
    def levels(self):
        """Categories of each column that is kept by their numbers, list; None for numbers."""
        levels = [self._levels[place] for place in self.kept]
        return [None if of_column is None else of_column[1] for of_column in levels]

    @property
    def n_levels(self):
        """How many they are."""
        return [None if levels is None else len(levels) for levels in self.levels]

    @property
    def titles(self):
        """Names of the columns that are kept, or their places in an array."""
        return [self._layout.names[place] for place in self.kept]


def usual_likelihood(values, kind, flags):
    """Name of the likelihood that a column gets unless another is asked for.

    Parameters
    ----------
    values : ndarray of shape (n,)
        As :func:`.cells.column_of` makes them.
    kind : str
    flags : bool
        Whether they are true and false.

    Returns
    -------
    str or None
        None for a column of names that are different nearly everywhere.
    """
    known = values[~_gaps(values)]
    different = set(known.tolist())
    if kind == NAME:
        return None if len(different) > max(2.0, MOST_LEVELS * len(known)) else "categorical"
    if kind == DATE:
        return "gaussian"
    if flags or different == {0.0, 1.0}:
        return "bernoulli"
    whole = len(known) and known.min() == 0.0 and (np.floor(known) == known).all()
    if whole and len(different) >= LEAST_DIFFERENT and (known == 0.0).mean() >= LEAST_ZEROS:
        return "negative_binomial"
    return "gaussian"


def _check_levels(name, levels, title):
    """Raise for names that a likelihood is not for."""
    n = len(levels[1])
    if name not in ("categorical", "bernoulli", None) or (name == "bernoulli" and n > 2):
        raise ValueError(
            f"Column {title!r} is made of {n} different names, which likelihood={name!r} is not "
            "for. Use 'categorical'."
        )


def _columns_of(X):
    """Names and columns of a frame, places and columns of an array."""
    if hasattr(X, "columns"):
        titles = list(X.columns)
        return titles, [X[title] for title in titles]
    return list(range(X.shape[1])), list(X.T)


def _gaps(values):
    if values.dtype.kind == "O":
        return np.array([entry is None for entry in values], dtype=bool)
    return np.isnan(values)


def _levels(values, cells):
    """The number of every name, and what stood there, in the order of the names."""
    known = ~_gaps(values)
    first: dict[Any, Any] = {}
    for key, entry in zip(values[known].tolist(), cells[known]):
        first.setdefault(key, entry)
    keys = sorted(first)
    return {key: k for k, key in enumerate(keys)}, [_plain(first[key]) for key in keys]


def _plain(entry):
    """An entry as Python has it, where files can keep it."""
    entry = entry.item() if isinstance(entry, np.generic) else entry
    return entry if isinstance(entry, (str, int, float, bool)) else str(entry)
