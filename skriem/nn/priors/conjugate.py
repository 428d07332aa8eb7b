"""Posteriors of the parameters of a mixture: Dirichlet and normal-Wishart distributions.

The model is pi ~ Dirichlet, precision_k ~ Wishart, mean_k ~ normal with beta_k times that
precision, and codes of component k are normal with this mean and precision. Statistics of codes
are added to natural parameters, so that a natural-gradient step is an average (Bishop, *Pattern
recognition and machine learning*, section 10.2).
"""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from .potentials import inverse

# Codes of one component are expected to vary about as much as those under a normal prior do.
# In units of one dimension: prior precision of a mean, and what is added to the numbers of
# dimensions for scatter and degrees of freedom.
MEAN_PRECISION, MORE_SCATTER, MORE_DEGREES = 0.5, 0.5, 0.5


@dataclass(frozen=True)
class Conjugate:
    """A Dirichlet and K normal-Wishart distributions by their natural parameters, which is what
    sums of statistics are added to: C = scatter - moment moment' / beta.
    """

    alpha: Tensor  # (K,): of the Dirichlet distribution
    beta: Tensor  # (K,): precision of a mean, in precisions of the component
    nu: Tensor  # (K,): degrees of freedom
    moment: Tensor  # (K, d): beta times the mean
    scatter: Tensor  # (K, d, d)

    @property
    def means(self):
        """(K, d)."""
        return self.moment / self.beta[:, None]

    @cached_property
    def scales(self):
        """Inverse scale matrices C of the Wishart distributions, (K, d, d)."""
        means = self.means
        return self.scatter - self.beta[:, None, None] * means[:, :, None] * means[:, None]

    @property
    def covariances(self):
        """Inverses of the expected precisions, (K, d, d)."""
        return self.scales / self.nu[:, None, None]

    @property
    def shares(self):
        """Expected shares of the components, (K,)."""
        return self.alpha / self.alpha.sum()

    def tensors(self):
        """All natural parameters."""
        return [self.alpha, self.beta, self.nu, self.moment, self.scatter]


def conjugate_prior(n_components, n_dims, concentration):
    """What is assumed of the parameters before there are codes."""
    ones = torch.ones(n_components, dtype=torch.float64)
    eye = torch.eye(n_dims, dtype=torch.float64).expand(n_components, -1, -1)
    return Conjugate(
        alpha=concentration * ones,
        beta=MEAN_PRECISION * ones,
        nu=(2.0 * n_dims + MORE_DEGREES) * ones,
        moment=torch.zeros(n_components, n_dims, dtype=torch.float64),
        scatter=(n_dims + MORE_SCATTER) * eye,
    )


def stepped(present, prior, statistics, rate):
    """A natural-gradient step: towards the prior and the statistics of all data together."""
    moved = [
        torch.lerp(old, base + new, rate)
        for old, base, new in zip(present.tensors(), prior.tensors(), statistics)
    ]
    return Conjugate(*moved)


def statistics(combined, weights, scaling):
    """Expected sufficient statistics, in the order of the natural parameters.

    Parameters
    ----------
    combined : Combined
    weights : Tensor of shape (n,)
    scaling : Tensor of shape (n, K) or None
        Expected factors u of the precisions.
    """
    shares = weights[:, None] * combined.log_shares.exp()
    counts = shares.sum(0)
    shares = shares if scaling is None else shares * scaling
    means = combined.means
    shared = shares[..., None] * means
    moment = shared.sum(0)
    scatter = shared.permute(1, 2, 0) @ means.transpose(0, 1)
    scatter = scatter + torch.einsum("nk,nkij->kij", shares, combined.covariances)
    return counts, shares.sum(0), counts, moment, scatter


def log_share_means(conjugate):
    """Expected logarithms of the shares, (K,)."""
    alpha = conjugate.alpha
    return torch.digamma(alpha) - torch.digamma(alpha.sum())


def precision_means(conjugate):
    """Expected precisions (K, d, d), and expected logarithms of their determinants (K,)."""
    d = conjugate.moment.shape[1]
    inverses, log_dets = inverse(conjugate.scales)
    steps = torch.arange(d, dtype=conjugate.nu.dtype)
    digammas = torch.digamma(0.5 * (conjugate.nu[:, None] - steps)).sum(1)
    precisions = conjugate.nu[:, None, None] * inverses
    return precisions, digammas + d * math.log(2.0) - log_dets


def divergence(q, p):
    """Kullback-Leibler divergence of Dirichlet and normal-Wishart distributions, a number."""
    d = q.moment.shape[1]
    of_shares = (
        torch.lgamma(q.alpha.sum())
        - torch.lgamma(p.alpha.sum())
        - (torch.lgamma(q.alpha) - torch.lgamma(p.alpha)).sum()
        + (q.alpha - p.alpha) @ log_share_means(q)
    )
    precision, log_precision = precision_means(q)
    off = (q.means - p.means)[..., None]
    ratio = p.beta / q.beta
    of_means = 0.5 * (
        d * (ratio - 1.0 - ratio.log()) + p.beta * (off.mT @ precision @ off).flatten(1).sum(1)
    )
    of_precisions = (
        _wishart_log_normalizer(p)
        - _wishart_log_normalizer(q)
        + 0.5 * (q.nu - p.nu) * log_precision
        + 0.5 * ((p.scales * precision).sum((1, 2)) - d * q.nu)
    )
    return of_shares + (of_means + of_precisions).sum()


def _wishart_log_normalizer(c):
    d = c.moment.shape[1]
    return (
        0.5 * c.nu * (d * math.log(2.0) - torch.logdet(c.scales))
        + d * (d - 1) / 4.0 * math.log(math.pi)
        + torch.lgamma(0.5 * (c.nu[:, None] - torch.arange(d, dtype=c.nu.dtype))).sum(1)
    )


@dataclass(frozen=True)
class Expected:
    """What the parameters' posterior says of log densities."""

    log_shares: Tensor  # (K,)
    log_dets: Tensor  # (K,): of the precisions
    per_mean: Tensor  # (K,): d / beta
    means: Tensor  # (K, d)
    precisions: Tensor  # (K, d, d)


def expected(conjugate, like):
    """The expectations, of the dtype and on the device of a tensor."""
    d = conjugate.moment.shape[1]
    precisions, log_dets = precision_means(conjugate)
    found = (
        log_share_means(conjugate),
        log_dets,
        d / conjugate.beta,
        conjugate.means,
        precisions,
    )
    return Expected(*(part.to(like) for part in found))


def distances(combined, expected):
    """Expected squared Mahalanobis distances of codes to the components, (n, K)."""
    off = combined.means - expected.means
    squares = (torch.einsum("nki,kij->nkj", off, expected.precisions) * off).sum(-1)
    spread = (combined.covariances * expected.precisions).flatten(2).sum(2)
    return expected.per_mean + squares + spread
