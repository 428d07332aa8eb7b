"""Mixtures of normal or Student's t distributions as priors of codes.

The parameters of the mixture have a posterior, :mod:`.conjugate`, that is learned by
natural-gradient steps along with the networks; encoders give potentials, :mod:`.potentials`
(Lin, Hubacher and Khan, *Variational message passing with structured inference networks*, ICLR
2018).

With Student's t components precisions are scaled by a latent factor u ~ Gamma(dof / 2, dof / 2),
whose posterior is best chosen as a Gamma distribution too (Svensen and Bishop, *Robust Bayesian
mixture modelling*, Neurocomputing 2005).
"""

import math
from functools import cached_property

import numpy as np
import torch

from .base import Posterior, Prior
from .conjugate import (
    Conjugate,
    conjugate_prior,
    distances,
    divergence,
    expected,
    statistics,
    stepped,
)
from .moves import Codes, Fit, moved
from .potentials import Graph, combine, inverse

# Natural-gradient steps of one batch go so far.
RATE = 0.1
# Numbers of covariances in a block of rows.
BUDGET = 2**22
# Probabilities of components below this are drawn instead of counted.
SMALL = 0.1
DEGREES = 5.0
LOG_2PI = math.log(2.0 * math.pi)


class NormalTails:
    """Components are normal distributions."""

    def log_profile(self, squares, d):
        """Logarithm of the density at squared Mahalanobis distances, but for the determinant."""
        return -0.5 * (squares + d * LOG_2PI)

    def scaling(self, squares, d):
        """Expected factors of the precisions, None for one."""
        return None

    def factors(self, n, rng):
        """Factors of the precisions of n draws, ndarray."""
        return np.ones(n)


class StudentTails:
    """Components are Student's t distributions: outliers pull less."""

    def log_profile(self, squares, d):
        half = 0.5 * (DEGREES + d)
        constant = math.lgamma(half) - math.lgamma(0.5 * DEGREES)
        constant = constant - 0.5 * d * math.log(math.pi * DEGREES)
        return constant - half * torch.log1p(squares / DEGREES)

    def scaling(self, squares, d):
        return (DEGREES + d) / (DEGREES + squares)

    def factors(self, n, rng):
        return rng.gamma(0.5 * DEGREES, 2.0 / DEGREES, n)


TAILS = {"normal": NormalTails, "student_t": StudentTails}


class MixturePosterior(Posterior):
    """What a graphical model makes of potentials, beside what the prior says of it."""

    def __init__(self, mean, log_variance, graph, expected, tails):
        self._precision, self._graph = torch.exp(-log_variance), graph
        self.combined = combine(mean, self._precision, graph)
        self._expected, self.tails = expected, tails
        self.squares = distances(self.combined, expected)

    def draws(self, generator):
        """The most probable component, and one of the others drawn to stand for these: the
        expectation and its slope have no error but that of sampling (Liu et al.,
        *Rao-Blackwellized stochastic gradients for discrete distributions*, ICML 2019). Where
        the others are improbable they are asked as much less often, and count as much more.
        """
        log_shares = self.combined.log_shares
        shares = log_shares.detach().exp()
        first = shares.argmax(1)
        rows = torch.arange(len(shares), device=shares.device)
        counts = shares[rows, first]
        rest = (1.0 - counts).clamp(min=0.0)
        chance = torch.rand(rest.shape, generator=generator, dtype=rest.dtype, device=rest.device)
        asked = torch.nonzero(chance < rest / SMALL).squeeze(1)
        others = shares[asked].scatter(1, first[asked, None], 0.0)
        drawn = torch.multinomial(others, 1, generator=generator).squeeze(1)
        rows, chosen = torch.cat([rows, asked]), torch.cat([first, drawn])
        counts = torch.cat([counts, rest[asked].clamp(min=SMALL)])
        # One, with the slope of the logarithm.
        slope = log_shares[rows, chosen]
        return self._codes(rows, chosen, generator), rows, counts * (slope - slope.detach()).exp()

    def _codes(self, rows, chosen, generator):
        """Draws (m, d) from components (m,) of rows (m,)."""
        means = self.combined.means[rows, chosen]

        def noise():
            return torch.randn(
                means.shape, generator=generator, dtype=means.dtype, device=means.device
            )

        # Noise of a covariance that is the precision becomes noise of its inverse.
        own = (self._graph.factors[chosen] @ noise()[..., None]).squeeze(-1)
        pushed = self._precision.sqrt()[rows] * noise() + own
        return means + (self.combined.covariances[rows, chosen] @ pushed[..., None]).squeeze(-1)

    def divergence(self):
        combined, expected = self.combined, self._expected
        d = combined.means.shape[-1]
        of_code = -0.5 * (combined.log_dets + d * (1.0 + LOG_2PI))
        of_prior = 0.5 * expected.log_dets + self.tails.log_profile(self.squares, d)
        of_label = combined.log_shares - expected.log_shares
        return (combined.log_shares.exp() * (of_label + of_code - of_prior)).sum(1)

    def statistics(self, weights):
        """Expected sufficient statistics; see :func:`statistics`."""
        d = self.combined.means.shape[-1]
        return statistics(self.combined, weights, self.tails.scaling(self.squares, d))

    def shares(self):
        """Probabilities of the components, (n, K)."""
        return self.combined.log_shares.exp()

    def normal(self):
        """Means and log variances of the codes, two (n, d) tensors."""
        shares, means = self.shares()[..., None], self.combined.means
        mean = (shares * means).sum(1)
        within = self.combined.covariances.diagonal(dim1=-2, dim2=-1)
        variance = (shares * (within + (means - mean[:, None]).square())).sum(1)
        return mean, variance.log()

    def moments(self):
        """Means (n, d) of the codes, and their expected products (n, d * d)."""
        shares, means = self.shares(), self.combined.means
        products = self.combined.covariances + means[..., :, None] * means[..., None, :]
        squares = (shares[..., None, None] * products).sum(1)
        return (shares[..., None] * means).sum(1), squares.flatten(1)


class Mixture(Prior):
    """A mixture whose parameters have a posterior, and the graphical model of the encoder.

    Parameters
    ----------
    parts : sequence of ndarray or Tensor
        Those of :class:`Graph`, then those of :class:`Conjugate`.
    n_samples : float
        How much all data weigh.
    concentration : float
        Of the Dirichlet prior.
    component : {"normal", "student_t"}
    """

    # A precision that is nothing.
    silence = 60.0

    def __init__(self, parts, n_samples, concentration, component):
        self.parts, self.n_samples = list(parts), n_samples
        self.concentration, self.component = concentration, component
        self.n_labels = len(self.parts[0])

    @property
    def graph(self):
        return Graph(*self.parts[:3])

    @property
    def conjugate(self):
        return Conjugate(*self.parts[3:])

    def infer(self, mean, log_variance, steps=None):
        said = expected(self.conjugate, mean)
        return MixturePosterior(mean, log_variance, self.graph, said, TAILS[self.component]())

    def normal(self, mean, log_variance, steps=None):
        found = [block.normal() for block in self._blocks(mean, log_variance)]
        return tuple(torch.cat(parts) for parts in zip(*found))

    def _for_all(self, weights):
        """Weights of rows that stand for all data."""
        return weights * (self.n_samples / weights.sum())

    def shares(self, mean, log_variance):
        """Probabilities of the components, (n, K)."""
        return torch.cat([block.shares() for block in self._blocks(mean, log_variance)])

    def _blocks(self, mean, log_variance):
        """Posteriors of some rows at a time."""
        size = max(1, BUDGET // self.parts[2].numel())
        for rows in zip(mean.split(size), log_variance.split(size)):
            yield self.infer(*rows)

    def log_density(self, z):
        d, conjugate = z.shape[-1], self.conjugate
        factors = torch.linalg.cholesky(conjugate.covariances)
        off = (z[..., None, :] - conjugate.means)[..., None]
        squares = torch.linalg.solve_triangular(factors, off, upper=False).square().sum((-2, -1))
        log_dets = factors.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        profile = TAILS[self.component]().log_profile(squares, d)
        found = torch.logsumexp(conjugate.shares.log() - log_dets + profile, dim=-1)
        return found + 0.5 * d * LOG_2PI

    def draw(self, n, n_dims, rng):
        conjugate = self.conjugate
        labels = rng.choice(self.n_labels, size=n, p=conjugate.shares.numpy())
        factors = torch.linalg.cholesky(conjugate.covariances).numpy()[labels]
        noise = rng.standard_normal((n, n_dims, 1))
        scales = TAILS[self.component]().factors(n, rng) ** -0.5
        return conjugate.means.numpy()[labels] + scales[:, None] * (factors @ noise)[..., 0]

    def trainable(self):
        return self.parts[:3]

    @torch.no_grad()
    def learn(self, posterior, weights):
        weights = self._for_all(weights)
        found = [part.cpu().double() for part in posterior.statistics(weights)]
        new = stepped(self.conjugate, self._prior, found, RATE)
        for part, value in zip(self.parts[3:], new.tensors()):
            part.copy_(value)

    @torch.no_grad()
    def move(self, mean, log_variance, weights):
        weights = self._for_all(weights).cpu().double()
        found = [block.moments() for block in self._blocks(mean, log_variance)]
        codes = Codes(*(torch.cat(parts).cpu().double() for parts in zip(*found)), weights)
        fit = moved(Fit(codes, self.conjugate, self._prior, TAILS[self.component]()))
        if fit is None:
            return
        # Graphical models agree with the mixture at the optimum. If only some components are
        # made to agree before, these or the others take all rows.
        new = *graph_of(fit.conjugate), *fit.conjugate.tensors()
        for part, value in zip(self.parts, new):
            part.copy_(value)

    def settled(self, mean, log_variance, weights, steps=None):
        """One step of all data that goes all the way; then the largest component comes first."""
        blocks = self._blocks(mean, log_variance)
        sizes = weights.split(max(1, BUDGET // self.parts[2].numel()))
        found = [block.statistics(part) for block, part in zip(blocks, sizes)]
        total = [sum(parts) for parts in zip(*found)]
        new = stepped(self.conjugate, self._prior, total, 1.0)
        order = torch.argsort(new.alpha, descending=True, stable=True)
        parts = [part[order] for part in (*self.parts[:3], *new.tensors())]
        return self._with(parts)

    def is_like(self, n_labels, component):
        return self.n_labels == n_labels and self.component == component

    def under(self, n_samples, concentration):
        """The same where all data weigh so much, and for another concentration."""
        return type(self)(self.parts, n_samples, concentration, self.component)

    def cost(self):
        return divergence(self.conjugate, self._prior).item() / self.n_samples

    def on(self, dtype=torch.float64, device=None):
        graph = [torch.tensor(part, dtype=dtype, device=device) for part in self.parts[:3]]
        # Few numbers and long sums: these stay on the processor, with all digits.
        conjugate = [torch.tensor(part, dtype=torch.float64) for part in self.parts[3:]]
        return self._with([*graph, *conjugate])

    def stored(self):
        return self._with([part.detach().cpu().numpy() for part in self.parts])

    @cached_property
    def _prior(self):
        return conjugate_prior(*self.parts[1].shape, self.concentration)

    def _with(self, parts):
        return type(self)(parts, self.n_samples, self.concentration, self.component)


def mixture_of(codes, weights, labels, n_components, concentration, component):
    """A mixture to start from, given labels of codes.

    Parameters
    ----------
    codes : Tensor of shape (n, d)
    weights : Tensor of shape (n,)
    labels : Tensor of shape (n,) int
    n_components : int
    concentration : float
    component : {"normal", "student_t"}

    Returns
    -------
    Mixture
        With tensors of float64 for parts.
    """
    shares = torch.nn.functional.one_hot(labels, n_components).to(codes) * weights[:, None]
    counts = shares.sum(0)
    moment = shares.T @ codes
    scatter = torch.einsum("nk,ni,nj->kij", shares, codes, codes)
    prior = conjugate_prior(n_components, codes.shape[1], concentration)
    found = stepped(prior, prior, (counts, counts, counts, moment, scatter), 1.0)
    return Mixture(
        [*graph_of(found), *found.tensors()], float(weights.sum()), concentration, component
    )


def graph_of(conjugate):
    """Parts of the graphical model that says what the expected parameters do."""
    factors = torch.linalg.cholesky(inverse(conjugate.covariances)[0])
    diagonal = factors.diagonal(dim1=-2, dim2=-1)
    roots = factors - torch.diag_embed(diagonal) + torch.diag_embed(diagonal.log())
    return conjugate.shares.log(), conjugate.means, roots
