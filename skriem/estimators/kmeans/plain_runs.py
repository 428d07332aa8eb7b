"""A partition of plain data, and the points at the centres of its parts."""

from typing import NamedTuple

import numpy as np

from ...geometry.paths import medoids
from .partitions import Partition


class PlainClustering(NamedTuple):
    """The partition that shows in plain data."""

    best: Partition
    conductances: dict  # of all that were tried, by name
    point_labels: np.ndarray  # (n_points,) int, of the points of the metric
    centers: np.ndarray  # (k, d)
    labels: np.ndarray  # (n_rows,) int
    distances: np.ndarray  # (n_rows,), to the centres of their clusters
    central: np.ndarray  # (k,) int: rows that are the centres


def cluster_plain(metric, candidates, settings, embedded, rng, verbose=0):
    """Choose a partition of distinct rows, and find its most central points.

    Parameters
    ----------
    metric : NearestNeighborMetric
        Of the rows or, where they are encoded, of their codes.
    candidates : Candidates
    settings, embedded : Settings
        With `init` in the coordinates of the rows and of the metric.
    rng : RandomState
    verbose : int

    Returns
    -------
    PlainClustering
    """
    k, at = settings.n_clusters, candidates.places
    mass = np.bincount(at, candidates.weights)
    found = candidates.of(settings, embedded, rng, verbose)
    best = candidates.simplest(found)
    point_labels = np.zeros(len(metric.points), dtype=np.intp)
    point_labels[at] = best.labels
    clusters, compact = np.unique(point_labels, return_inverse=True)
    graph = metric.graph
    central = medoids.central_members(graph.weights, graph.points, compact, mass, rng)
    distances = medoids.distances_to_own(graph.weights, central, compact)
    # Of fewer points than clusters some are centres more than once.
    centers = np.resize(central, k)
    centers[clusters] = central
    # Several rows may have one code: the first counts.
    rows = np.empty(len(metric.points), dtype=np.intp)
    rows[at[::-1]] = np.arange(len(at))[::-1]
    return PlainClustering(
        best,
        {partition.name: partition.conductance for partition in found},
        point_labels,
        metric.points[centers],
        point_labels[at],
        distances[at],
        rows[centers],
    )
