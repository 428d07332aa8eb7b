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
from ..paths.lattice import Lattice, coarse_routes, lattice_distances, lattice_routes
from .geodesics import CAREFUL, FINE, USUAL, Resolution, solve_geodesics

LOGGER = logging.getLogger(__name__)
# Room around the points, as a share of the longest side of their box.
MARGIN = 0.2
# Nodes of the lattice over both, roughly, and by dimension which of them are searched at first.
N_NODES, STRIDE = 480_000, {2: 4, 3: 3}
# Pairs that both ways of searching are tried on, how accurately, and the share of them that a
# coarse resolution has to be enough for.
N_TRIED, TRIED_TOL, TRIED_ITER, ENOUGH = 24, 1e-3, 12, 0.95
# Boxes for maps of which no points are known: sides in multiples of the ends' distance, how often
# they are doubled where routes run along their edge, and how near that is, as a share of the side.
BOX_SIDE, MAX_DOUBLINGS, EDGE = 3, 6, 0.02
# How many nodes there are in a box: as many as their derivatives hold so many numbers.
BOX_BUDGET, MIN_NODES, MAX_NODES, BOX_STRIDE = 2**23, 2_000, 16_000, 2
# Lines at most this share longer than their chord are shortest.
STRAIGHT = 1e-6
# Chords by which each segment of a route is measured.
N_MEASURED = 16


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

    def __init__(self, graph, spaces, points):
        self._graph, self._spaces, self._points = graph, spaces, points

    def __getstate__(self):
        # Made again where it is needed, which is cheaper than to send it.
        return {key: value for key, value in self.__dict__.items() if key != "lattice"}

    def starts(self, space, a, b):
        n_segments = self.resolution.levels[0]
        others = starting_curves(space, self._graph, a, b, n_segments)
        return others + lattice_routes(self.lattice, a, b, n_segments)

    @cached_property
    def lattice(self):
        space, measure = self._spaces.cheapest, self._spaces.segment_lengths
        low, high = box_around(self._points, MARGIN)
        return Lattice(space, measure, low, high, N_NODES, STRIDE[len(low)])


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

    With points, a coarse search is tried on a sample of their pairs. It is enough where it
    converges and no route along a fine grid is shorter than what it finds.

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
    fine = LatticeRoutes(graph, spaces, points)
    i, j = random_pairs(len(points), N_TRIED, np.random.default_rng(0))
    a, b = (torch.tensor(points[rows]) for rows in (i, j))
    space = spaces.cheapest
    found = solve_geodesics(space, a, b, usual.starts(space, a, b), TRIED_TOL, TRIED_ITER)
    if found.converged.double().mean() < ENOUGH:
        return fine
    along = lattice_distances(fine.lattice, a, b)
    return fine if (along < (1.0 - TRIED_TOL) * found.length.numpy()).any() else usual
