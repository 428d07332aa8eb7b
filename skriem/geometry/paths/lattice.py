"""Grids as fine as steep walls ask, and the routes along them that geodesics start from.

Where the metric varies a lot over short ways, as between the bumps of a decoder's noise, paths
through a few thousand points miss the corridors, and curves relaxed from them end in other
valleys. Here the tensor is evaluated once at every node of a fine lattice. Shortest paths among
every fourth node or so say which nodes can be on a route at all; only these are then searched.
"""

import itertools
import math
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from scipy.ndimage import binary_dilation, generate_binary_structure, label
from scipy.sparse import csr_matrix

from .. import curves
from .graph import Attached
from .grid import REACH, from_sources, steps_around

# Routes are looked for among nodes on paths at most this many times as long as the shortest, and
# among the best of them where these are more than this share of all, by dimension.
DETOUR, LARGEST_SHARE = 1.1, {2: 1 / 6, 3: 1 / 48}
# Other routes than the shortest, and the shares of the way at which they are told apart, with
# how thick the fronts are there. Valleys are others where a ridge parts them, be it so low: along a
# lattice they are about equally short.
N_OTHERS, FRONTS, THICKNESS, RIDGES = 6, (0.25, 0.5, 0.75), 0.01, (DETOUR, 1.02, 1.005)
# How much longer than a curve the path along coarse nodes is that follows it: their directions
# are a few.
ZIGZAG = 1.05
# Pairs at once, which bounds the memory, and how many of their ends are searched from together.
CHUNK, ALIKE = 32, 8


class Tree(NamedTuple):
    """The shortest paths from a point to the nodes of a graph."""

    lengths: np.ndarray  # (N,), or (n, N) from several points
    before: np.ndarray  # The node before each, as many


class Lattice:
    """Speeds at the nodes of a fine lattice over a box.

    Parameters
    ----------
    space : Space
    measure : callable
        Lengths of segments from their ends, see :func:`.graph.measure_in`.
    low, high : ndarray of shape (d,)
        Corners, with d at most 3.
    n_nodes : int
        Roughly.
    stride : int
        Steps from one node that is searched at first to the next.
    """

    def __init__(self, space, measure, low, high, n_nodes, stride):
        d = len(low)
        self.measure, self.low, self.stride = measure, low, stride
        self.spacing = np.prod((high - low) / n_nodes ** (1 / d)) ** (1 / d)
        # Whole steps of the coarse nodes along every side.
        coarse = np.ceil((high - low) / self.spacing / self.stride).astype(int)
        self.coarse_counts, self.counts = tuple(coarse + 1), tuple(coarse * self.stride + 1)
        at = torch.tensor(self.points(np.arange(np.prod(self.counts))))
        tensors = space.tensor(at).cpu().numpy()
        self._speeds = {}
        for step in steps_around(d, REACH[d]):
            along = self.spacing * np.array(step)
            squared = np.einsum("nij,i,j->n", tensors, along, along)
            speeds = np.sqrt(squared.clip(min=0.0)).astype(np.float32)
            self._speeds[step] = speeds.reshape(self.counts)

    def points(self, nodes):
        """Coordinates of nodes, (n, d)."""
        return np.stack(np.unravel_index(nodes, self.counts), axis=1) * self.spacing + self.low

    def around(self, z, stride=1):
        """Points tied to the corners of their cells, or of the nearest ones from outside."""
        z = z.cpu().double().numpy()
        d, last = z.shape[1], np.array(self.counts) - 1 - stride
        cells = np.floor((z - self.low) / (stride * self.spacing)) * stride
        cells = np.clip(cells, 0, last).astype(int)
        corners = stride * np.array(list(itertools.product((0, 1), repeat=d)))
        at = cells[:, None] + corners
        nodes = np.ravel_multi_index(np.moveaxis(at, 2, 0), self.counts)
        ends = torch.tensor(z).repeat_interleave(len(corners), dim=0)
        lengths = self.measure(ends, torch.tensor(self.points(nodes.ravel())))
        return Attached(z, nodes, lengths.reshape(nodes.shape))

    @cached_property
    def coarse(self):
        """Some of the nodes (n,) and the graph among them, a sparse matrix (n, n)."""
        every = np.zeros(self.counts, dtype=bool)
        every[tuple(slice(None, None, self.stride) for _ in self.counts)] = True
        lengths = self._segments(self.stride)
        return np.flatnonzero(every), graph_among(lengths, np.arange(lengths[0][1].size))

    def edges(self, nodes):
        """The graph among some nodes (n,), in order, each joined to those around it, (n, n)."""
        return graph_among(self._fine, nodes)

    @cached_property
    def _fine(self):
        return self._segments(1)

    def _segments(self, stride):
        """Steps, and lengths of the segments from every node of every so manieth row."""
        return [(step, segments(speeds, step, stride)) for step, speeds in self._speeds.items()]


def segments(speeds, step, stride):
    """Lengths of the segments from nodes of a grid to those some steps away.

    By the trapezoidal rule; between nodes the speed is interpolated linearly.

    Parameters
    ----------
    speeds : ndarray of shape (n_1, ..., n_d)
        How long the step would be with the metric of each node.
    step : tuple of int
    stride : int
        Only every so manieth node is looked at, of every row, and steps are as many times as long.

    Returns
    -------
    ndarray of shape (m_1, ..., m_d) float32
        Infinite where the step would lead out of the grid.
    """
    reach = stride * np.array(step)
    first, last = np.maximum(0, -reach), speeds.shape - np.maximum(0, reach)
    n, total = np.abs(reach).max(), 0.0
    for k in range(n + 1):
        whole, rest = np.divmod(reach * k, n)
        for corner in itertools.product((0, 1), repeat=len(step)):
            weight = np.prod(np.where(corner, rest, n - rest) / n)
            if weight > 0.0:
                moved = zip(first + whole + corner, last + whole + corner)
                there = speeds[tuple(slice(*ends, stride) for ends in moved)]
                total = total + np.float32((0.5 if k in (0, n) else 1.0) * weight) * there
    lengths = np.full([(m - 1) // stride + 1 for m in speeds.shape], np.inf, dtype=np.float32)
    lengths[tuple(slice(i // stride, j // stride + 1) for i, j in zip(first, last - 1))] = total
    return lengths * np.float32(stride / n)


def graph_among(lengths, nodes):
    """The graph among some nodes of a grid.

    Parameters
    ----------
    lengths : list of (tuple of int, ndarray of shape (n_1, ..., n_d))
        Steps, one of every two opposite ones, and what :func:`segments` says of them.
    nodes : ndarray of shape (n,) int
        In order.

    Returns
    -------
    csr_matrix of shape (n, n)
    """
    shape = lengths[0][1].shape
    # How far apart neighbours along each axis are stored.
    rows = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    place = np.full(math.prod(shape), -1, dtype=np.int32)
    place[nodes] = np.arange(len(nodes))
    near = np.empty((2 * len(lengths), len(nodes)), dtype=np.int32)
    along = np.empty(near.shape, dtype=np.float32)
    for k, (step, of_all) in enumerate(lengths):
        of_all = of_all.ravel()
        ahead, behind = nodes + np.dot(step, rows), nodes - np.dot(step, rows)
        near[2 * k] = place.take(ahead, mode="clip")
        along[2 * k] = of_all[nodes]
        near[2 * k + 1] = place.take(behind, mode="clip")
        along[2 * k + 1] = np.where(behind >= 0, of_all.take(behind, mode="clip"), np.inf)
    joined = ((near >= 0) & np.isfinite(along)).T
    # A stored zero is no edge for Dijkstra's algorithm.
    weights = np.maximum(along.T[joined], np.finfo(np.float32).tiny).astype(float)
    first = np.concatenate([[0], np.cumsum(joined.sum(1))])
    return csr_matrix((weights, near.T[joined], first), shape=(len(nodes), len(nodes)))


def lattice_routes(lattice, a, b, n_segments, known=None):
    """The shortest route along a lattice for each pair of rows, and others almost as short.

    Parameters
    ----------
    lattice : Lattice
    a, b : Tensor of shape (n, d)
    n_segments : int
    known : ndarray of shape (n,) or None
        Lengths of curves that there are already: what is much longer is not looked for.

    Returns
    -------
    list of (Tensor of shape (k,) int, Tensor of shape (k, n_segments + 1, d))
        Pairs and their routes, at constant speed. The first entry has the shortest routes, of
        all pairs for which there is a way.
    """
    found = []
    tied = [lattice.around(z) for z in (a, b)]
    for row, trees in enumerate(_coarse_trees(lattice, a, b, known)):
        ends = [points.rows(slice(row, row + 1)) for points in tied]
        found.append(_routes(lattice, trees, *ends, n_segments))
    return _by_rank(found, a)


def coarse_routes(lattice, a, b, n_segments):
    """The shortest route along the coarse nodes of a lattice for each pair of rows.

    Returns
    -------
    rows : Tensor of shape (k,) int
        Pairs for which there is a way.
    routes : Tensor of shape (k, n_segments + 1, d)
        At constant speed.
    """
    nodes, weights = lattice.coarse
    starts, ends = (_among(nodes, lattice.around(z, lattice.stride)) for z in (a, b))
    rows, routes = [], []
    for first in range(0, len(a), CHUNK):
        trees = from_sources(weights, starts.rows(slice(first, first + CHUNK)), True)
        for row, there, tree in zip(range(first, len(a)), *trees):
            total = there[ends.nodes[row]] + ends.distances[row]
            last = total.argmin()
            if np.isfinite(total[last]):
                way = _walk(tree, ends.nodes[row, last])[::-1]
                path = [starts.points[row], *lattice.points(nodes[way]), ends.points[row]]
                arc_length = [0.0, *there[way], total[last]]
                rows.append(row)
                routes.append(_at_constant_speed(path, arc_length, n_segments))
    routes = torch.stack(routes).to(a) if routes else a.new_empty(0, n_segments + 1, a.shape[1])
    return torch.tensor(rows, dtype=torch.long, device=a.device), routes


def _by_rank(found, like):
    """The first routes of all pairs that have one, the second ones, and so on."""
    ranked = []
    for rank in range(1 + N_OTHERS):
        rows = [row for row, routes in enumerate(found) if len(routes) > rank]
        if rows:
            routes = torch.stack([found[row][rank] for row in rows])
            ranked.append((torch.tensor(rows, device=like.device), routes.to(like)))
    return ranked


def _coarse_trees(lattice, a, b, known):
    """The shortest paths out of both ends of every pair, one pair after another.

    Lengths that no route can use are infinite, whatever other pairs need.
    """
    nodes, weights = lattice.coarse
    tied = [_among(nodes, lattice.around(z, lattice.stride)) for z in (a, b)]
    limits = np.full(len(a), np.inf)
    if known is not None:
        # At most: along the curve, but to a node and back again at both ends.
        aside = sum(ends.distances.min(1) for ends in tied)
        limits = DETOUR * (ZIGZAG * known + 2.0 * aside)
        limits = np.nan_to_num(limits, nan=np.inf)
    for first in range(0, len(a), CHUNK):
        rows = slice(first, first + CHUNK)
        both = [_from_each(weights, ends.rows(rows), limits[rows]) for ends in tied]
        for k, limit in enumerate(limits[rows]):
            trees = [Tree(tree.lengths[k], tree.before[k]) for tree in both]
            for tree in trees:
                tree.lengths[tree.lengths > limit] = np.inf
            yield trees


def _from_each(weights, tied, limits):
    """The shortest paths from points up to limits (n,), to all nodes: from equal points once."""
    _, first, which = np.unique(tied.points, axis=0, return_index=True, return_inverse=True)
    which, furthest = which.ravel(), np.zeros(len(first))
    np.maximum.at(furthest, which, limits)
    shape = len(first), weights.shape[0]
    found = Tree(np.empty(shape), np.empty(shape, dtype=np.int32))
    # Together those that go about as far.
    for some in np.array_split(np.argsort(furthest), math.ceil(len(first) / ALIKE)):
        part = from_sources(weights, tied.rows(first[some]), True, furthest[some].max())
        found.lengths[some], found.before[some] = part
    return Tree(found.lengths[which], found.before[which])


def _among(nodes, tied):
    """Points tied to some nodes, by their numbers among these."""
    return tied._replace(nodes=np.searchsorted(nodes, tied.nodes))


def _routes(lattice, trees, start, end, n_segments):
    """Routes between two points, the shortest first, given the coarse paths out of both."""
    through = trees[0].lengths + trees[1].lengths
    if not np.isfinite(through.min()):
        return []
    # Steps between coarse nodes may lead over others; with those around there is a way.
    for n_around in (0, REACH[len(lattice.counts)]):
        nodes = _worth_searching(lattice, through, start, end, n_around)
        weights = lattice.edges(nodes)
        trees = [
            Tree(*(part[0] for part in from_sources(weights, _among(nodes, tied), True)))
            for tied in (start, end)
        ]
        ways = _ways(lattice.counts, nodes, trees)
        if ways:
            break
    return [_route(lattice, nodes, trees, way, start, end, n_segments) for way in ways]


def _worth_searching(lattice, through, start, end, n_around):
    """Nodes of the lattice near which there are paths that are short enough."""
    d = len(lattice.counts)
    most = max(1, int(LARGEST_SHARE[d] * len(through)))
    limit = DETOUR * through.min()
    if most < len(through):
        limit = min(limit, np.partition(through, most)[most])
    # Those on the shortest path differ by rounding.
    limit = max(limit, (1.0 + 1e-6) * through.min())
    near = (through <= limit).reshape(lattice.coarse_counts)
    if n_around:
        near = binary_dilation(near, generate_binary_structure(d, d), n_around)
    for axis, n in enumerate(lattice.counts):
        near = np.repeat(near, lattice.stride, axis=axis)
        # Those around a coarse node, from half a step before it.
        near = np.take(near, lattice.stride // 2 + np.arange(n), axis=axis, mode="clip")
    near = near.ravel()
    near[start.nodes] = near[end.nodes] = True
    return np.flatnonzero(near)


def _ways(counts, nodes, trees):
    """Places of nodes that the shortest route and others pass, the shortest first; none if there
    is no way.

    In each connected part of a front that is near enough, the best node has a route of its own,
    unless it is on one of those before.
    """
    there = trees[0].lengths
    through = there + trees[1].lengths
    best = int(through.argmin())
    if not np.isfinite(through[best]):
        return []
    others = []
    for ridge in RIDGES:
        near = np.flatnonzero(through <= ridge * through[best])
        for share in FRONTS:
            places = near[np.abs(there[near] / through[near] - share) <= THICKNESS]
            parts = _parts(counts, nodes[places])
            order = np.lexsort((through[places], parts))
            firsts = places[order[np.unique(parts[order], return_index=True)[1]]]
            # The shortest of all is the best one's own.
            others += sorted(firsts.tolist(), key=lambda place: through[place])[1:]
    ways, passed = [], set()
    for place in [best, *sorted(others, key=lambda place: through[place])]:
        if place not in passed and len(ways) <= N_OTHERS:
            ways.append(place)
            passed.update(*(_walk(tree.before, place).tolist() for tree in trees))
    return ways


def _parts(counts, nodes):
    """Numbers of the connected parts of a grid that some of its nodes make up, (n,)."""
    at = np.stack(np.unravel_index(nodes, counts))
    at = tuple(at - at.min(axis=1, initial=np.iinfo(int).max, keepdims=True))
    grid = np.zeros([axis.max(initial=-1) + 1 for axis in at], dtype=bool)
    grid[at] = True
    return label(grid, generate_binary_structure(len(counts), len(counts)))[0][at]


def _route(lattice, nodes, trees, way, start, end, n_segments):
    """The shortest route by way of a node, at constant speed, (n_segments + 1, d)."""
    (there, first), (back, second) = trees
    before, after = _walk(first, way)[::-1], _walk(second, way)[1:]
    total = there[way] + back[way]
    along = lattice.points(nodes[np.concatenate([before, after])])
    path = [*start.points, *along, *end.points]
    arc_length = [0.0, *there[before], *(total - back[after]), total]
    return _at_constant_speed(path, arc_length, n_segments)


def _at_constant_speed(path, arc_length, n_segments):
    """A polyline with nodes at equal shares of its length, (n_segments + 1, d)."""
    path, arc_length = torch.tensor(np.array(path)), torch.tensor(np.array(arc_length))
    t = torch.linspace(0.0, 1.0, n_segments + 1, dtype=torch.float64)
    nodes = curves.resample(path[None], arc_length[None], t)[0]
    nodes[0], nodes[-1] = path[0], path[-1]
    return nodes


def _walk(predecessors, place):
    """Places from one to the last before the source of a tree of shortest paths."""
    steps = [place]
    while (place := predecessors[place]) < len(predecessors):
        steps.append(place)
    return np.array(steps, dtype=int)
