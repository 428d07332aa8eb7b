"""The precision network: how sure the decoder is, and that it is unsure away from the data.

The precision of output j at code z is beta_j(z) = sum_k W_jk v_k(z) + zeta_j with Gaussian
bumps v_k around centres in the code space (Arvanitidis, Hansen and Hauberg, *Latent Space
Oddity*, ICLR 2018, section 4).
"""

import torch
from torch.nn.functional import linear


def rbf_features(z, centers, rates):
    """Gaussian bumps exp(-rate_k |z - c_k|^2), (n, K)."""
    offsets = z.unsqueeze(-2) - centers
    return torch.exp(-rates * offsets.square().sum(-1))


def rbf_precision(z, centers, rates, weights, floor):
    """Precision of every output, (n, m), from weights (m, K) > 0 and floor (m,) > 0."""
    return linear(rbf_features(z, centers, rates), weights, floor)


def linearise_rbf_std(z, centers, rates, weights, floor):
    """Standard deviation, one over the root of the precision, with its derivatives.

    Returns
    -------
    value : Tensor of shape (n, m)
    jacobian : Tensor of shape (n, d, m)
    curvature : callable
        Maps weights (n, m) to the weighted sums of the outputs' Hessians, (n, d, d).
    """
    features = rbf_features(z, centers, rates)
    offsets = (z.unsqueeze(-2) - centers).mT
    slopes = linear((-2.0 * features * rates).unsqueeze(1) * offsets, weights)
    precision = linear(features, weights, floor)
    std = precision.rsqrt()
    by_precision = -0.5 * std / precision

    def curvature(output_weights):
        bend = 0.75 * output_weights * std / precision.square()
        total = (slopes * bend.unsqueeze(1)) @ slopes.mT
        on_features = ((output_weights * by_precision) @ weights) * features * rates
        total = total + (offsets * (4.0 * on_features * rates).unsqueeze(1)) @ offsets.mT
        isotropic = 2.0 * on_features.sum(1)[:, None, None]
        return total - isotropic * torch.eye(z.shape[1], dtype=z.dtype, device=z.device)

    return std, by_precision.unsqueeze(1) * slopes, curvature


def bandwidth_rates(z, labels, centers, bandwidth):
    """Rates lambda_k = 1/2 (a * mean distance of the cluster's codes to its centre)^-2.

    A cluster of identical codes would have no width; it gets the smallest width that occurs
    among the others.
    """
    n_clusters = centers.shape[0]
    distances = (z - centers[labels]).norm(dim=1)
    counts = torch.bincount(labels, minlength=n_clusters).clamp(min=1)
    widths = torch.zeros(n_clusters, dtype=z.dtype).index_add_(0, labels, distances) / counts
    tiny = 1e-6 * distances.mean()
    positive = widths > tiny
    smallest = widths[positive].min() if positive.any() else torch.ones((), dtype=z.dtype)
    widths = torch.where(positive, widths, smallest)
    return 0.5 / (bandwidth * widths).square()


def fit_rbf_weights(features, squared_residuals, contrast, noise_floor, max_iter=200, tol=1e-4):
    """Maximum likelihood weights of the precision network, with the mean held fixed.

    The negative log-likelihood, sum beta r^2 - log beta, is convex in the weights because the
    precision is linear in them. Bounding -log of the sum by Jensen's inequality gives a
    multiplicative update that never increases the loss and keeps the weights positive.

    Parameters
    ----------
    features : Tensor of shape (n, K)
    squared_residuals : Tensor of shape (n, m)
    contrast : float
        The noise (standard deviation) far from all centres, as a multiple of the typical noise.
    noise_floor : float
        Variance added to every squared residual: no output is more precise than this allows.

    Returns
    -------
    weights : Tensor of shape (m, K)
    floor : Tensor of shape (m,)
    """
    noise = squared_residuals + noise_floor
    typical = 1.0 / noise.mean(0)
    floor = typical / contrast**2
    weights = typical[:, None].expand(-1, features.shape[1]) / features.sum(1).mean()
    total_noise = (noise.T @ features).clamp(min=torch.finfo(features.dtype).tiny)
    for _ in range(max_iter):
        precision = features @ weights.T + floor
        ratio = ((1.0 / precision).T @ features) / total_noise
        weights = weights * ratio
        if (weights * (1.0 - 1.0 / ratio)).abs().amax() <= tol * weights.amax():
            break
    return weights, floor
