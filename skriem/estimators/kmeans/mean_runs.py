"""Restarts of k-means whose centres are Fréchet means, which geodesics are solved for."""

import numpy as np
import torch
from joblib import delayed
from sklearn.cluster import KMeans
from sklearn.metrics import pairwise_distances_argmin

from ...geometry.models import clustering
from ...support.parallel import results
from ...support.progress import Progress
from ...support.rows import distinct_rows

# Larger data sets settle on a sample of this size before the loop sees all of them.
N_SAMPLE = 500
# Steps of the k-means that finds representatives of larger ones.
N_CELL_ITER = 5


def cluster_by_means(metric, points, weights, settings, rng, n_jobs=None, verbose=0):
    """The best of several runs.

    Parameters
    ----------
    metric : Metric
    points : ndarray of shape (n, d)
    weights : ndarray of shape (n,)
    settings : Settings
    rng : RandomState
    n_jobs : int or None
    verbose : int

    Returns
    -------
    Clustering
    """
    z, w = _representatives(points, weights, rng)
    inits = [settings.init] * settings.n_runs + list(settings.further)
    kinds = (settings._replace(init=init) for init in inits)
    starts = [_first_centers(metric, z, w, kind, rng) for kind in kinds]
    tasks = (delayed(_run)(metric, z, w, *start, settings, verbose) for start in starts)
    return min(results(tasks, n_jobs), key=lambda run: run.inertia[-1])


def _representatives(points, weights, rng):
    """The points, or as many of them as a run can take, with the weights of those around."""
    if len(points) > clustering.MANY:
        cells = KMeans(
            clustering.MANY,
            init="random",
            n_init=1,
            max_iter=N_CELL_ITER,
            random_state=rng.randint(2**31 - 1),
        ).fit(points, sample_weight=weights)
        weights = np.bincount(cells.labels_, weights, minlength=clustering.MANY)
        points = points[pairwise_distances_argmin(cells.cluster_centers_, points)]
        points, weights = distinct_rows(points, weights)
    return torch.as_tensor(points), torch.as_tensor(weights)


def _first_centers(metric, z, weights, settings, rng):
    """Centres of one run, and rows of the sample it settles on first."""
    k = settings.n_clusters
    if not isinstance(settings.init, str):
        centers = torch.as_tensor(settings.init)
    elif settings.init == "random":
        rows = rng.choice(len(z), min(k, len(z)), replace=False)
        centers = z[np.resize(rows, k)]
    else:
        centers = z[clustering.seed(metric, z, k, weights, rng)]
    if len(z) <= 2 * N_SAMPLE:
        return centers, None
    n = max(N_SAMPLE, 20 * k)
    return centers, np.sort(rng.choice(len(z), min(n, len(z)), replace=False))


def _run(metric, z, weights, centers, sample, settings, verbose):
    """One run of the loop, on a sample first where there is one."""
    max_iter, tol = settings.max_iter, settings.tol
    if sample is not None:
        centers = clustering.lloyd(
            metric, z[sample], centers, weights[sample], max_iter, tol
        ).centers
    with Progress("RiemannianKMeans", "iteration", None, verbose) as progress:
        return clustering.lloyd(
            metric,
            z,
            centers,
            weights,
            max_iter,
            tol,
            lambda inertia: progress.step(f"inertia {inertia:.6g}"),
        )
