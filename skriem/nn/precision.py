"""The precision network: how sure the decoder is, and that it is unsure away from the data.

The precision of output j at code z is beta_j(z) = sum_k W_jk v_k(z) + zeta_j with Gaussian
bumps v_k around centres in the code space (Arvanitidis, Hansen and Hauberg, *Latent Space
Oddity*, ICLR 2018, section 4).
"""

import torch
from torch.nn.functional import linear

from ..calculus.linearised import Jet, Linearised
from .weighted import Noise, Weighted

# Bumps: at most, and samples for each.
MAX_CENTERS, SAMPLES_PER_CENTER = 64, 8
PRIOR_SAMPLES = 1.0
# Bumps that samples see less of than this, all together, are no measure of precision.
LEAST_SEEN = 1e-3


def usual_n_centers(n_samples):
    """How many bumps so many samples can carry."""
    return min(MAX_CENTERS, max(1, n_samples // SAMPLES_PER_CENTER))


def rbf_features(z, centers, rates):
    """Gaussian bumps exp(-rate_k |z - c_k|^2), (n, K)."""
    # Squared distances multiplied out: one matrix product in place of an (n, K, d) array.
    cross = linear(z, 2.0 * rates[:, None] * centers, -rates * centers.square().sum(-1))
    exponent = cross - rates * z.square().sum(-1, keepdim=True)
    return torch.exp(exponent.clamp(max=0.0))


class RBFPrecision(Weighted):
    """Precision of every output, (n, m): a sum of bumps with weights, and a floor.

    Parameters
    ----------
    parts : sequence of ndarray or Tensor
        Centres (K, d) and rates (K,) of the bumps, weights (m, K) > 0, floor (m,) > 0.
    """

    def __call__(self, z):
        centers, rates, weights, floor = self.parts
        return linear(rbf_features(z, centers, rates), weights, floor)

    def linearise(self, z):
        centers, rates, weights, floor = self.parts
        features = rbf_features(z, centers, rates)
        # In this order in memory, or the matrix product below takes five times as long.
        offsets = z.unsqueeze(-1) - centers.T.contiguous()
        slopes = linear((-2.0 * features * rates).unsqueeze(1) * offsets, weights)

        def curvature(output_weights):
            on_features = (output_weights @ weights) * features * rates
            total = (offsets * (4.0 * on_features * rates).unsqueeze(1)) @ offsets.mT
            isotropic = 2.0 * on_features.sum(1)[:, None, None]
            return total - isotropic * torch.eye(z.shape[1], dtype=z.dtype, device=z.device)

        return Linearised(linear(features, weights, floor), slopes, curvature)

    def jet(self, z, direction):
        centers, rates, weights, floor = self.parts
        features = rbf_features(z, centers, rates)
        along = (direction * z).sum(1, keepdim=True) - direction @ centers.T
        slope = -2.0 * rates * along
        bend = slope.square() - 2.0 * rates * direction.square().sum(1, keepdim=True)
        moved, bent = linear(features * slope, weights), linear(features * bend, weights)
        return Jet(linear(features, weights, floor), moved, bent)

    def bend(self, z, direction):
        return self.jet(z, direction).bend


class RBFNoise(Noise):
    """Standard deviation of every output, one over the root of its precision, (n, m).

    Parameters
    ----------
    parts : sequence of ndarray or Tensor
        See :class:`RBFPrecision`.
    """

    is_separable = True

    @property
    def precision(self):
        """The network that it is the inverse root of."""
        return RBFPrecision(self.parts)

    def __call__(self, z):
        return self.precision(z).rsqrt()

    def linearise(self, z):
        return _inverse_root(self.precision.linearise(z))

    def bend(self, z, direction):
        return _inverse_root(self.precision.jet(z, direction)).bend

    def sampled(self, kept, scale):
        """Some of the outputs (arrays), each times a number.

        Parameters
        ----------
        kept : ndarray of shape (n_kept,), int
        scale : ndarray of shape (n_kept,)
        """
        centers, rates, weights, floor = self.parts
        square = scale**2
        return RBFNoise([centers, rates, weights[kept] / square[:, None], floor[kept] / square])


def _inverse_root(precision):
    std = precision.value.rsqrt()
    return precision.then(std, -0.5 * std / precision.value, 0.75 * std / precision.value.square())


def bandwidth_rates(z, sample_weight, labels, centers, bandwidth):
    """Rates lambda_k = 1/2 (a * mean distance of the cluster's codes to its centre)^-2.

    A cluster of identical codes would have no width; it gets the smallest width that occurs
    among the others.
    """
    distances = (z - centers[labels]).norm(dim=1)
    zeros = torch.zeros(len(centers), dtype=z.dtype)
    total = zeros.index_add(0, labels, sample_weight)
    widths = zeros.index_add(0, labels, sample_weight * distances) / total.clamp(min=1e-300)
    positive = widths > 1e-6 * distances.mean()
    smallest = widths[positive].min() if positive.any() else torch.ones((), dtype=z.dtype)
    widths = torch.where(positive, widths, smallest)
    return 0.5 / (bandwidth * widths).square()


def fit_rbf_weights(features, noise, sample_weight, contrast, max_iter=200, tol=1e-4):
    """Weights of the precision network, with the mean held fixed.

    The negative log-likelihood, sum beta r^2 - log beta, is convex in the weights because the
    precision is linear in them. Bounding -log of the sum by Jensen's inequality gives a
    multiplicative update that never increases the loss and keeps the weights positive. A
    gamma prior worth one sample per weight, centred on the typical noise, keeps a weight that
    few samples see from fitting their accidents.

    Parameters
    ----------
    features : Tensor of shape (n, K)
    noise : Tensor of shape (n, m)
        Squared residuals r^2 > 0.
    sample_weight : Tensor of shape (n,)
    contrast : float
        The noise (standard deviation) far from all centres, as a multiple of the typical noise.

    Returns
    -------
    weights : Tensor of shape (m, K)
    floor : Tensor of shape (m,)
    """
    weighted = sample_weight[:, None] * features
    typical = sample_weight.sum() / (sample_weight @ noise)
    floor = typical / contrast**2
    seen = (weighted.sum() / sample_weight.sum()).clamp(min=LEAST_SEEN)
    prior = (typical / seen)[:, None]
    weights = prior.expand(-1, features.shape[1])
    rate = noise.T @ weighted + PRIOR_SAMPLES / prior
    for _ in range(max_iter):
        precision = linear(features, weights, floor)
        updated = (weights * (precision.reciprocal().T @ weighted) + PRIOR_SAMPLES) / rate
        change = (updated - weights).abs().amax()
        weights = updated
        if change <= tol * weights.amax():
            break
    return weights, floor
