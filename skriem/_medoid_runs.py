"""Restarts of k-means among points, where distances are paths through them."""

from typing import NamedTuple

import numpy as np
import torch
from sklearn.cluster import KMeans

from ._progress import Progress
from .geometry import medoids
from .geometry.clustering import MANY, Clustering

# Restarts: distances are at hand, and a run takes no time.
N_RUNS = 20


class Settings(NamedTuple):
    """Parameters of k-means that all runs share."""

    n_clusters: int
    init: object  # "k-means++", "random" or points, an ndarray of shape (n_clusters, d)
    n_runs: int
    max_iter: int
    tol: float


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
    everything = points, weights
    with Progress("RiemannianKMeans", "clustering", 1, verbose) as progress:
        if metric.power == 1.0:
            run = _straight(metric, *everything, settings, rng)
        else:
            if len(points) > MANY:
                # At random, so that they lie where the points do.
                kept = np.sort(rng.choice(len(points), MANY, replace=False))
                points, weights = points[kept], weights[kept]
            distances = metric.pairwise(points)
            run = _best_run(metric, distances, points, weights, *everything, settings, rng)
        progress.step(f"inertia {run.inertia[-1]:.6g}")
    return run


def _best_run(metric, distances, points, weights, all_points, all_weights, settings, rng):
    """The run with the lowest inertia, of all points where only some took part."""
    squares, runs = distances**2, {}
    for _ in range(settings.n_runs):
        rows = _first_rows(metric, squares, points, weights, settings, rng)
        run = medoids.alternate(squares, rows, weights, settings.max_iter, settings.tol)
        runs.setdefault(tuple(np.sort(run.rows)), run)

    runs = list(runs.values())
    inertia = [run.inertia[-1] for run in runs]
    if len(points) < len(all_points):
        rows, place = np.unique(np.concatenate([run.rows for run in runs]), return_inverse=True)
        to_any = metric.pairwise(all_points, points[rows])
        inertia = [
            all_weights @ to_any[:, columns].min(1) ** 2 for columns in np.split(place, len(runs))
        ]
    best = runs[int(np.argmin(inertia))]
    return Clustering(torch.as_tensor(points[best.rows]), best.inertia, best.converged)


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


def _first_rows(metric, squares, points, weights, settings, rng):
    """Which of the points the centres of one run are at first."""
    if not isinstance(settings.init, str):
        return metric.pairwise(settings.init, points).argmin(1)
    if settings.init == "random":
        rows = rng.choice(len(points), min(settings.n_clusters, len(points)), replace=False)
        return np.resize(rows, settings.n_clusters)
    return medoids.seed_medoids(squares, settings.n_clusters, weights, rng)
