"""A mixture of normal distributions that begins with a partition."""

import numpy as np
from scipy.linalg import cholesky, solve_triangular

# Steps at most, and the gain in mean log likelihood below which it ends.
N_ITER, TOL = 60, 1e-4
# Share of the mean variance that is added to every covariance matrix.
RIDGE = 1e-4
# Samples that take part.
MAX_FITTED = 4000


def mixture_from_partition(points, labels, weights, n_clusters, rng):
    """Expectation maximisation from a partition, and the most likely component of every point.

    Parameters
    ----------
    points : ndarray of shape (n, d)
    labels : ndarray of shape (n,) int
        From 0 to `n_clusters` - 1, none of them empty.
    weights : ndarray of shape (n,)
    n_clusters : int
    rng : RandomState
        Draws the samples that take part if there are many.

    Returns
    -------
    ndarray of shape (n,) int
    """
    rows = np.arange(len(points))
    if len(points) > MAX_FITTED:
        rows = np.sort(rng.choice(len(points), MAX_FITTED, replace=False))
    x, w = points[rows], weights[rows]
    ridge = (
        RIDGE * np.average((x - np.average(x, axis=0, weights=w)) ** 2, axis=0, weights=w).mean()
    )
    shares = np.eye(n_clusters)[labels[rows]]
    last = -np.inf
    for _ in range(N_ITER):
        components = _components(x, shares * w[:, None], ridge)
        joint = _log_densities(x, *components)
        top = joint.max(1, keepdims=True)
        shares = np.exp(joint - top)
        total = shares.sum(1, keepdims=True)
        shares /= total
        likelihood = np.average((top + np.log(total))[:, 0], weights=w)
        if likelihood - last < TOL:
            break
        last = likelihood
    return _log_densities(points, *components).argmax(1)


def _components(x, shares, ridge):
    """Log weights (k,), means (k, d) and Cholesky factors of covariances (k, d, d)."""
    mass = shares.sum(0) + np.finfo(float).tiny
    means = (shares.T @ x) / mass[:, None]
    factors = []
    for mean, share, m in zip(means, shares.T, mass):
        off = x - mean
        covariance = (off.T * share) @ off / m
        covariance[np.diag_indices_from(covariance)] += ridge
        factors.append(cholesky(covariance, lower=True))
    return np.log(mass / mass.sum()), means, np.array(factors)


def _log_densities(x, log_weights, means, factors):
    """Log of weight times density of every component, (n, k), but for a constant."""
    joint = np.empty((len(x), len(means)))
    for k, (mean, factor) in enumerate(zip(means, factors)):
        off = solve_triangular(factor, (x - mean).T, lower=True)
        log_det = np.log(np.diag(factor)).sum()
        joint[:, k] = log_weights[k] - 0.5 * np.square(off).sum(0) - log_det
    return joint
