"""A partition of plain data, and the points at the centres of its parts."""

from typing import NamedTuple

import numpy as np

from ...geometry import NearestNeighborMetric
from ...geometry.paths import medoids
from .medoid_runs import cluster_points
from .partitions import Partition

# The power of paths among codes, unless the metric's is lower: layouts make gaps wide, and sparse
# places within a cluster are none.
SOFTER = 1.5


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
    k, codes = settings.n_clusters, candidates.codes
    at, mass = np.arange(len(candidates.X)), candidates.weights
    if codes is not None:
        at = metric.nearest(codes)
        mass = np.bincount(at, mass)
    found = candidates.of(settings, rng)
    if codes is not None:
        found.insert(0, _among_codes(metric, candidates, mass, embedded, rng, verbose))
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


def _among_codes(metric, candidates, mass, settings, rng, verbose):
    """K-means by paths among codes, under the metric with a power of its own."""
    softer = NearestNeighborMetric(metric.points, metric.scale, min(metric.power, SOFTER))
    among = cluster_points(softer, softer.points, mass, settings, rng, verbose)
    labels = softer.pairwise(candidates.codes, among.centers.numpy()).argmin(1)
    return candidates.judge("paths among codes", labels, settings.n_clusters)
