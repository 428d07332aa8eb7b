"""Priors of codes: what is assumed of them before data are seen, and what encoders mean under it.

An encoder puts out a mean and a log variance for every code. A prior says which distribution of
codes these stand for, how far that is from the prior, and where to draw from it.
"""

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch


class Posterior(ABC):
    """Distributions of the codes of n rows."""

    @abstractmethod
    def draws(self, generator):
        """Codes for expectations under the posterior.

        Returns
        -------
        codes : Tensor of shape (m, d)
            The first of every row come first.
        rows : Tensor of shape (m,) int or None
            The rows that they are of; None for one of each.
        counts : Tensor of shape (m,) or None
            What each counts for, about one for every row together; None for one.
        """

    @abstractmethod
    def divergence(self):
        """Kullback-Leibler divergence of every row from the prior, (n,)."""


class Density(ABC):
    """A density of codes of rows."""

    @abstractmethod
    def log_density(self, z):
        """Logarithm of the density at codes (..., d), (...), but for the constant
        -d / 2 log(2 pi).
        """

    def of_rows(self, rows):
        """That of some rows."""
        return self


class Proposals(NamedTuple):
    """Where codes of rows are drawn, and the density that they are weighed by."""

    mean: torch.Tensor  # (n, d)
    factor: torch.Tensor  # (n, d, d): lower, of a covariance; or (n, d), standard deviations
    density: Density

    def of_rows(self, rows):
        """Those of some rows."""
        return Proposals(self.mean[rows], self.factor[rows], self.density.of_rows(rows))


class Prior(Density):
    """A distribution of codes. Like a network it has parts, arrays or tensors, that are learned.

    Attributes
    ----------
    n_labels : int
        Number of components, zero for a prior without.
    n_samples : float
        How much the data weigh that it was learned from, if it was.
    silence : float
        Log variance, beside a mean of zero, of an encoder that has seen nothing.
    keeps_means : bool
        Whether the posterior's means are those that the encoder puts out.
    has_steps : bool
        Whether codes of a sequence depend on each other.
    """

    keeps_means = False

    n_labels = 0
    n_samples = 0.0
    silence = 0.0
    parts = ()
    has_steps = False

    @abstractmethod
    def infer(self, mean, log_variance, steps=None):
        """The posterior that an encoder's outputs (n, d) stand for, of rows that are such steps of
        sequences.
        """

    @abstractmethod
    def normal(self, mean, log_variance, steps=None):
        """Means and log variances of the posterior's codes, two (n, d) tensors."""

    def proposals(self, mean, log_variance, steps=None, given="past"):
        """What is known of the codes of rows without these: from rows before them ("past") or from
        all others of their sequences ("others"); and where to draw the codes.

        With "all" the weights of draws from the posterior average to the evidence lower bound.
        """
        mean, log_variance = self.normal(mean, log_variance, steps)
        return Proposals(mean, torch.exp(0.5 * log_variance), self)

    @abstractmethod
    def draw(self, n, n_dims, rng):
        """Codes from the prior, ndarray (n, n_dims), by a NumPy generator."""

    def trainable(self):
        """Parts that are trained with the networks, list of Tensor."""
        return []

    @abstractmethod
    def learn(self, posterior, weights):
        """Change the other parts in place after a batch whose rows have weights (n,)."""

    def move(self, mean, log_variance, weights):
        """Change all parts in place by what small steps do not find, given what the encoder puts
        out of rows that have weights (n,) and stand for all data.
        """

    def settled(self, mean, log_variance, weights, steps=None):
        """The prior that suits all data with weights (n,), given what their encoder puts out."""
        return self

    def is_like(self, n_labels, component):
        """Whether it has so many components of this kind."""
        return False

    def cost(self):
        """What the parts themselves cost, in nats per sample."""
        return 0.0

    def on(self, dtype=torch.float64, device=None):
        """A copy with tensors for parts."""
        return self

    def stored(self):
        """A copy with arrays for parts."""
        return self


class NormalPosterior(Posterior):
    """Normal distributions, independent along the coordinates, under a standard normal prior."""

    def __init__(self, mean, log_variance):
        self._mean, self._log_variance = mean, log_variance

    def draws(self, generator):
        mean = self._mean
        noise = torch.randn(mean.shape, generator=generator, dtype=mean.dtype, device=mean.device)
        return mean + torch.exp(0.5 * self._log_variance) * noise, None, None

    def divergence(self):
        log_variance = self._log_variance
        terms = self._mean.square() + log_variance.exp() - 1.0 - log_variance
        return 0.5 * terms.sum(-1)


class NormalPrior(Prior):
    """The standard normal distribution."""

    keeps_means = True

    def infer(self, mean, log_variance, steps=None):
        return NormalPosterior(mean, log_variance)

    def normal(self, mean, log_variance, steps=None):
        return mean, log_variance

    def learn(self, posterior, weights):
        """There is nothing to be learned."""

    def log_density(self, z):
        return -0.5 * z.square().sum(-1)

    def draw(self, n, n_dims, rng):
        return rng.standard_normal((n, n_dims))
