"""Graphs of points whose shortest paths, over powers of distances, are those of all pairs."""

from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components, dijkstra
from scipy.spatial import Delaunay, QhullError

from .graph import distinct_pairs, neighbor_pairs, symmetric_weights
from .neighbors import EXACT, joints, nearest_points

# A triangulation has all edges of shortest paths; in so many dimensions, and of at most so many
# points, there is one.
MOST_TRIANGULATED = {2: 2_000_000, 3: 100_000}
# Of at most so many points every pair is looked at.
MOST_COMPARED = 2000
# Components of a graph from all of whose points there are edges to the others.
N_CROSSED = 100
# Points from which errors are measured.
N_MEASURED = 20


class PointGraph(NamedTuple):
    """Neighbour graph of the points, edges measured in the metric."""

    points: np.ndarray  # (N, d), scaled
    weights: csr_matrix  # (N, N), symmetric


def sufficient_pairs(points, index, power):
    """Pairs that hold all edges of shortest paths through the complete graph.

    Parameters
    ----------
    points : ndarray of shape (n, d)
    index : ndarray of shape (n, k) int
        Neighbours of every point.
    power : float
        Of the distances that add up along a path; at least 1.

    Returns
    -------
    ndarray of shape (m, 2) int or None
        None if there would be too many.
    """
    # An edge of a shortest path has no point within the ball around it if squares or higher
    # powers add up; such edges are those of the Gabriel graph, which is part of the triangulation.
    if power >= 2.0 and len(points) <= MOST_TRIANGULATED.get(points.shape[1], 0):
        try:
            corners = Delaunay(points - points.mean(0)).simplices
        except (QhullError, ValueError):
            # Too few points, or all of them on a line or plane.
            pass
        else:
            sides = [corners[:, [i, j]] for i in range(corners.shape[1]) for j in range(i)]
            return distinct_pairs(*np.concatenate(sides).T, len(points))
    if power > 1.0 and len(points) <= MOST_COMPARED:
        return unbeaten_pairs(points, index, power)
    return None


def unbeaten_pairs(points, index, power):
    """Pairs between which no way by a near neighbour of either is shorter than the straight one.

    Parameters
    ----------
    points, index, power
        See :func:`sufficient_pairs`.

    Returns
    -------
    ndarray of shape (m, 2) int
        The lower row first.
    """
    points = torch.tensor(points)
    lengths = torch.cdist(points, points, compute_mode=EXACT).pow_(power)
    by_way = torch.full_like(lengths, np.inf)
    for column in torch.as_tensor(index).mT:
        step = lengths.gather(1, column[:, None])
        torch.minimum(by_way, lengths[column].add_(step), out=by_way)
    by_way = torch.minimum(by_way, by_way.mT)
    return (lengths <= by_way).triu_(1).nonzero().numpy()


def neighbor_edges(points, index):
    """Pairs of neighbours, and what joins all points to each other, (m, 2) int."""
    pairs = neighbor_pairs(index)
    graph = csr_matrix((np.ones(len(pairs)), pairs.T), shape=(len(points),) * 2)
    return np.concatenate([pairs, crossings(points, graph), joints(points, graph)])


def crossings(points, graph):
    """Edges from every point of a component of the graph to the nearest point of the others."""
    n_parts, part = connected_components(graph, directed=False)
    found = []
    for k in range(n_parts if 1 < n_parts <= N_CROSSED else 0):
        inside, outside = np.flatnonzero(part == k), np.flatnonzero(part != k)
        nearest = nearest_points(points[outside], points[inside], 1)[1][:, 0]
        found.append(np.stack([inside, outside[nearest]], axis=1))
    return np.concatenate([np.empty((0, 2), dtype=int), *found])


def excess_of_neighbors(points, n_neighbors, power, rng):
    """By what shares paths through neighbours, or straight, are longer than the shortest.

    The shortest are those through the complete graph. Measured among some of the points, from a
    few of them to all.

    Parameters
    ----------
    points : ndarray of shape (n, d)
    n_neighbors : int
    power : float
        Of the distances that add up along a path; above 1.
    rng : RandomState

    Returns
    -------
    ndarray of shape (n_paths,)
    """
    n = min(MOST_COMPARED, len(points))
    points = points[rng.choice(len(points), n, replace=False)]
    index = nearest_points(points, points, n_neighbors + 1)[1][:, 1:]
    sources = np.arange(min(N_MEASURED, n))
    rough, exact = (
        dijkstra(power_graph(points, pairs, power), indices=sources)
        for pairs in (neighbor_edges(points, index), unbeaten_pairs(points, index, power))
    )
    straight = np.linalg.norm(points[sources, None] - points, axis=2) ** power
    apart = exact > 0.0
    return (np.minimum(rough, straight)[apart] / exact[apart] - 1.0).clip(0.0)


def power_graph(points, pairs, power):
    """Edges as long as powers of the distances between their ends, a sparse matrix (n, n)."""
    lengths = np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1) ** power
    return symmetric_weights(pairs, lengths, len(points))
