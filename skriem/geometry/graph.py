"""Shortest paths on a neighbour graph over codes: where geodesics start, and a first answer.

Local solvers only polish a curve. Which way round an obstacle it goes is decided here, by
Dijkstra's algorithm on a graph whose edges are measured through the embedding (Chen et al.,
*Fast approximate geodesics for deep generative models*, ICANN 2019).
"""

from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components, dijkstra
from scipy.spatial import cKDTree

from . import curves

N_NEIGHBORS = 10
N_ATTACHED = 4
N_CHORDS = 16


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


def segment_lengths(embed, a, b):
    """Lengths of the straight segments from the rows of `a` to those of `b`, (n,) array."""
    a, b = torch.as_tensor(a), torch.as_tensor(b)
    return curves.measure(embed, curves.straight(a, b, N_CHORDS))[0].numpy()


def build_graph(embed, points):
    """Connect every point to its nearest ones and find all shortest paths.

    Parameters
    ----------
    embed : callable
    points : ndarray of shape (N, d)

    Returns
    -------
    Graph
    """
    n = len(points)
    tree = cKDTree(points)
    neighbors = tree.query(points, k=min(N_NEIGHBORS + 1, n))[1].reshape(n, -1)
    rows = np.repeat(np.arange(n), neighbors.shape[1])
    pairs = np.sort(np.stack([rows, neighbors.ravel()], axis=1), axis=1)
    pairs = np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0)
    pairs = np.concatenate([pairs, _bridges(points, pairs)])
    lengths = segment_lengths(embed, points[pairs[:, 0]], points[pairs[:, 1]])
    # Dijkstra's sparse input takes a stored zero for no edge at all.
    lengths = np.maximum(np.nan_to_num(lengths, nan=np.inf), np.finfo(float).tiny)
    weights = coo_matrix((lengths, pairs.T), shape=(n, n)).tocsr()
    distances, predecessors = dijkstra(weights, directed=False, return_predecessors=True)
    return Graph(points, tree, distances, predecessors)


def attach(embed, graph, points):
    """Tie points to the nodes nearest to them."""
    k = min(N_ATTACHED, len(graph.points))
    nodes = graph.tree.query(points, k=k)[1].reshape(len(points), k)
    lengths = segment_lengths(embed, np.repeat(points, k, axis=0), graph.points[nodes.ravel()])
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
    Tensor of shape (n, n_segments + 1, d)
    """
    through = graph.distances[a.nodes[:, :, None], b.nodes[:, None, :]]
    total = a.distances[:, :, None] + through + b.distances[:, None, :]
    i, j = np.divmod(total.reshape(len(total), -1).argmin(1), total.shape[2])
    rows = np.arange(len(total))
    first, last = a.nodes[rows, i], b.nodes[rows, j]
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
    arc_length = np.column_stack([np.zeros(len(path)), arc_length, total[rows, i, j]])
    t = torch.linspace(0.0, 1.0, n_segments + 1, dtype=torch.float64)
    nodes = curves.resample(torch.as_tensor(path), torch.as_tensor(arc_length), t)
    nodes[:, 0], nodes[:, -1] = torch.as_tensor(a.points), torch.as_tensor(b.points)
    return nodes


def _bridges(points, pairs):
    """Edges that join the components of the graph, each to its nearest neighbour in turn."""
    n = len(points)
    edges = np.ones(len(pairs))
    n_parts, part = connected_components(csr_matrix((edges, pairs.T), shape=(n, n)), directed=False)
    bridges = []
    while n_parts > 1:
        smallest = np.bincount(part).argmin()
        inside, outside = np.flatnonzero(part == smallest), np.flatnonzero(part != smallest)
        distance, nearest = cKDTree(points[outside]).query(points[inside])
        i = distance.argmin()
        bridges.append([inside[i], outside[nearest[i]]])
        part[inside] = part[bridges[-1][1]]
        part = np.unique(part, return_inverse=True)[1]
        n_parts -= 1
    return np.array(bridges, dtype=int).reshape(-1, 2)
