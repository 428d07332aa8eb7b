"""Restarts of k-means among points, where distances are paths through them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from sklearn.cluster import KMeans

from ...geometry.models.clustering import Clustering
from ...geometry.paths import medoids
from ...support.progress import Progress

# Restarts: distances are at hand, and a run takes no time. Of many points so many of the best go on
# among all.
N_RUNS, N_REFINED = 20, 2


class Settings(NamedTuple):
    """Parameters of k-means that all runs share."""

    n_clusters: int
    init: object  # "k-means++", "random" or points, an ndarray of shape (n_clusters, d)
    n_runs: int
    max_iter: int
    tol: float
    further: Sequence = ()  # centres of one more run each, like `init`


def straight_kmeans(x, weights, settings, rng):
    """scikit-learn's k-means with the same parameters, `init` in the coordinates of `x`."""
    return KMeans(
        settings.n_clusters,
        init=settings.init,
        n_init=settings.n_runs,
        max_iter=settings.max_iter,
        random_state=rng.randint(2**31 - 1),
    ).fit(x, sample_weight=weights)


def cluster_points(metric, points, weights, settings, rng, verbose=0):
    """Cluster points by paths among them, several times, and keep the lowest inertia.

    Parameters
    ----------
    metric : NearestNeighborMetric
    points : ndarray of shape (n, d)
    weights : ndarray of shape (n,)
    settings : Settings
    rng : RandomState
    verbose : int

    Returns
    -------
    Clustering
    """
    with Progress("RiemannianKMeans", "clustering", 1, verbose) as progress:
        if metric.power == 1.0:
            run = _straight(metric, points, weights, settings, rng)
        else:
            init = settings.init
            rows = None if isinstance(init, str) else metric.pairwise(init, points).argmin(1)
            found = best_medoids(metric.paths(points), weights, settings, rng, rows)
            centers = torch.as_tensor(points[found.rows])
            run = Clustering(centers, found.inertia, found.converged)
        progress.step(f"inertia {run.inertia[-1]:.6g}")
    return run


def best_medoids(among, weights, settings, rng, rows=None):
    """The run with the lowest inertia, of all points where only some took part at first.

    Parameters
    ----------
    among : Among
    weights : ndarray of shape (n,)
    settings : Settings
    rng : RandomState
    rows : ndarray of shape (k,) int or None
        The first centres, if they are given.

    Returns
    -------
    Medoids
    """
    sketch = among.sketch(weights, settings.n_clusters, rng, () if rows is None else rows)
    runs = {}
    for _ in range(settings.n_runs):
        if rows is None:
            first = _first_rows(sketch, settings, rng)
        else:
            first = np.searchsorted(sketch.rows, rows)
        run = medoids.alternate(
            sketch.squares, first, sketch.weights, settings.max_iter, settings.tol
        )
        runs.setdefault(tuple(np.sort(run.rows)), run)
    runs = sorted(runs.values(), key=lambda run: run.inertia[-1])
    if sketch.is_whole:
        return runs[0]
    starts = (sketch.rows[run.rows] for run in runs[:N_REFINED])
    refined = [
        medoids.refine(among, start, weights, settings.max_iter, settings.tol, rng)
        for start in starts
    ]
    return min(refined, key=lambda run: run.inertia[-1])


def _straight(metric, points, weights, settings, rng):
    """With a power of 1 distances are Euclidean and means are averages: ordinary k-means."""
    if len(points) <= settings.n_clusters:
        # Every point is a centre, and some are so more than once.
        centers = np.resize(points, (settings.n_clusters, points.shape[1]))
        return Clustering(torch.as_tensor(centers), [0.0], True)
    init = settings.init if isinstance(settings.init, str) else settings.init / metric.scale
    kmeans = straight_kmeans(points / metric.scale, weights, settings._replace(init=init), rng)
    centers = torch.as_tensor(kmeans.cluster_centers_ * metric.scale)
    converged = kmeans.n_iter_ < settings.max_iter
    return Clustering(centers, [kmeans.inertia_] * kmeans.n_iter_, converged)


def _first_rows(sketch, settings, rng):
    """Which of the points the centres of one run are at first."""
    if settings.init == "random":
        n = len(sketch.rows)
        rows = rng.choice(n, min(settings.n_clusters, n), replace=False)
        return np.resize(rows, settings.n_clusters)
    return medoids.seed_medoids(sketch.squares, settings.n_clusters, sketch.weights, rng)
