"""Shortest paths through data as curves: their corners, and the length along them."""

import numpy as np
from scipy.sparse.csgraph import dijkstra

from .neighbors import nearest_points

# Parts of each straight piece.
N_PARTS = 8


def polygons(ground, graph, first, last, direct):
    """Shortest paths between places, each through data or straight.

    Parameters
    ----------
    ground : Ground
    graph : PointGraph
        Of the data.
    first, last : Attached
        The ends of n paths.
    direct : sequence of n float
        Lengths of the straight lines.

    Returns
    -------
    points : ndarray of shape (n, n_points, d)
        In the coordinates of the ground. The end is repeated where a path has fewer corners.
    arc_length : ndarray of shape (n, n_points)
    n_pieces : int
    """
    n, d = first.points.shape
    paths = [
        _corners(graph, first.rows(slice(i, i + 1)), last.rows(slice(i, i + 1)), direct[i])
        for i in range(n)
    ]
    n_corners = max(map(len, paths), default=2)
    corners = np.array([[*path, *[path[-1]] * (n_corners - len(path))] for path in paths])
    corners = corners.reshape(n, n_corners, d)
    steps = np.diff(corners, axis=1)
    share = np.arange(N_PARTS + 1) / N_PARTS
    places = corners[:, :-1, None] + share[:, None] * steps[:, :, None]
    rise = _rise(ground, corners, places)
    before = np.cumsum(rise[:, :, -1], axis=1) - rise[:, :, -1]
    n_points = (n_corners - 1) * N_PARTS
    arc_length = (before[:, :, None] + rise)[:, :, :-1].reshape(n, n_points)
    points = places[:, :, :-1].reshape(n, n_points, d)
    total = rise[:, :, -1].sum(1, keepdims=True)
    return (
        np.concatenate([points, corners[:, -1:]], axis=1),
        np.concatenate([arc_length, total], axis=1),
        n_corners - 1,
    )


def _corners(graph, start, end, direct):
    """Corners of the shortest path between two places, both included, (k, d)."""
    corners = []
    distances, before = dijkstra(graph.weights, indices=start.nodes[0], return_predecessors=True)
    total = start.distances[0][:, None] + distances[:, end.nodes[0]] + end.distances[0]
    i, j = np.unravel_index(total.argmin(), total.shape)
    if total[i, j] < direct:
        node = end.nodes[0, j]
        while node >= 0:
            corners.append(graph.points[node])
            node = before[i, node]
    return np.array([start.points[0], *corners[::-1], end.points[0]])


def _rise(ground, corners, places):
    """Length from the start of each straight piece to places on it, (n, n_pieces, n_places)."""
    r = nearest_points(ground.points, corners.reshape(-1, corners.shape[2]), 1)[0]
    r = r.reshape(*corners.shape[:2])
    length = np.linalg.norm(np.diff(corners, axis=1), axis=2)[:, :, None]
    way = np.linspace(0.0, 1.0, places.shape[2]) * length
    # From one datum to another each half is nearer to its own end.
    rise = ground.to_data(way)
    rise = np.where(2.0 * way <= length, rise, ground.at_most(length) - rise[:, :, ::-1])
    i, k = np.nonzero((r[:, :-1] > 0.0) | (r[:, 1:] > 0.0))
    ends = (places[i, k, part].reshape(-1, places.shape[3]) for part in (np.s_[:-1], np.s_[1:]))
    parts = ground.along(*ends).reshape(len(i), places.shape[2] - 1)
    rise[i, k] = np.cumsum(np.pad(parts, ((0, 0), (1, 0))), axis=1)
    return rise
