"""Distributions of data given a code: what a decoder's output means.

A decoder puts out one number per feature, the natural parameter of the feature's distribution:
a mean, a logit, the logarithm of a mean. Further parameters that do not depend on the code are
learned with the networks. Each class knows which data it is for, what an encoder should see of
them, how probable they are, and how to become unsure: the larger `widening` is, the less the
distribution says. Standard deviations of Poisson counts grow by exp(widening), those of negative
binomial ones by up to its square, and logits shrink by as much.
"""

import math

import numpy as np
import torch
from torch.nn.functional import logsigmoid, softplus

# The decoder is never trained to be surer than this (standard deviation, on data of unit
# variance): with as many codes as features the likelihood has no maximum otherwise.
NOISE_FLOOR = 0.05
# Degrees of freedom of Student's distribution: heavy tails, and yet a variance.
DEGREES = 4.0
# Floating point numbers leave out whole ones beyond.
LARGEST_COUNT = 2.0**53
# Means of counts and probabilities are not started from nearer to the edge than this.
EDGE = 1e-2
# Batches in which nothing is known say nothing about the noise.
LEAST_KNOWN = 1e-6
# Slopes from inputs to natural parameters are bounded by this.
STEEPEST = 5.0


def known_average(values, weights):
    """Weighted means of the known entries of every column, (m,)."""
    known = ~np.isnan(values)
    if known.all():
        return np.average(values, axis=0, weights=weights)
    return weights @ np.where(known, values, 0.0) / (weights @ known)


class Likelihood:
    """Base: distributions whose parameter has one number per feature.

    Entries of data that are missing are NaN. They are NaN in inputs and targets too, and count
    for nothing.

    Attributes
    ----------
    is_location_scale : bool
        Whether the natural parameter is the mean, in the network's unit, beside a standard
        deviation of its own.
    """

    is_location_scale = False

    def fit(self, X):
        """Learn what the data alone decide; raise ValueError for data of another kind."""
        self.check(X)
        return self

    def check(self, X):
        """Raise ValueError for data that cannot have come from this distribution."""

    def inputs(self, X):
        """What an encoder sees of data (n, p), ndarray of shape (n, n_inputs)."""
        return X

    def targets(self, X):
        """What the distribution is over, ndarray of shape (n, m)."""
        return X

    def start(self, targets, sample_weight):
        """Natural parameter of the mean of the data, and its slope over the inputs, (m,) each."""
        raise NotImplementedError

    def init_parts(self, n_outputs):
        """Further parameters before training, list of Tensor."""
        return []

    def log_prob(self, natural, target, parts=()):
        """Logarithm of the probability of every entry, (..., m)."""
        raise NotImplementedError

    def of_rows(self, natural, target, parts=()):
        """Logarithm of the probability of what is known of every row, (...)."""
        missing = target.isnan()
        # Slopes of what is left out must be numbers too.
        found = self.log_prob(natural, target.masked_fill(missing, 0.0), parts)
        return found.masked_fill(missing, 0.0).sum(-1)

    def loss(self, natural, target, weights, parts):
        """Negative log-likelihood, an average with `weights` (n,) that sum to one."""
        return -(weights @ self.of_rows(natural, target, parts))

    def of_draws(self, natural, target, weights, parts):
        """Log-likelihood of rows (n, m) given several draws of each (K, n, m), (K, n)."""
        return self.of_rows(natural, target, parts)

    def widen(self, natural, widening):
        """The natural parameter (n, m) made unsure by `widening` (n, 1)."""
        raise NotImplementedError

    def mean(self, natural, parts=()):
        """Mean of the distribution, (n, m)."""
        raise NotImplementedError

    def draw(self, natural, parts, rng):
        """One draw for every entry, ndarray."""
        raise NotImplementedError

    def decoded(self, mean):
        """What means (n, m) say in the form of the data (n, p)."""
        return mean

    def seen(self, mean):
        """What an encoder sees of data that are means (n, m), (n, n_inputs)."""
        return self.inputs(mean)


class Gaussian(Likelihood):
    """Real numbers with a noise that is learned after the mean."""

    is_location_scale = True

    def __init__(self, n_varying=1):
        self.n_varying = n_varying

    def loss(self, natural, target, weights, parts):
        """The noise is constant over the data and set to its maximum likelihood value, which
        turns the loss into the logarithm of the mean squared error (Rybkin, Daniilidis and
        Levine, *Simple and effective VAE training with calibrated decoders*, ICML 2021).
        """
        errors, _, n_known = self._errors(natural, target, weights)
        mse = weights @ errors / n_known + NOISE_FLOOR**2
        return 0.5 * n_known * mse.log()

    def of_draws(self, natural, target, weights, parts):
        """With the noise that fits best, up to a constant."""
        errors, known, n_known = self._errors(natural, target, weights)
        variance = weights @ errors.detach().mean(0) / n_known + NOISE_FLOOR**2
        return -0.5 * (errors / variance + self.n_varying * known * variance.log())

    def _errors(self, natural, target, weights):
        """Squared errors of what is known of every row, how large a share that is, and how many
        of the varying features are known on average.
        """
        missing = target.isnan()
        errors = (target - natural).masked_fill(missing, 0.0).square().sum(-1)
        known = 1.0 - missing.to(errors).mean(-1)
        n_known = (self.n_varying * (1.0 - weights @ (1.0 - known))).clamp(min=LEAST_KNOWN)
        return errors, known, n_known

    def log_density(self, x, mean, std):
        """Logarithm of the density of every entry."""
        return -(0.5 * ((x - mean) / std).square() + std.log() + 0.5 * math.log(2.0 * math.pi))

    def draw_around(self, mean, std, rng):
        """One draw for every entry of two arrays."""
        return mean + std * rng.standard_normal(mean.shape)

    def typical_noise(self, squares, weights, parts):
        """One standard deviation for all errors, from their squares (n, m), float."""
        return float((weights @ squares.mean(1) / weights.sum()).sqrt())

    # Fisher-Rao weights of location and scale, over the squared standard deviation.
    location_weight, scale_weight = 1.0, 2.0


class StudentT(Gaussian):
    """Real numbers with heavy tails: outliers pull less. The standard deviation is the true one,
    the root of the variance.
    """

    _nu = DEGREES
    _scale = math.sqrt((DEGREES - 2.0) / DEGREES)
    location_weight = (DEGREES + 1.0) / (DEGREES + 3.0) / _scale**2
    scale_weight = 2.0 * DEGREES / (DEGREES + 3.0)

    def init_parts(self, n_outputs):
        return [torch.zeros(())]

    loss, of_draws = Likelihood.loss, Likelihood.of_draws

    def log_prob(self, natural, target, parts=()):
        # Never surer than the floor, as with Gaussian noise.
        std = (torch.exp(2.0 * parts[0]) + NOISE_FLOOR**2).sqrt()
        share = self.n_varying / target.shape[-1]
        return self._shape(target - natural, std) - share * std.log()

    def log_density(self, x, mean, std):
        constant = math.lgamma(0.5 * (self._nu + 1.0)) - math.lgamma(0.5 * self._nu)
        constant -= 0.5 * math.log(math.pi * self._nu) + math.log(self._scale)
        return self._shape(x - mean, std) - std.log() + constant

    def _shape(self, error, std):
        squares = (error / (self._scale * std)).square()
        return -0.5 * (self._nu + 1.0) * torch.log1p(squares / self._nu)

    def draw_around(self, mean, std, rng):
        return mean + self._scale * std * rng.standard_t(self._nu, mean.shape)

    def typical_noise(self, squares, weights, parts):
        """The noise that was learned with the mean; a few outliers do not count."""
        return math.sqrt(math.exp(2.0 * float(parts[0])) + NOISE_FLOOR**2)

    def robust_squares(self, squares, precision):
        """Squared errors times the weights of the expectation-maximisation algorithm, as
        squared standard deviations.
        """
        weight = (self._nu + 1.0) / (self._nu + squares * precision / self._scale**2)
        return weight * squares / self._scale**2


class Bernoulli(Likelihood):
    """Zeros and ones, or shares between; the natural parameter is the logit."""

    def check(self, X):
        if X.min() < 0 or X.max() > 1:
            raise ValueError(
                "likelihood='bernoulli' is for zeros and ones, or shares between, but X ranges "
                f"from {X.min():.4g} to {X.max():.4g}. Scale X into [0, 1] or use "
                "likelihood='gaussian'."
            )

    def start(self, targets, sample_weight):
        p = known_average(targets, sample_weight).clip(EDGE, 1.0 - EDGE)
        return np.log(p / (1.0 - p)), np.minimum(1.0 / (p * (1.0 - p)), STEEPEST)

    def log_prob(self, natural, target, parts=()):
        return target * natural - softplus(natural)

    def widen(self, natural, widening):
        return natural * torch.exp(-widening)

    def mean(self, natural, parts=()):
        return torch.sigmoid(natural)

    def draw(self, natural, parts, rng):
        return (rng.uniform(size=natural.shape) < torch.sigmoid(natural).numpy()).astype(float)


class Categorical(Likelihood):
    """Categories coded 0, 1, 2, ... in every column, as by scikit-learn's OrdinalEncoder.

    An entry of the decoder's output is the unnormalised logarithm of a category's probability.
    """

    def fit(self, X):
        self.check(X)
        self.n_categories = [int(n) for n in X.max(axis=0) + 1]
        return self

    def check(self, X):
        if X.min() < 0 or (np.floor(X) != X).any():
            raise ValueError(
                "likelihood='categorical' is for categories coded 0, 1, 2, ... in every column, "
                "but X has other numbers. Encode X with an OrdinalEncoder first."
            )
        largest = getattr(self, "n_categories", None)
        if largest is not None and (X.max(axis=0) >= largest).any():
            column = int(np.argmax(X.max(axis=0) >= largest))
            raise ValueError(
                f"Column {column} of X has a category that was not seen in fit, where it had "
                f"{largest[column]}."
            )

    def inputs(self, X):
        first = np.cumsum([0, *self.n_categories[:-1]])
        found = np.zeros((len(X), sum(self.n_categories)))
        known = ~np.isnan(X)
        np.put_along_axis(found, first + np.where(known, X, 0.0).astype(int), 1.0, axis=1)
        if not known.all():
            found[np.repeat(~known, self.n_categories, axis=1)] = np.nan
        return found

    targets = inputs

    def seen(self, mean):
        return mean

    def start(self, targets, sample_weight):
        p = known_average(targets, sample_weight).clip(EDGE, 1.0)
        return np.log(p), np.minimum(1.0 / p, STEEPEST)

    def log_prob(self, natural, target, parts=()):
        return target * self.log_probabilities(natural)

    def log_probabilities(self, natural):
        """Logarithms of the probabilities of each column's categories, side by side."""
        columns = natural.split(self.n_categories, dim=-1)
        return torch.cat([column.log_softmax(-1) for column in columns], dim=-1)

    def totals(self, values):
        """Sums over the categories of each column, repeated for each of them."""
        columns = values.split(self.n_categories, dim=-1)
        return torch.cat([c.sum(-1, keepdim=True).expand_as(c) for c in columns], dim=-1)

    def widen(self, natural, widening):
        return natural * torch.exp(-widening)

    def mean(self, natural, parts=()):
        return self.log_probabilities(natural).exp()

    def decoded(self, mean):
        """The most probable category of every column."""
        columns = np.split(mean, np.cumsum(self.n_categories)[:-1], axis=1)
        return np.stack([column.argmax(1) for column in columns], axis=1).astype(float)

    def draw(self, natural, parts, rng):
        # The largest of log probabilities with Gumbel noise is a draw.
        noisy = self.log_probabilities(natural).numpy() + rng.gumbel(size=natural.shape)
        return self.inputs(self.decoded(noisy))


class Poisson(Likelihood):
    """Counts; the natural parameter is the logarithm of the mean."""

    def check(self, X):
        if X.min() < 0 or (np.floor(X) != X).any():
            name = {Poisson: "poisson", NegativeBinomial: "negative_binomial"}[type(self)]
            raise ValueError(
                f"likelihood={name!r} is for counts, 0, 1, 2, ..., but X has "
                f"{'negative numbers' if X.min() < 0 else 'fractions'}. Pass counts before any "
                "normalisation or use likelihood='gaussian'."
            )
        if X.max() > LARGEST_COUNT:
            raise ValueError(
                f"X has counts beyond {LARGEST_COUNT:.1e}, where floating point numbers leave out "
                "whole ones. Count in a larger unit or use likelihood='gaussian'."
            )

    def inputs(self, X):
        return np.log1p(X)

    def start(self, targets, sample_weight):
        mean = np.maximum(known_average(targets, sample_weight), EDGE)
        return np.log(mean), np.minimum((1.0 + mean) / mean, STEEPEST)

    def log_prob(self, natural, target, parts=()):
        return target * natural - natural.exp() - torch.lgamma(target + 1.0)

    def widen(self, natural, widening):
        return natural + 2.0 * widening

    def mean(self, natural, parts=()):
        return natural.exp()

    def draw(self, natural, parts, rng):
        return draw_counts(natural.exp().numpy(), rng)


class NegativeBinomial(Poisson):
    """Counts that vary more than their mean: variance mean + mean^2 / size, with one size per
    feature that is learned.
    """

    def init_parts(self, n_outputs):
        return [torch.zeros(n_outputs)]

    def log_prob(self, natural, target, parts=()):
        log_size = parts[0]
        size = log_size.exp()
        odds = natural - log_size
        return (
            torch.lgamma(target + size)
            - torch.lgamma(size)
            - torch.lgamma(target + 1.0)
            + target * logsigmoid(odds)
            + size * logsigmoid(-odds)
        )

    def draw(self, natural, parts, rng):
        size = np.broadcast_to(parts[0].exp().numpy(), natural.shape)
        return draw_counts(rng.gamma(size) * (natural.exp().numpy() / size), rng)


def draw_counts(mean, rng):
    """Poisson counts, those of means that NumPy does not take rounded from a normal deviate."""
    counts = rng.poisson(np.minimum(mean, LARGEST_COUNT)).astype(float)
    large = mean > LARGEST_COUNT
    counts[large] = np.rint(mean[large] + np.sqrt(mean[large]) * rng.normal(size=large.sum()))
    return counts


LIKELIHOODS = {
    "gaussian": Gaussian,
    "bernoulli": Bernoulli,
    "categorical": Categorical,
    "poisson": Poisson,
    "negative_binomial": NegativeBinomial,
    "student_t": StudentT,
}
