"""Points to integrate with: drawn around the data, each with the volume it stands for."""

from typing import NamedTuple

import numpy as np
import torch
from scipy.special import ndtri
from scipy.stats.qmc import Sobol

# Independently shifted copies of one low-discrepancy sequence; their spread is the error.
N_REPLICATES = 8
# A distribution lies anywhere between its points' kernel density and one Gaussian, and while it
# is fitted it may grow over points that were not its own: these shares are drawn from Gaussians
# of WIDE_SCALE times the standard deviations of its points, and of all points.
WIDE_SHARES, WIDE_SCALE = (0.6, 0.1), 1.25


class Reference(NamedTuple):
    """Points for every component to integrate with."""

    points: torch.Tensor  # (k, s, d)
    log_mass: torch.Tensor  # (k, s): log of the volume that each stands for


class Gaussians(NamedTuple):
    """Weighted Gaussians of one shape and several sizes. A density is a list of these."""

    centers: torch.Tensor  # (m, d)
    weights: torch.Tensor  # (m,), summing to one over the list
    scales: torch.Tensor  # (m,)
    factor: torch.Tensor  # (d, d) Cholesky factor of the covariance at scale one


def kernel_density(z, weights, reg_covar):
    """Kernel density of weighted points, of Scott's bandwidth and their own shape, and two wide
    Gaussians, around them and around all points alike.

    Parameters
    ----------
    z : Tensor of shape (n, d)
    weights : Tensor of shape (n,)
    reg_covar : float
        Added to the diagonal of the covariance.

    Returns
    -------
    list of Gaussians
    """
    # In the order of one coordinate: neighbours among the uniform numbers are then neighbours
    # in space, which quasi-random points thank with accuracy.
    order = torch.argsort(z[:, 0])
    z, weights = z[order], weights[order]
    # Points none of which belongs to a component are all as good.
    weights = (
        weights / weights.sum() if weights.sum() > 0.0 else torch.full_like(weights, 1.0 / len(z))
    )
    mean, factor = _moments(z, weights, reg_covar)
    bandwidth = weights.square().sum() ** (1.0 / (z.shape[1] + 4.0))
    wide = z.new_tensor(WIDE_SHARES)
    own = Gaussians(
        torch.cat([z, mean[None]]),
        torch.cat([(1.0 - wide.sum()) * weights, wide[:1]]),
        torch.cat([bandwidth.expand(len(z)), bandwidth.new_tensor([WIDE_SCALE])]),
        factor,
    )
    mean, factor = _moments(z, torch.full_like(weights, 1.0 / len(z)), reg_covar)
    return [own, Gaussians(mean[None], wide[1:], wide.new_tensor([WIDE_SCALE]), factor)]


def kernel_densities(places, shares, reg_covar):
    """A :func:`kernel_density` for each of k components, of places (k, m, d), shares (k, m)."""
    return [kernel_density(*one, reg_covar) for one in zip(places, shares)]


def references(metric, densities, n, rng):
    """As many points as asked drawn evenly from every one of k densities.

    Returns
    -------
    Reference
    """
    points, log_mass = [], []
    for density in densities:
        uniforms = even_uniforms(n // N_REPLICATES, metric.n_dims + 1, rng)
        points.append(draw(density, uniforms))
        log_volume = metric.log_volume(points[-1])
        log_mass.append(log_volume - log_density(density, points[-1]) - np.log(n))
    return Reference(torch.stack(points), torch.stack(log_mass))


def _moments(z, weights, reg_covar):
    """Mean (d,) and Cholesky factor of the covariance (d, d)."""
    mean = weights @ z
    covariance = ((z - mean) * weights[:, None]).mT @ (z - mean)
    covariance += reg_covar * torch.eye(len(mean), dtype=z.dtype, device=z.device)
    return mean, torch.linalg.cholesky(covariance)


def log_density(density, points):
    """Log density with respect to Lebesgue measure, (n,)."""
    return torch.logsumexp(torch.stack([_log_density(part, points) for part in density]), dim=0)


def _log_density(part, points):
    d = points.shape[1]
    whitened = [
        torch.linalg.solve_triangular(part.factor, x.mT, upper=False).mT
        for x in (points, part.centers)
    ]
    distances = torch.cdist(*whitened) / part.scales
    kernels = part.weights.log() - d * part.scales.log() - 0.5 * distances.square()
    log_det = part.factor.diagonal().log().sum()
    return torch.logsumexp(kernels, dim=1) - log_det - 0.5 * d * np.log(2.0 * np.pi)


def draw(density, uniforms):
    """Points of the density from uniform numbers (n, d + 1): one chooses the centre."""
    edges = torch.cat([part.weights for part in density]).cumsum(0)
    chosen = torch.searchsorted(edges, uniforms[:, 0].contiguous()).clamp(max=len(edges) - 1)
    normal = torch.as_tensor(ndtri(uniforms[:, 1:].numpy()))
    points, first = torch.empty_like(normal), 0
    for part in density:
        rows = (chosen >= first) & (chosen < first + len(part.centers))
        k = chosen[rows] - first
        points[rows] = part.centers[k] + part.scales[k, None] * (normal[rows] @ part.factor.mT)
        first += len(part.centers)
    return points


def even_uniforms(n, d, rng):
    """Randomly shifted Sobol points, `N_REPLICATES` independent blocks of n each, (8 n, d)."""
    base = Sobol(d, scramble=False).random(n)
    shifts = rng.uniform(size=(N_REPLICATES, 1, d))
    # Away from the ends, where a normal quantile would be infinite.
    uniforms = np.clip((base + shifts) % 1.0, 1e-12, 1.0 - 1e-12)
    return torch.as_tensor(uniforms.reshape(-1, d))
