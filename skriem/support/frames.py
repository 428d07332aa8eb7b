"""Data frames that are made anew of numbers, with the types of the columns that a fit saw."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from .cells import are_flags, cells_of

# Libraries whose frames are made.
LIBRARIES = "pandas", "polars"
# The type of columns of objects that are true and false: what gaps make of booleans in pandas.
FLAGS = "flags"


class Layout:
    """Columns of a table: names and types of a frame, or only how many of an array.

    Parameters
    ----------
    library : str or None
        None for arrays.
    names : list
    dtypes : list of str
    levels : list
        Of categorical columns: all categories, and whether they are ordered. None for others.
    """

    def __init__(self, library, names, dtypes, levels):
        self.library, self.names = library, names
        self.dtypes, self.levels = dtypes, levels

    @classmethod
    def of(cls, X):
        """That of a frame, or of an array."""
        if not hasattr(X, "columns"):
            return cls(None, list(range(X.shape[1])), [X.dtype.kind] * X.shape[1], None)
        library = type(X).__module__.partition(".")[0]
        dtypes = [X[name].dtype for name in X.columns]
        flags = [
            str(X[name].dtype) == "object" and are_flags(cells_of(X[name])) for name in X.columns
        ]
        return cls(
            library if library in LIBRARIES else "pandas",
            list(X.columns),
            [FLAGS if own else str(dtype) for dtype, own in zip(dtypes, flags)],
            [_levels(dtype) for dtype in dtypes],
        )

    def filled(self, columns, n, like=None):
        """A table of columns.

        Parameters
        ----------
        columns : list of ndarray of shape (n,)
            Numbers, dates as seconds since 1970, and names; None for a column that is missing.
        n : int
        like : object
            Its index, if it has one of the right length, becomes that of the frame.
        """
        nothing = np.full(n, None, dtype=object)
        columns = [nothing if column is None else column for column in columns]
        if self.library is None:
            if "O" in self.dtypes or any(dtype in "US" for dtype in self.dtypes):
                return np.stack([column.astype(object) for column in columns], axis=1)
            return np.stack([column.astype(np.float64) for column in columns], axis=1)
        frames = importlib.import_module(self.library)
        if self.library == "polars":
            series = [_polars(frames, *parts) for parts in zip(self.names, columns, self.dtypes)]
            return frames.DataFrame(series)
        index = getattr(like, "index", None)
        index = index if hasattr(index, "isin") and len(index) == n else None
        series = [_pandas(frames, *p) for p in zip(columns, self.dtypes, self.levels)]
        found = frames.concat(series, axis=1) if series else frames.DataFrame()
        found.columns = frames.Index(self.names)
        return found if index is None else found.set_axis(index, axis=0)


def _levels(dtype):
    """Categories of a pandas type, and whether they are ordered."""
    if str(dtype) != "category":
        return None
    entries = [
        entry.item() if isinstance(entry, np.generic) else entry for entry in dtype.categories
    ]
    if not all(isinstance(entry, (str, int, float, bool)) for entry in entries):
        return None
    return entries, bool(dtype.ordered)


def _pandas(pandas, column, dtype, levels):
    """A series of a type."""
    if dtype == "category":
        if levels is None:
            return pandas.Series(column, dtype="category")
        return pandas.Series(column).astype(pandas.CategoricalDtype(*levels))
    if column.dtype.kind == "O":
        return pandas.Series(column, dtype=dtype)
    series = pandas.Series(column)
    if dtype == FLAGS:
        return (series >= 0.5).astype(object).mask(series.isna())
    if dtype.startswith(("datetime64", "timedelta64")):
        whole = pandas.Series(_instants(column, "M8[s]" if dtype[0] == "d" else "m8[s]"))
        if "," in dtype:
            whole = whole.dt.tz_localize("UTC")
        return whole.astype(dtype)
    if dtype in ("bool", "boolean"):
        flags = (series >= 0.5).astype("boolean").mask(series.isna())
        return flags.astype(dtype if dtype == "boolean" or not series.isna().any() else object)
    if dtype.lower().startswith(("int", "uint")):
        gaps = series.isna().any()
        series = series.round()
        return series.astype(dtype if not gaps or dtype[0].isupper() else "float64")
    if dtype.lower().startswith("float"):
        return series.astype(dtype)
    return series


def _instants(column, kind):
    found = np.nan_to_num(column).round().astype(np.int64).astype(kind)
    found[np.isnan(column)] = "NaT"
    return found


def _polars(polars, name, column, dtype):
    """A series of a type."""
    gaps = np.array([entry is None or entry != entry for entry in column], dtype=bool)
    if column.dtype.kind == "O":
        entries: list[Any] = [None if gap else entry for entry, gap in zip(column, gaps)]
        series = polars.Series(name, entries)
    elif dtype.startswith(("Datetime", "Date", "Duration")):
        kind = "m8" if dtype.startswith("Duration") else "M8"
        series = polars.Series(name, _instants(column, f"{kind}[s]").astype(f"{kind}[us]"))
    else:
        if dtype == "Boolean":
            column = column >= 0.5
        elif dtype.startswith(("Int", "UInt")):
            column = np.rint(column)
        series = polars.Series(name, [None if g else e for e, g in zip(column.tolist(), gaps)])
    wanted = getattr(polars, dtype.partition("(")[0], None)
    if wanted is None or "(" in dtype:
        return series
    return series.cast(wanted)
