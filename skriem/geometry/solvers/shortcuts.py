"""Distances between many pairs at once, approximately.

A curve at hand, a path along a grid or through a graph or a straight line, is too long by some
per cent, and by about as many everywhere. Compared with the exact geodesics of a sample of
pairs, that much can be taken off.
"""

from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch

from ..chunks import MAX_GRID_DIMS
from ..paths.graph import N_CHORDS, attach, graph_distances, random_pairs, segment_lengths
from ..paths.grid import box_around, build_grid, grid_distances, tie
from .search import find_geodesics

# Pairs that are solved for to learn the correction, fewer where they take long, and how accurately.
N_SAMPLE, TOL, MAX_ITER = 200, 1e-3, 100
# Cells along the longest side of the grid, by dimension, and the room around the points, as a
# share of that side.
CELLS, MARGIN = {1: 1000, 2: 80, 3: 20}, 0.05
# Pairs at once, which bounds the memory.
CHUNK = 2**18


class Correction(NamedTuple):
    """log(distance / curve) is offset + slope * log(curve / chord), or offset without chords."""

    offset: float
    slope: float


class Ends:
    """Points that many distances are asked to, tied to the nodes around them."""

    def __init__(self, points, tied):
        self.points, self.tied = points, tied

    def __sizeof__(self):
        # See Shortcuts.
        return object.__sizeof__(self) + self.tied.distances.nbytes


class Shortcuts:
    """Approximate distances in one space; made once for a metric and the points it is used at.

    Parameters
    ----------
    spaces : Spaces
    routes : Routes
        Where curves start that are solved for.
    graph : Graph
        Where paths go in more than 3 dimensions.
    points : ndarray of shape (n, d)
    use_grid : bool
        Whether paths go along a grid in up to 3 dimensions.
    """

    def __init__(self, spaces, routes, graph, points, use_grid=True):
        self._spaces, self._routes = spaces, routes
        self._graph, self._points = graph, points
        self._use_grid = use_grid and points.shape[1] <= MAX_GRID_DIMS

    def __sizeof__(self):
        # Asked by schedulers that send large arguments to every worker once.
        return object.__sizeof__(self) + self._graph.distances.nbytes

    def distances(self, a, b):
        """Distances between all rows of two tensors, (n, m)."""
        return self.between(a, self.tie(b))

    def covers(self, z):
        """Whether each row of a tensor is where paths go, (n,) bool."""
        if self.grid is None:
            return torch.ones(len(z), dtype=torch.bool, device=z.device)
        low, high = (torch.as_tensor(f(self.grid.points, axis=0)).to(z) for f in (np.min, np.max))
        return ((z >= low) & (z <= high)).all(1)

    def tie(self, z):
        """Some rows with what many distances to them have in common."""
        if self.grid is not None:
            return Ends(z, tie(self._spaces.segment_lengths, self.grid, z))
        return Ends(z, attach(self._spaces.segment_lengths, self._graph, z))

    def between(self, a, ends):
        """Distances between all rows of a tensor and tied ones, (n, m)."""
        parts = [
            corrected(self._upper(part, ends), self._lower(part, ends.points), self.correction)
            for part in a.split(max(1, CHUNK // len(ends.points)))
        ]
        return torch.as_tensor(np.concatenate(parts)).to(a)

    @property
    def correction(self):
        return self._learned[0]

    @property
    def errors(self):
        """Relative errors of the distances between the pairs of the sample, (n,) array."""
        return self._learned[1]

    @cached_property
    def grid(self):
        """Grid over the box of the points, or None where paths go through the graph."""
        if not self._use_grid:
            return None
        space = self._spaces.for_loops(torch.tensor(self._points))
        return build_grid(space, *box_around(self._points, MARGIN), CELLS[self._points.shape[1]])

    @cached_property
    def _learned(self):
        """What to take off, from geodesics between a sample of the points, and what is left."""
        n_sample = N_SAMPLE // self._routes.effort
        i, j = random_pairs(len(self._points), n_sample, np.random.default_rng(0))
        at = torch.tensor(self._points)
        exact = find_geodesics(self._spaces, self._routes, at[i], at[j], TOL, MAX_ITER)
        exact = exact.length.numpy()
        # Every point of the sample once, on either side.
        (rows, i), (columns, j) = (np.unique(ends, return_inverse=True) for ends in (i, j))
        upper = self._upper(at[rows], self.tie(at[columns]))[i, j]
        lower = self._lower(at[rows], at[columns])[i, j]
        good = np.isfinite(exact) & (exact > 0) & np.isfinite(upper)
        upper, lower, exact = upper[good], lower[good], exact[good]
        correction = fit_correction(upper, lower, exact)
        return correction, np.abs(corrected(upper, lower, correction) / exact - 1.0)

    def _upper(self, a, ends):
        """Lengths of curves between all rows, (n, m) array."""
        tied = self.tie(a).tied
        if self.grid is not None:
            found = grid_distances(self._spaces.segment_lengths, self.grid, tied, ends.tied)
            # From outside, the way through the nearest nodes may be a long one.
            rows = np.flatnonzero(~self.covers(a).cpu().numpy())
            if len(rows):
                found[rows] = np.minimum(found[rows], self._lines(a[rows], ends.points))
            columns = np.flatnonzero(~self.covers(ends.points).cpu().numpy())
            if len(columns):
                lines = self._lines(a, ends.points[columns])
                found[:, columns] = np.minimum(found[:, columns], lines)
            return found
        return np.minimum(
            graph_distances(self._graph, tied, ends.tied), self._lines(a, ends.points)
        )

    def _lines(self, a, b):
        """Lengths of straight lines between all rows, (n, m) array."""
        i, j = torch.cartesian_prod(torch.arange(len(a)), torch.arange(len(b))).mT
        if self._spaces.cheaper is None:
            lengths = self._spaces.segment_lengths(a[i], b[j], N_CHORDS)
        else:
            lengths = segment_lengths(self._spaces.cheaper, a[i], b[j])
        return np.nan_to_num(lengths, nan=np.inf).reshape(len(a), len(b))

    def _lower(self, a, b):
        """Lengths of chords between all rows, (n, m) array."""
        if self.grid is not None:
            # Paths along a grid are all about as much too long: chords would add nothing.
            return np.zeros((len(a), len(b)))
        return self._spaces.exact.lower_bounds(a, b).cpu().double().numpy()


def corrected(upper, lower, correction):
    """Distances from lengths of curves and of chords, between the two."""
    shortened = upper * np.exp(correction.offset + correction.slope * _detour(upper, lower))
    return np.clip(shortened, lower, upper)


def fit_correction(upper, lower, exact):
    """Least squares on logarithms; see :class:`Correction`."""
    detour = _detour(upper, lower)
    design = np.stack([np.ones_like(detour), detour], axis=1)
    found = np.linalg.lstsq(design, np.log(exact / upper), rcond=None)[0]
    return Correction(*found.tolist())


def _detour(upper, lower):
    """log(curve / chord), zero where there is no chord."""
    some = (lower > 0) & (upper > lower)
    return np.log(np.divide(upper, lower, out=np.ones_like(upper), where=some))
