"""Geodesics by way of the cheapest space that will do.

Most of the work is done in a space that is cheap and nearly the same: a table of the metric
where the dimension allows one, otherwise a decoder in single precision, with a part of its outputs
where there are many. A table that is accurate enough has the last word; after any other, curves
are corrected in the exact space.
"""

import logging
from typing import NamedTuple

import numpy as np
import torch

from ..paths.graph import segment_lengths
from ..paths.grid import N_SHORT_CHORDS
from ..spaces.base import Space
from ..spaces.corrected import Corrected
from ..spaces.field import Field
from ..spaces.table import TabulatedTensor, tabulate
from .geodesics import solve_geodesics

# What takes seconds before a first geodesic is said here, at the level of information.
LOGGER = logging.getLogger(__name__)
# A table is made as fine as lengths to this relative error need.
TABLE_TOL = 5e-4
# It has the last word for tolerances of at least this many times its error.
TABLE_SHARE = 2.0
# A table this much off still says which way round to go.
TABLE_USABLE = 0.01
# What is only nearly the same, and has six digits, is not solved more accurately than this.
CHEAP_TOL = 1e-4
# Relative tolerance of the lengths that loops of many solves work with.
LOOP_TOL = 1e-2


class Tabulated(NamedTuple):
    """A metric's table as a space to solve in."""

    space: Field
    error: float
    low: np.ndarray
    high: np.ndarray

    def covers(self, points):
        """Whether each row of a tensor lies within the table, (n,) bool."""
        low, high = (torch.as_tensor(corner).to(points) for corner in (self.low, self.high))
        return ((points >= low) & (points <= high)).all(1)

    def is_enough(self, tol):
        """Whether lengths to a relative tolerance can be read from it."""
        return tol >= TABLE_SHARE * self.error


class Spaces(NamedTuple):
    """One geometry, exact and cheap."""

    exact: Space
    table: Tabulated | None
    cheaper: Space | None

    @property
    def cheapest(self):
        """The cheapest space, for a first look."""
        if self.table is not None:
            return self.table.space
        return self.exact if self.cheaper is None else self.cheaper

    def for_loops(self, *points):
        """The cheapest space that covers all `points` and is accurate to ``LOOP_TOL``."""
        table = self.table
        if table is None or not all(table.covers(part).all() for part in points):
            return self.exact
        return table.space if table.is_enough(LOOP_TOL) else self.exact

    def segment_lengths(self, a, b, n_chords=N_SHORT_CHORDS):
        """Lengths of segments, each in the cheapest space, (n,) array."""
        lengths = np.empty(len(a))
        for rows, space in self.split(a, b):
            lengths[rows.cpu().numpy()] = segment_lengths(space, a[rows], b[rows], n_chords)
        return lengths

    def split(self, *points):
        """The cheapest such space for each row: pairs of rows and space, one or two."""
        table, n = self.table, len(points[0])
        if table is None or not table.is_enough(LOOP_TOL):
            return [(torch.arange(n, device=points[0].device), self.exact)]
        covered = torch.stack([table.covers(part) for part in points]).all(0)
        parts = [(covered, table.space), (~covered, self.exact)]
        return [(torch.nonzero(part).squeeze(1), space) for part, space in parts if part.any()]


def tabulated(space, points):
    """The table of a space around points, or None where there cannot be one."""
    LOGGER.info("Tabulating the metric around %d points.", len(points))
    table, error = tabulate(space, points, TABLE_TOL)
    if table is None or error > TABLE_USABLE:
        return None
    return Tabulated(Field(TabulatedTensor(table)), error, table.low, table.high)


def find_geodesics(spaces, routes, a, b, tol, max_iter):
    """Geodesics between the rows of two tensors.

    Parameters
    ----------
    spaces : Spaces
    routes : Routes
    a, b : Tensor of shape (n, d)
    tol : float
        Relative tolerance of the length.
    max_iter : int
        Newton iterations at each level of the resolution.

    Returns
    -------
    Geodesics
    """
    # One order for every pair, whichever way round it was asked: distances are symmetric to the
    # last bit.
    flipped = _comes_first(b, a)[:, None]
    first, second = torch.where(flipped, b, a), torch.where(flipped, a, b)
    found = _find(spaces, routes, first, second, tol, max_iter)
    total = found.arc_length[:, -1:]
    return found._replace(
        points=torch.where(flipped[..., None], found.points.flip(1), found.points),
        arc_length=torch.where(flipped, total - found.arc_length.flip(1), found.arc_length),
    )


def _find(spaces, routes, a, b, tol, max_iter):
    exact, table = spaces.exact, spaces.table

    def search(space, rows, tol=tol):
        ends = a[rows], b[rows]
        starts = routes.starts(space, *ends)
        return solve_geodesics(space, *ends, starts, tol, max_iter, routes.resolution)

    everyone = torch.arange(len(a), device=a.device)
    cheap = spaces.cheapest
    if cheap is exact:
        return search(exact, everyone)
    found = search(cheap, everyone, tol if cheap is not spaces.cheaper else max(tol, CHEAP_TOL))
    # Curves that leave the table have no finite length in it.
    lost = ~found.length.isfinite()
    if table is None or not table.is_enough(tol):
        corrected, resolution = Corrected(exact, cheap), found.n_segments
        for n_segments in resolution.unique().tolist():
            rows = everyone[(resolution == n_segments) & ~lost]
            if len(rows):
                part = found.rows(rows)
                nodes = part.curve(torch.linspace(0.0, 1.0, n_segments + 1))
                nodes[:, 0], nodes[:, -1] = a[rows], b[rows]
                starts = [(torch.arange(len(rows), device=a.device), nodes)]
                better = solve_geodesics(
                    *(corrected, a[rows], b[rows], starts, tol, max_iter),
                    routes.resolution,
                    part.error,
                )
                found = found.replaced(rows, better._replace(gap=part.gap))
    lost |= ~found.length.isfinite()
    lost = everyone[lost]
    return found.replaced(lost, search(exact, lost)) if len(lost) else found


def _comes_first(a, b):
    """Whether each row of `a` is lexicographically before the row of `b`, (n,) bool."""
    first = torch.zeros(len(a), dtype=torch.bool, device=a.device)
    decided = torch.zeros_like(first)
    for k in range(a.shape[1]):
        first |= ~decided & (a[:, k] < b[:, k])
        decided |= a[:, k] != b[:, k]
    return first
