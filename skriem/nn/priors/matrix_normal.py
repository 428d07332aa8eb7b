"""Posterior of a linear map between codes with normal noise: a matrix normal Wishart distribution.

The model is next = M (code, 1) + noise, with precision ~ Wishart and the rows of M normal with that
precision. Statistics of codes are added to natural parameters, as in :mod:`.conjugate`
(Bishop, *Pattern recognition and machine learning*, section 3.3, for several outputs).
"""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from .potentials import inverse

# What is assumed of a map before there are codes: that these stay where they are, as if so many
# had been seen to, and the scatter of the noise.
CERTAINTY, SCATTER = 1e-2, 1e-2


@dataclass(frozen=True)
class Linear:
    """A matrix normal Wishart distribution by its natural parameters, for codes of d dimensions
    and inputs of p = d + 1: what sums of statistics are added to.
    """

    nu: Tensor  # (1,): degrees of freedom
    inputs: Tensor  # (p, p): precision of a row of the map, in precisions of the noise
    products: Tensor  # (p, d): the same times the transposed map
    outputs: Tensor  # (d, d): inverse scale matrix, and what the map explains of the scatter

    @cached_property
    def spread(self):
        """Covariance of a row of the map, in covariances of the noise, (p, p)."""
        return inverse(self.inputs)[0]

    @cached_property
    def map(self):
        """Mean of the map, (d, p)."""
        return (self.spread @ self.products).mT

    @cached_property
    def scale(self):
        """Inverse scale matrix of the Wishart distribution, (d, d)."""
        found = self.outputs - self.map @ self.products
        return 0.5 * (found + found.mT)

    @property
    def covariance(self):
        """Inverse of the expected precision of the noise, (d, d)."""
        return self.scale / self.nu

    def tensors(self):
        """All natural parameters."""
        return [self.nu, self.inputs, self.products, self.outputs]


def linear_prior(d):
    """What is assumed of a map before there are codes."""
    map_ = torch.eye(d, d + 1, dtype=torch.float64)
    inputs = CERTAINTY * torch.eye(d + 1, dtype=torch.float64)
    return Linear(
        nu=torch.full((1,), d + 2.0, dtype=torch.float64),
        inputs=inputs,
        products=inputs @ map_.mT,
        outputs=SCATTER * torch.eye(d, dtype=torch.float64) + map_ @ inputs @ map_.mT,
    )


def moved(present, prior, statistics, rate):
    """A natural-gradient step: towards the prior and the statistics of all data together."""
    together = zip(present.tensors(), prior.tensors(), statistics)
    return Linear(*(torch.lerp(old, base + new, rate) for old, base, new in together))


def precision_means(linear):
    """Expected precision (d, d), and the expected logarithm of its determinant, a number."""
    d = len(linear.outputs)
    found, log_det = inverse(linear.scale)
    steps = torch.arange(d, dtype=linear.nu.dtype)
    digammas = torch.digamma(0.5 * (linear.nu - steps)).sum()
    return linear.nu * found, digammas + d * math.log(2.0) - log_det


def linear_divergence(q, p):
    """Kullback-Leibler divergence of matrix normal Wishart distributions, a number."""
    d, n_inputs = q.products.shape[1], len(q.inputs)
    precision, log_precision = precision_means(q)
    off = q.map - p.map
    ratio = p.inputs @ q.spread
    of_map = d * (ratio.trace() - n_inputs - torch.logdet(ratio))
    of_map = 0.5 * (of_map + (precision * (off @ p.inputs @ off.mT)).sum())
    of_precision = _log_normalizer(p) - _log_normalizer(q) + 0.5 * (q.nu - p.nu) * log_precision
    of_precision = of_precision + 0.5 * ((p.scale * precision).sum() - d * q.nu)
    return of_map + of_precision.sum()


def _log_normalizer(c):
    """Of the Wishart distribution."""
    d = len(c.outputs)
    return (
        0.5 * c.nu * (d * math.log(2.0) - torch.logdet(c.scale))
        + d * (d - 1) / 4.0 * math.log(math.pi)
        + torch.lgamma(0.5 * (c.nu - torch.arange(d, dtype=c.nu.dtype))).sum()
    )


@dataclass(frozen=True)
class ExpectedMap:
    """What the posterior of a map says of log densities."""

    map: Tensor  # (d, p)
    spread: Tensor  # (p, p)
    precision: Tensor  # (d, d)
    log_det: Tensor  # (): of the precision

    def log_densities(self, means, covariances, crosses):
        """Expected log densities of steps given those before them, (m,).

        Parameters
        ----------
        means : pair of Tensor of shape (m, d)
            Of the steps before, and of the steps.
        covariances : pair of Tensor of shape (m, d, d)
        crosses : Tensor of shape (m, d, d)
            Covariances of a step before (rows) and the step.
        """
        (before, after), (wide, own), d = means, covariances, len(self.precision)
        slope, offset = self.map[:, :-1], self.map[:, -1]
        error = after - before @ slope.mT - offset
        pulled = slope @ crosses
        residual = own + slope @ wide @ slope.mT - pulled - pulled.mT
        squares = (residual * self.precision).sum((1, 2))
        squares = squares + ((error @ self.precision) * error).sum(1)
        ones = torch.cat([before, torch.ones_like(before[:, :1])], 1)
        unsure = ((ones @ self.spread) * ones).sum(1)
        unsure = unsure + (wide * self.spread[:-1, :-1]).sum((1, 2))
        return 0.5 * (self.log_det - d * math.log(2.0 * math.pi) - squares - d * unsure)


def expected_map(linear, like):
    """The expectations, of the dtype and on the device of a tensor."""
    precision, log_det = precision_means(linear)
    found = linear.map, linear.spread, precision, log_det.reshape(())
    return ExpectedMap(*(part.to(like) for part in found))


def map_statistics(means, covariances, crosses, weights):
    """Expected sufficient statistics of weighted steps, in the order of the natural parameters;
    see :meth:`ExpectedMap.log_densities`.
    """
    (before, after), (wide, own) = means, covariances
    ones = torch.cat([before, torch.ones_like(before[:, :1])], 1)
    weighted = weights[:, None] * ones
    inputs, products = weighted.mT @ ones, weighted.mT @ after
    inputs[:-1, :-1] += (weights[:, None, None] * wide).sum(0)
    products[:-1] += (weights[:, None, None] * crosses).sum(0)
    outputs = (weights[:, None] * after).mT @ after + (weights[:, None, None] * own).sum(0)
    return weights.sum()[None], inputs, products, outputs
