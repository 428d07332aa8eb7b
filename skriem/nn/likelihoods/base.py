"""What a decoder's output means: contracts of distributions of data given a code.

A decoder puts out one number per feature, the natural parameter of the feature's distribution:
a mean, a logit, the logarithm of a mean. Further parameters that do not depend on the code are
learned with the networks. Each class knows which data it is for, what an encoder should see of
them and how probable they are.
"""

from abc import ABC, abstractmethod

import numpy as np

# The decoder is never trained to be surer than this (standard deviation, on data of unit
# variance): with as many codes as features the likelihood has no maximum otherwise.
NOISE_FLOOR = 0.05


def known_average(values, weights):
    """Weighted means of the known entries of every column, (m,)."""
    known = ~np.isnan(values)
    if known.all():
        # No product as large as the values.
        return np.einsum("n,nm->m", weights, values) / weights.sum()
    return weights @ np.where(known, values, 0.0) / (weights @ known)


class Likelihood(ABC):
    """Distributions whose parameter has one number per feature.

    One is a :class:`LocationScale` or a :class:`Natural`. Entries of data that are missing are
    NaN. They are NaN in inputs and targets too, and count for nothing.

    Attributes
    ----------
    is_location_scale : bool
        Whether the natural parameter is the mean, in the network's unit, beside a standard
        deviation of its own.
    is_mixed : bool
        Whether columns have likelihoods of their own; see :class:`.composite.Composite`.
    """

    is_location_scale = False
    is_mixed = False

    def fit(self, X):
        """Learn what the data alone decide; raise ValueError for data of another kind."""
        self.check(X)
        return self

    def check(self, X):  # noqa: B027, real numbers are good as they are
        """Raise ValueError for data that cannot have come from this distribution."""

    def is_like(self, other):
        """Whether another, fitted or not, is of the same kind."""
        return type(self) is type(other)

    def features(self, n_columns):
        """The column of the data that each output speaks of, (m,) int."""
        return np.arange(n_columns)

    def inputs(self, X):
        """What an encoder sees of data (n, p), ndarray of shape (n, n_inputs)."""
        return X

    def seen_of(self, X):
        """The same of a tensor, for networks that are used elsewhere."""
        return X

    def decoded_of(self, mean):
        """:meth:`decoded` of a tensor."""
        return mean

    def targets(self, X):
        """What the distribution is over, ndarray of shape (n, m)."""
        return X

    def init_parts(self, n_outputs):
        """Further parameters before training, list of Tensor."""
        return []

    @abstractmethod
    def loss(self, natural, target, weights, parts):
        """Negative log-likelihood, an average with `weights` (n,) that sum to one."""

    @abstractmethod
    def of_draws(self, natural, target, weights, parts):
        """Log-likelihood of rows (n, m) given several draws of each (K, n, m), (K, n)."""

    def decoded(self, mean):
        """What means (n, m) say in the form of the data (n, p)."""
        return mean

    def seen(self, mean):
        """What an encoder sees of data that are means (n, m), (n, n_inputs)."""
        return self.inputs(mean)


class Entrywise(Likelihood):
    """Distributions of entries that are independent given the code, each with a probability."""

    @abstractmethod
    def log_prob(self, natural, target, parts=()):
        """Logarithm of the probability of every entry, (..., m)."""

    def of_rows(self, natural, target, parts=()):
        """Logarithm of the probability of what is known of every row, (...)."""
        missing = target.isnan()
        # Slopes of what is left out must be numbers too.
        found = self.log_prob(natural, target.masked_fill(missing, 0.0), parts)
        return found.masked_fill(missing, 0.0).sum(-1)

    def loss(self, natural, target, weights, parts):
        return -(weights @ self.of_rows(natural, target, parts))

    def of_draws(self, natural, target, weights, parts):
        return self.of_rows(natural, target, parts)


class LocationScale(Likelihood):
    """Real numbers with a mean and a standard deviation.

    Attributes
    ----------
    n_varying : int
        How many features vary.
    location_weight, scale_weight : float
        Fisher information about the mean and about the standard deviation, times the variance.
    is_heavy_tailed : bool
        Whether large errors count for less than their squares.
    has_common_noise : bool
        Whether errors are normal, so that those of some outputs say something of others.
    """

    is_location_scale = True
    is_heavy_tailed = False
    has_common_noise = False
    location_weight: float
    scale_weight: float

    def __init__(self, n_varying=1):
        self.n_varying = n_varying

    @abstractmethod
    def log_density(self, x, mean, std):
        """Logarithm of the density of every entry."""

    @abstractmethod
    def draw_around(self, mean, std, rng):
        """One draw for every entry of two arrays."""

    @abstractmethod
    def typical_noise(self, squares, weights, parts):
        """One standard deviation for all errors, from their squares (n, m), float."""

    def robust_squares(self, squares, precision):
        """Squared errors (n, m) as squared standard deviations: large ones count for less."""
        return squares


class Natural(Entrywise):
    """Distributions of one parameter for every output.

    They can become unsure: the larger `widening` is, the less they say. Standard deviations of
    Poisson counts grow by exp(widening), those of negative binomial ones by up to its square,
    and logits shrink by as much.

    Attributes
    ----------
    is_elementwise : bool
        Whether an output says something without the others.
    """

    is_elementwise = True

    @abstractmethod
    def start(self, targets, sample_weight):
        """Natural parameter of the mean of the data, and its slope over the inputs, (m,) each."""

    @abstractmethod
    def widen(self, natural, widening):
        """The natural parameter (n, m) made unsure by `widening` (n, 1).

        Of sums, products, negation and ``exp`` alone, so that it can be taken of tensors and of
        what has derivatives; see :mod:`skriem.calculus.linearised`.
        """

    def normalised(self, natural):
        """What :meth:`stabilised` is a function of, (n, m)."""
        return natural

    def derivatives_normalised(self, natural):
        """The same with its derivatives."""
        return natural

    @abstractmethod
    def stabilised(self, normalised, parts=()):
        """The Fisher-Rao distance as a difference: the change of variable that makes the variance
        constant, with its first two derivatives, three (n, m) tensors.
        """

    @abstractmethod
    def mean(self, natural, parts=()):
        """Mean of the distribution, (n, m)."""

    @abstractmethod
    def draw(self, natural, parts, rng):
        """One draw for every entry, ndarray."""
