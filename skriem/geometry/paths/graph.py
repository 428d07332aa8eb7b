"""Shortest paths on a neighbour graph over codes: where geodesics start, and a first answer.

Local solvers only polish a curve. Which way round an obstacle it goes is decided here, by
Dijkstra's algorithm on a graph whose edges are measured through the embedding (Chen et al.,
*Fast approximate geodesics for deep generative models*, ICANN 2019).
"""

from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree
from scipy.stats.qmc import Halton

from .. import curves
from ..chunks import MAX_GRID_DIMS
from .neighbors import joints

# Many neighbours, so that paths can go in nearly any direction and need not zigzag.
N_NEIGHBORS = 40
N_ATTACHED = 8
N_CHORDS = 16
# Segments measured at once, which bounds the memory.
MAX_SEGMENTS = 2**14
# Further routes may be this many times as long as the shortest, must be further from it and from
# each other than this share of its length, and are so many at most.
DETOUR = 1.05
APART = 0.07
N_ROUTES = 2
# In few dimensions nodes are added between the points, half as many, spread over their box and a
# margin of this share: shortest paths also run where there are few points.
FILL_MARGIN = 0.05


class Graph(NamedTuple):
    """A connected neighbour graph with all its shortest paths."""

    points: np.ndarray  # (N, d)
    tree: cKDTree
    distances: np.ndarray  # (N, N)
    predecessors: np.ndarray  # (N, N) int


class Attached(NamedTuple):
    """Points tied to their nearest nodes by straight segments."""

    points: np.ndarray  # (n, d)
    nodes: np.ndarray  # (n, k) int
    distances: np.ndarray  # (n, k)

    def rows(self, index):
        """The same for some of the points."""
        return Attached(*(field[index] for field in self))


def with_sources(weights, sources):
    """A graph (N, N) with places as further nodes, out of which edges lead but none to them.

    Parameters
    ----------
    weights : csr_matrix of shape (N, N)
    sources : Attached
        The places, n of them.

    Returns
    -------
    csr_matrix of shape (N + n, N + n)
    """
    n_nodes, (n, k) = weights.shape[0], sources.nodes.shape
    # A stored zero is no edge for Dijkstra's algorithm.
    lengths = np.maximum(sources.distances.ravel(), np.finfo(float).tiny)
    return csr_matrix(
        (
            np.concatenate([weights.data, np.nan_to_num(lengths, nan=np.inf)]),
            np.concatenate([weights.indices, sources.nodes.ravel()]),
            np.concatenate([weights.indptr, weights.nnz + k * np.arange(1, n + 1)]),
        ),
        shape=(n_nodes + n, n_nodes + n),
    )


def segment_lengths(space, a, b, n_chords=N_CHORDS):
    """Lengths of the straight segments from the rows of `a` to those of `b`, (n,) array."""
    lengths = [
        space.measure(curves.straight(*ends, n_chords))[0]
        for ends in zip(a.split(MAX_SEGMENTS), b.split(MAX_SEGMENTS))
    ]
    return torch.cat(lengths).cpu().double().numpy()


def measure_in(space):
    """:func:`segment_lengths` in one space, as a function of the ends."""
    return partial(segment_lengths, space)


def build_graph(space, points):
    """Connect every point to its nearest ones and find all shortest paths.

    Parameters
    ----------
    space : Space
    points : ndarray of shape (n, d)
        The first nodes; in low dimensions others are added.

    Returns
    -------
    Graph
    """
    points = np.concatenate([points, _filling(points)])
    n = len(points)
    tree = cKDTree(points)
    neighbors = tree.query(points, k=min(N_NEIGHBORS + 1, n))[1].reshape(n, -1)
    pairs = neighbor_pairs(neighbors)
    edges = csr_matrix((np.ones(len(pairs)), pairs.T), shape=(n, n))
    pairs = np.concatenate([pairs, joints(points, edges)])
    lengths = segment_lengths(space, *torch.tensor(points)[pairs.T])
    # Dijkstra's sparse input takes a stored zero for no edge at all.
    lengths = np.maximum(np.nan_to_num(lengths, nan=np.inf), np.finfo(float).tiny)
    weights = coo_matrix((lengths, pairs.T), shape=(n, n)).tocsr()
    distances, predecessors = dijkstra(weights, directed=False, return_predecessors=True)
    return Graph(points, tree, distances, predecessors)


def neighbor_pairs(neighbors):
    """Each pair of a row and one of its neighbours (n, k) once, the lower first, (m, 2)."""
    n = len(neighbors)
    rows = np.repeat(np.arange(n), neighbors.shape[1])
    return distinct_pairs(rows, neighbors.ravel(), n)


def distinct_pairs(first, second, n):
    """Each pair of two rows out of n once, the lower first, those of a row with itself left out."""
    low, high = np.minimum(first, second), np.maximum(first, second)
    # One number for each pair: much faster to sort than rows.
    keys = np.unique((low.astype(np.int64) * n + high)[low < high])
    return np.stack([keys // n, keys % n], axis=1)


def random_pairs(n, size, rng):
    """Pairs of different rows of n, two (size,) arrays."""
    i = rng.integers(n, size=size)
    return i, (i + rng.integers(1, max(2, n), size=size)) % n


def symmetric_weights(pairs, lengths, n):
    """Edges in both directions as a sparse matrix, (n, n)."""
    both = np.concatenate([pairs, pairs[:, ::-1]])
    # A stored zero is no edge for Dijkstra's algorithm.
    lengths = np.tile(np.maximum(lengths, np.finfo(float).tiny), 2)
    return coo_matrix((lengths, both.T), shape=(n, n)).tocsr()


def _filling(points):
    """Evenly spread points in the box around the given ones, (m, d)."""
    n, d = points.shape
    low, high = points.min(0), points.max(0)
    if d > MAX_GRID_DIMS or not (high > low).any():
        return points[:0]
    margin = FILL_MARGIN * (high - low)
    return low - margin + Halton(d, scramble=False).random(n // 2) * (high - low + 2.0 * margin)


def attach(measure, graph, z, k=N_ATTACHED):
    """Tie the rows of a tensor to the k nodes nearest to them.

    `measure` maps ends of segments to their lengths, see :func:`measure_in`.
    """
    points = z.cpu().double().numpy()
    k = min(k, len(graph.points))
    nodes = graph.tree.query(points, k=k)[1].reshape(len(points), k)
    ends = torch.as_tensor(graph.points[nodes.ravel()]).to(z)
    lengths = measure(z.repeat_interleave(k, dim=0), ends)
    return Attached(points, nodes, lengths.reshape(nodes.shape))


def graph_distances(graph, a, b):
    """Lengths of the shortest paths through the graph from every point of `a` to all of `b`.

    Every one is the length of an actual path, so never below the geodesic distance.

    Returns
    -------
    ndarray of shape (n, m)
    """
    best = np.full((len(a.nodes), len(b.nodes)), np.inf)
    for i in range(a.nodes.shape[1]):
        for j in range(b.nodes.shape[1]):
            through = graph.distances[a.nodes[:, i, None], b.nodes[:, j]]
            np.minimum(best, a.distances[:, i, None] + through + b.distances[:, j], out=best)
    return best


def shortest_paths(graph, a, b, n_segments):
    """The shortest path through the graph for each row of `a` and `b`, at constant speed.

    Returns
    -------
    nodes : Tensor of shape (n, n_segments + 1, d)
    length : Tensor of shape (n,)
    """
    through = graph.distances[a.nodes[:, :, None], b.nodes[:, None, :]]
    total = a.distances[:, :, None] + through + b.distances[:, None, :]
    i, j = np.divmod(total.reshape(len(total), -1).argmin(1), total.shape[2])
    rows = np.arange(len(total))
    first, last, length = a.nodes[rows, i], b.nodes[rows, j], total[rows, i, j]
    # Predecessors lead from the far end back; paths that are done wait at their first node.
    node, stops = last, [last]
    while True:
        step = graph.predecessors[first, node]
        if (step < 0).all():
            break
        node = np.where(step >= 0, step, node)
        stops.append(node)
    stops = np.stack(stops[::-1], axis=1)
    path = np.concatenate([a.points[:, None], graph.points[stops], b.points[:, None]], axis=1)
    arc_length = a.distances[rows, i, None] + graph.distances[first[:, None], stops]
    arc_length = np.column_stack([np.zeros(len(path)), arc_length, length])
    t = torch.linspace(0.0, 1.0, n_segments + 1, dtype=torch.float64)
    nodes = curves.resample(torch.as_tensor(path), torch.as_tensor(arc_length), t)
    nodes[:, 0], nodes[:, -1] = torch.as_tensor(a.points), torch.as_tensor(b.points)
    return nodes, torch.as_tensor(length)


def starting_curves(space, graph, a, b, n_segments):
    """Where to start looking for geodesics between the rows of `a` and `b`.

    The shortest path through the graph or the straight line, whichever is shorter, and, for
    some, further routes. Local solvers only polish, so a wrong turn here is never undone.

    Returns
    -------
    list of (Tensor of shape (k,), Tensor of shape (k, n_segments + 1, d))
        Rows and their curves; the first entry has all rows.
    """
    rows = torch.arange(len(a), device=a.device)
    lines = curves.straight(a, b, n_segments)
    if graph is None or not len(a):
        return [(rows, lines)]
    tied = [attach(measure_in(space), graph, z) for z in (a, b)]
    paths, length = (x.to(a) for x in shortest_paths(graph, *tied, n_segments))
    line_length = space.measure(curves.straight(a, b, 2 * N_CHORDS))[0]
    direct = line_length <= length
    best = torch.where(direct[:, None, None], lines, paths)
    # Where nothing is in the way there is no other way round it.
    around = rows[~direct]
    tied = [ends.rows(around.cpu().numpy()) for ends in tied]
    others = _other_routes(graph, *tied, paths[around].cpu().double().numpy(), n_segments)
    return [
        (rows, best),
        *((around[torch.as_tensor(k).to(rows)], nodes.to(a)) for k, nodes in others),
    ]


def _other_routes(graph, a, b, paths, n_segments):
    """Paths that are almost as short as the shortest, and pass somewhere else.

    Of all nodes that lie on paths at most `DETOUR` times as long, the one furthest from the
    shortest path is passed through; then the one furthest from both, and so on.

    Returns
    -------
    list of (ndarray of shape (k,) int, Tensor of shape (k, n_segments + 1, d))
        Pairs that have such a path, and the path.
    """
    if not len(paths):
        return []
    through = _to_all_nodes(graph, a) + _to_all_nodes(graph, b)
    shortest = through.min(1)
    pairs, nodes = np.nonzero(through <= DETOUR * shortest[:, None])
    # How far each of these nodes is from the routes so far.
    apart = np.full(len(pairs), np.inf)
    routes = [(np.arange(len(paths)), paths)]
    while True:
        rows, nodes_on_path = routes[-1]
        places = nodes_on_path[:, :: max(1, n_segments // 16)]
        places = graph.tree.query(places.reshape(-1, paths.shape[2]))[1].reshape(len(rows), -1)
        has = np.isin(pairs, rows)
        pairs, nodes, apart = pairs[has], nodes[has], apart[has]
        places = places[np.searchsorted(rows, pairs)]
        apart = np.minimum(apart, graph.distances[nodes[:, None], places].min(1))
        order = np.lexsort((-apart, pairs))
        rows, first = np.unique(pairs[order], return_index=True)
        furthest = order[first]
        good = apart[furthest] > APART * shortest[rows]
        rows, stop = rows[good], nodes[furthest[good]]
        if len(rows) == 0 or len(routes) > N_ROUTES:
            return [(rows, torch.as_tensor(nodes)) for rows, nodes in routes[1:]]
        routes.append((rows, _by_way_of(graph, a, b, rows, stop, n_segments)))


def _by_way_of(graph, a, b, rows, stop, n_segments):
    """Shortest paths of some pairs through a node each, (k, n_segments + 1, d)."""
    stops = Attached(graph.points[stop], stop[:, None], np.zeros((len(stop), 1)))
    there, first = shortest_paths(graph, a.rows(rows), stops, n_segments)
    back, second = shortest_paths(graph, stops, b.rows(rows), n_segments)
    t = torch.linspace(0.0, 1.0, n_segments + 1, dtype=torch.float64)
    arc_length = torch.cat([t * first[:, None], first[:, None] + t[1:] * second[:, None]], dim=1)
    return curves.resample(torch.cat([there, back[:, 1:]], dim=1), arc_length, t).numpy()


def _to_all_nodes(graph, ends):
    """Distances to all nodes by way of the nearest, (n, N)."""
    nearest = ends.distances.argmin(1)
    rows = np.arange(len(nearest))
    return ends.distances[rows, nearest, None] + graph.distances[ends.nodes[rows, nearest]]
