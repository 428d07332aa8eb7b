"""Columns of data frames as numbers or names, with what is missing told apart."""

from __future__ import annotations

import datetime
import numbers
from decimal import Decimal
from typing import NamedTuple

import numpy as np

# Kinds of columns. What is not known of one is NaN or None.
NUMBER, DATE, NAME = "number", "date", "name"
# A column of names with more levels than this share of its entries tells rows apart, not groups.
MOST_LEVELS = 0.5


class Table(NamedTuple):
    """A data frame, read once."""

    names: list  # of columns
    kinds: list  # of str
    columns: list  # of ndarray (n,): numbers, or names


def read_table(X, kinds=None):
    """The columns of a data frame, of the kinds that a fit found if there was one.

    Parameters
    ----------
    X : data frame of shape (n, p)
    kinds : list of str or None

    Returns
    -------
    Table
    """
    names = list(X.columns)
    cells = [cells_of(X[name]) for name in names]
    if kinds is None:
        kinds = [kind_of(*pair) for pair in zip(cells, (X[name] for name in names))]
    return Table(names, kinds, [column_of(*parts) for parts in zip(cells, kinds, names)])


def cells_of(series):
    """The entries of a column, (n,), whatever they are."""
    cells = np.asarray(series)
    if cells.ndim == 1:
        return cells
    if getattr(series, "ndim", 1) != 1:
        raise ValueError("Names of columns must be different.")
    cells = np.empty(len(series), dtype=object)
    cells[:] = [str(entry) for entry in series]
    return cells


def kind_of(cells, series):
    """What the entries of a column are."""
    if str(getattr(series, "dtype", "")) == "category":
        return NAME
    if cells.dtype.kind in "biuf":
        return NUMBER
    if cells.dtype.kind in "mM":
        return DATE
    known = [entry for entry in cells if not is_missing(entry)]
    if all(isinstance(entry, (numbers.Real, np.bool_, Decimal)) for entry in known):
        return NUMBER
    if all(isinstance(entry, datetime.date) or hasattr(entry, "to_timestamp") for entry in known):
        return DATE
    return NAME


def column_of(cells, kind, name):
    """A column as numbers with NaN, or as names with None, for what is missing."""
    if cells.dtype.kind in "biuf" and kind == NUMBER:
        return cells.astype(np.float64)
    if cells.dtype.kind in "mM" and kind == DATE:
        seconds = cells.astype("datetime64[s]" if cells.dtype.kind == "M" else "m8[s]")
        return np.where(np.isnat(cells), np.nan, seconds.astype(np.int64).astype(np.float64))
    missing = np.array([is_missing(entry) for entry in cells], dtype=bool)
    if kind == NAME:
        found = np.full(len(cells), None, dtype=object)
        found[~missing] = [str(entry) for entry in cells[~missing]]
        return found
    found = np.full(len(cells), np.nan)
    try:
        convert = number_of if kind == NUMBER else seconds_of
        found[~missing] = [convert(entry) for entry in cells[~missing]]
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"Column {name!r} of X was made of {kind}s in fit, and is not now: {error}."
        ) from error
    return found


def is_missing(entry):
    # The missing values of pandas are equal to nothing, nor different from it.
    if entry is None or type(entry).__name__ in ("NAType", "NaTType"):
        return True
    return bool(isinstance(entry, (float, np.floating, np.datetime64)) and entry != entry)


def number_of(entry):
    if isinstance(entry, (str, datetime.date)):
        raise TypeError(f"{entry!r} is no number")
    try:
        return float(entry)
    except OverflowError:
        return np.inf


def seconds_of(entry):
    """Since 1970, of dates and times with or without a zone, and of periods."""
    if hasattr(entry, "to_timestamp"):
        entry = entry.to_timestamp()
    if isinstance(entry, datetime.datetime):
        zone = datetime.timezone.utc if entry.tzinfo is None else entry.tzinfo
        return entry.replace(tzinfo=zone).timestamp()
    return 86400.0 * (entry - datetime.date(1970, 1, 1)).days


def are_flags(cells):
    """Whether the entries of a column are true and false."""
    if cells.dtype.kind != "O":
        return cells.dtype.kind == "b"
    known = [entry for entry in cells if not is_missing(entry)]
    return bool(known) and all(isinstance(entry, (bool, np.bool_)) for entry in known)
