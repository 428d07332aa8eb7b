"""Where geodesics are looked for: the curves that solvers start from, and how fine they are.

Solvers only polish. Which way round an obstacle a curve goes is decided by its start.
"""

import logging
from abc import ABC, abstractmethod
from functools import cached_property

import numpy as np
import torch

from .. import curves
from ..chunks import MAX_GRID_DIMS
from ..paths.graph import measure_in, random_pairs, starting_curves
from ..paths.grid import box_around
from ..paths.lattice import Lattice, coarse_routes, lattice_routes
from .geodesics import CAREFUL, FINE, MIDDLE, USUAL, Resolution, solve_geodesics

LOGGER = logging.getLogger(__name__)
# Room around the points, as a share of the longest side of their box.
MARGIN = 0.2
# Nodes of the lattice over both, roughly, and by dimension which of them are searched at first.
N_NODES, STRIDE = 480_000, {2: 4, 3: 3}
# Pairs that ways of searching are tried on, how accurately, the share of them that has to
# converge, and how much longer than others they may be on average.
N_TRIED, TRIED_TOL, ENOUGH, EXCESS = 24, 1e-3, 0.95, 5e-4
# Iterations: the usual way is to need few.
FEW_ITER, MANY_ITER = 12, 100
# Where the usual way converges for fewer, walls are so steep that only one way will do, and to try
# others would take long.
HOPELESS = 0.9
# Boxes for maps of which no points are known: sides in multiples of the ends' distance, how often
# they are doubled where routes run along their edge, and how near that is, as a share of the side.
BOX_SIDE, MAX_DOUBLINGS, EDGE = 3, 6, 0.02
# How many nodes there are in a box: as many as their derivatives hold so many numbers.
BOX_BUDGET, MIN_NODES, MAX_NODES, BOX_STRIDE = 2**23, 2_000, 16_000, 2
# Lines at most this share longer than their chord are shortest.
STRAIGHT = 1e-6
# Chords by which each segment of a route is measured, and all of a curve that is known.
N_MEASURED, N_KNOWN = 16, 1024


class Routes(ABC):
    """Where geodesics between pairs of points start.

    Attributes
    ----------
    resolution : Resolution
    effort : int
        How many times as long a geodesic takes as with the usual resolution, roughly.
    """

    resolution: Resolution = USUAL
    effort: int = 1

    @abstractmethod
    def starts(self, space, a, b):
        """Curves between the rows of two tensors for a solver to start from.

        Returns
        -------
        list of (Tensor of shape (k,), Tensor of shape (k, T+1, d))
            Rows and their curves, of T segments, the first of the levels of the resolution; the
            first entry has all rows.
        """


class GraphRoutes(Routes):
    """Straight lines, and paths through a neighbour graph if there is one."""

    def __init__(self, graph):
        self._graph = graph

    def starts(self, space, a, b):
        return starting_curves(space, self._graph, a, b, self.resolution.levels[0])


class LatticeRoutes(Routes):
    """These, and routes along a fine lattice."""

    resolution, effort = FINE, 4
    # How many times as many nodes a finer lattice has.
    _thinned = 1

    def __init__(self, graph, spaces, points):
        self._graph, self._spaces, self._points = graph, spaces, points

    def __getstate__(self):
        # Made again where it is needed, which is cheaper than to send it.
        return {key: value for key, value in self.__dict__.items() if key != "lattice"}

    def starts(self, space, a, b):
        n_segments = self.resolution.levels[0]
        others = starting_curves(space, self._graph, a, b, n_segments)
        known, _ = space.measure(curves.subdivide(others[0][1], N_KNOWN // n_segments))
        known = known.cpu().double().numpy()
        return others + lattice_routes(self.lattice, a, b, n_segments, known)

    @cached_property
    def lattice(self):
        space, measure = self._spaces.cheapest, self._spaces.segment_lengths
        low, high = box_around(self._points, MARGIN)
        n_nodes = N_NODES // self._thinned
        return Lattice(space, measure, low, high, n_nodes, STRIDE[len(low)])


class ThinnedRoutes(LatticeRoutes):
    """The same along a lattice that walls must not be too steep for, in a third of the time."""

    resolution, effort, _thinned = MIDDLE, 2, 4


class BoxRoutes(Routes):
    """Straight lines, and routes along a lattice in a box around each pair.

    For maps of which no points are known. Boxes have sides of powers of 2 and corners at
    multiples of half of these, so that a pair has the same route whichever others are
    asked with it, and neighbours share a lattice. A box whose edge the route runs along is
    doubled.
    """

    resolution = CAREFUL

    def starts(self, space, a, b):
        n_segments = self.resolution.levels[0]
        rows, lines = torch.arange(len(a), device=a.device), curves.straight(a, b, n_segments)
        routes, lengths = lines.clone(), a.new_full((len(a),), torch.inf)
        apart = (a - b).abs().amax(1)
        side = 2.0 ** torch.ceil(torch.log2(BOX_SIDE * apart))
        # No way can be shorter than a line as long as its chord.
        straight = space.measure(lines)[0] <= (1.0 + STRAIGHT) * space.chords(a, b)
        going = rows[(apart > 0) & apart.isfinite() & ~straight]
        for _ in range(1 + MAX_DOUBLINGS):
            corner = side[:, None] / 2.0 * torch.round((a + b) / side[:, None] - 1.0)
            boxes = torch.cat([corner, side[:, None]], dim=1)[going]
            at_edge = [going[:0]]
            for box in boxes.unique(dim=0):
                part = going[(boxes == box).all(1)]
                at, nodes = _along_box(space, box, a[part], b[part], n_segments)
                length, _ = space.measure(curves.subdivide(nodes, N_MEASURED))
                better = length < lengths[part[at]]
                at, nodes = part[at[better]], nodes[better]
                routes[at], lengths[at] = nodes, length[better]
                margin = EDGE * box[-1]
                inside = (nodes > box[:-1] + margin) & (nodes < box[:-1] + box[-1] - margin)
                at_edge.append(at[~inside.all(2).all(1)])
            going = torch.cat(at_edge)
            side[going] *= 2.0
        found = lengths.isfinite()
        return [(rows, lines), (rows[found], routes[found])]


def _along_box(space, box, a, b, n_segments):
    """Routes in a box, given by a corner and the length of its sides."""
    low, side = box[:-1].cpu().numpy(), float(box[-1])
    n_nodes = BOX_BUDGET // (space.numbers_per_point(a[:1]) * (1 + len(low)))
    n_nodes = min(max(n_nodes, MIN_NODES), MAX_NODES)
    lattice = Lattice(space, measure_in(space), low, low + side, n_nodes, BOX_STRIDE)
    return coarse_routes(lattice, a, b, n_segments)


def choose_routes(spaces, graph, points, n_dims):
    """Where to look for the geodesics of a metric.

    With points, ways of searching are tried on a sample of their pairs, the cheapest first. One
    is taken that converges and finds curves hardly longer than the next does.

    Parameters
    ----------
    spaces : Spaces
    graph : Graph or None
    points : ndarray of shape (n, n_dims) or None
    n_dims : int

    Returns
    -------
    Routes
    """
    usual = GraphRoutes(graph)
    # In one dimension there is a single way.
    if not 1 < n_dims <= MAX_GRID_DIMS:
        return usual
    if points is None:
        return BoxRoutes()
    if not (points.max(0) > points.min(0)).any():
        return usual
    LOGGER.info("Trying routes through the graph of the points, and along a lattice over them.")
    i, j = random_pairs(len(points), N_TRIED, np.random.default_rng(0))
    ends = [torch.tensor(points[rows]) for rows in (i, j)]
    thinned, fine = (kind(graph, spaces, points) for kind in (ThinnedRoutes, LatticeRoutes))
    found = _tried(usual, spaces.cheapest, ends, FEW_ITER)
    if found.converged.double().mean() < HOPELESS:
        return fine
    better = _tried(thinned, spaces.cheapest, ends, MANY_ITER)
    if _is_enough(found, better):
        return usual
    best = _tried(fine, spaces.cheapest, ends, MANY_ITER)
    return thinned if _is_enough(better, best) else fine


def _tried(routes, space, ends, max_iter):
    """Geodesics between pairs of points found in one way."""
    starts = routes.starts(space, *ends)
    return solve_geodesics(space, *ends, starts, TRIED_TOL, max_iter, routes.resolution)


def _is_enough(found, better):
    """Whether nearly all geodesics converged, and on average are hardly longer than others."""
    excess = found.length / torch.fmin(found.length, better.length) - 1.0
    # Between equal points there is none.
    excess = excess[found.length > 0].mean()
    return bool(found.converged.double().mean() >= ENOUGH and not excess > EXCESS)
