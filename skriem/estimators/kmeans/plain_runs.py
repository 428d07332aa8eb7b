"""The points at the centres of the parts of plain data."""

from typing import NamedTuple

import numpy as np

from ...geometry.paths import medoids


class PlainParts(NamedTuple):
    """Parts of the points of a metric, and of the rows that are at them."""

    point_labels: np.ndarray  # (n_points,) int
    centers: np.ndarray  # (k, d)
    labels: np.ndarray  # (n_rows,) int
    distances: np.ndarray  # (n_rows,), to the centres of their clusters
    central: np.ndarray  # (k,) int: rows that are the centres


def parts_of(metric, places, labels, weights, n_clusters, rng):
    """Parts of distinct rows, and their most central points.

    Parameters
    ----------
    metric : NearestNeighborMetric
        Of the rows or, where they are encoded, of their codes.
    places : ndarray of shape (n,) int
        The point of the metric at which every row is.
    labels : ndarray of shape (n,) int
    weights : ndarray of shape (n,)
    n_clusters : int
    rng : RandomState

    Returns
    -------
    PlainParts
    """
    mass = np.bincount(places, weights)
    point_labels = np.zeros(len(metric.points), dtype=np.intp)
    point_labels[places] = labels
    clusters, compact = np.unique(point_labels, return_inverse=True)
    graph = metric.graph
    central = medoids.central_members(graph.weights, graph.points, compact, mass, rng)
    distances = medoids.distances_to_own(graph.weights, central, compact)
    # Of fewer points than clusters some are centres more than once.
    centers = np.resize(central, n_clusters)
    centers[clusters] = central
    # Several rows may have one code: the first counts.
    rows = np.empty(len(metric.points), dtype=np.intp)
    rows[places[::-1]] = np.arange(len(places))[::-1]
    return PlainParts(
        point_labels,
        metric.points[centers],
        point_labels[places],
        distances[places],
        rows[centers],
    )
