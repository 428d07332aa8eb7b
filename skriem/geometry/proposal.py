"""Points to integrate with: drawn around the data, each with the volume it stands for."""

from typing import NamedTuple

import numpy as np
import torch
from scipy.special import ndtri
from scipy.stats.qmc import Sobol

# Independently shifted copies of one low-discrepancy sequence; their spread is the error.
N_REPLICATES = 8
# A distribution lies anywhere between its points' kernel density and one Gaussian: this share is
# drawn from a Gaussian of this many times the points' standard deviations.
WIDE_SHARE, WIDE_SCALE = 0.5, 1.25
MAX_CENTERS = 1000


class Proposal(NamedTuple):
    """A density: Gaussians of one shape and several sizes around weighted centres."""

    centers: torch.Tensor  # (m, d)
    weights: torch.Tensor  # (m,), summing to one
    scales: torch.Tensor  # (m,)
    factor: torch.Tensor  # (d, d) Cholesky factor of the covariance at scale one


def kernel_density(z, weights, reg_covar, diagonal=False):
    """Kernel density of weighted points, of Scott's bandwidth and their own shape, and a wide
    Gaussian.

    Parameters
    ----------
    z : Tensor of shape (n, d)
    weights : Tensor of shape (n,)
    reg_covar : float
        Added to the diagonal of the covariance.
    diagonal : bool
        Whether only the diagonal of the covariance is used.

    Returns
    -------
    Proposal
    """
    d = z.shape[1]
    weights = weights / weights.sum()
    mean = weights @ z
    covariance = ((z - mean) * weights[:, None]).mT @ (z - mean)
    covariance += reg_covar * torch.eye(d, dtype=z.dtype, device=z.device)
    if diagonal:
        covariance = covariance.diagonal().diag()
    bandwidth = weights.square().sum() ** (1.0 / (d + 4.0))
    return Proposal(
        torch.cat([z, mean[None]]),
        torch.cat([(1.0 - WIDE_SHARE) * weights, weights.new_tensor([WIDE_SHARE])]),
        torch.cat([bandwidth.expand(len(z)), bandwidth.new_tensor([WIDE_SCALE])]),
        torch.linalg.cholesky(covariance),
    )


def log_density(proposal, points):
    """Log density with respect to Lebesgue measure, (n,)."""
    d = points.shape[1]
    whitened = [
        torch.linalg.solve_triangular(proposal.factor, x.mT, upper=False).mT
        for x in (points, proposal.centers)
    ]
    distances = torch.cdist(*whitened) / proposal.scales
    kernels = proposal.weights.log() - d * proposal.scales.log() - 0.5 * distances.square()
    log_det = proposal.factor.diagonal().log().sum()
    return torch.logsumexp(kernels, dim=1) - log_det - 0.5 * d * np.log(2.0 * np.pi)


def draw(proposal, uniforms):
    """Points of the density from uniform numbers (n, d + 1): one chooses the centre."""
    edges = proposal.weights.cumsum(0)
    chosen = torch.searchsorted(edges, uniforms[:, 0].contiguous()).clamp(max=len(edges) - 1)
    normal = torch.as_tensor(ndtri(uniforms[:, 1:].numpy()))
    return proposal.centers[chosen] + proposal.scales[chosen, None] * (normal @ proposal.factor.mT)


def even_uniforms(n, d, rng):
    """Randomly shifted Sobol points, `N_REPLICATES` independent blocks of n each, (8 n, d)."""
    base = Sobol(d, scramble=False).random(n)
    shifts = rng.uniform(size=(N_REPLICATES, 1, d))
    # Away from the ends, where a normal quantile would be infinite.
    uniforms = np.clip((base + shifts) % 1.0, 1e-12, 1.0 - 1e-12)
    return torch.as_tensor(uniforms.reshape(-1, d))
