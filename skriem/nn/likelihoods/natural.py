"""Bits, categories and counts: distributions with one parameter for each output."""

import numpy as np
import torch
from torch.nn.functional import logsigmoid, softplus

from .base import Natural, known_average

# Floating point numbers leave out whole ones beyond.
LARGEST_COUNT = 2.0**53
# Means of counts and probabilities are not started from nearer to the edge than this.
EDGE = 1e-2
# Slopes from inputs to natural parameters are bounded by this.
STEEPEST = 5.0


class Bernoulli(Natural):
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
        return natural * (-widening).exp()

    def stabilised(self, normalised, parts=()):
        """2 arcsin sqrt(p) of the logit of p: ds = dp / sqrt(p (1 - p))."""
        half = 0.5 * normalised
        slope = 0.5 / torch.cosh(half)
        return 2.0 * torch.exp(half).atan(), slope, -0.5 * slope * torch.tanh(half)

    def mean(self, natural, parts=()):
        return torch.sigmoid(natural)

    def draw(self, natural, parts, rng):
        return (rng.uniform(size=natural.shape) < torch.sigmoid(natural).numpy()).astype(float)


class Categorical(Natural):
    """Categories coded 0, 1, 2, ... in every column, as by scikit-learn's OrdinalEncoder.

    An entry of the decoder's output is the unnormalised logarithm of a category's probability.
    """

    is_elementwise = False

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

    def features(self, n_columns):
        return np.repeat(np.arange(n_columns), self.n_categories)

    def inputs(self, X):
        first = np.cumsum([0, *self.n_categories[:-1]])
        found = np.zeros((len(X), sum(self.n_categories)))
        known = ~np.isnan(X)
        np.put_along_axis(found, first + np.where(known, X, 0.0).astype(int), 1.0, axis=1)
        if not known.all():
            found[np.repeat(~known, self.n_categories, axis=1)] = np.nan
        return found

    targets = inputs

    def seen_of(self, X):
        found = []
        for column, n in zip(X.split(1, dim=1), self.n_categories):
            levels = torch.arange(n, dtype=X.dtype, device=X.device)
            indicators = (column == levels).to(X.dtype)
            found.append(torch.where(column.isnan(), column, indicators))
        return torch.cat(found, dim=1)

    def decoded_of(self, mean):
        columns = mean.split(self.n_categories, dim=1)
        return torch.stack([column.argmax(1) for column in columns], dim=1).to(mean.dtype)

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
        return natural * (-widening).exp()

    def normalised(self, natural):
        return self.log_probabilities(natural)

    def derivatives_normalised(self, natural):
        return natural.log_normalised(self.log_probabilities(natural.value), self.totals)

    def stabilised(self, normalised, parts=()):
        """2 sqrt(p) of the logarithm of p: the sphere of radius 2."""
        root = torch.exp(0.5 * normalised)
        return 2.0 * root, root, 0.5 * root

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


class Poisson(Natural):
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

    def seen_of(self, X):
        return X.log1p()

    def start(self, targets, sample_weight):
        mean = np.maximum(known_average(targets, sample_weight), EDGE)
        return np.log(mean), np.minimum((1.0 + mean) / mean, STEEPEST)

    def log_prob(self, natural, target, parts=()):
        return target * natural - natural.exp() - torch.lgamma(target + 1.0)

    def widen(self, natural, widening):
        return natural + 2.0 * widening

    def stabilised(self, normalised, parts=()):
        """2 sqrt(mean) of the logarithm of the mean: ds = dm / sqrt(m)."""
        root = torch.exp(0.5 * normalised)
        return 2.0 * root, root, 0.5 * root

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

    def stabilised(self, normalised, parts=()):
        """2 sqrt(r) arsinh sqrt(m / r) of log m: ds = dm / sqrt(m + m^2 / r)."""
        log_size = parts[0]
        odds, root = normalised - log_size, torch.exp(0.5 * log_size)
        share = torch.sigmoid(odds)
        slope = root * share.sqrt()
        return 2.0 * root * torch.exp(0.5 * odds).asinh(), slope, 0.5 * slope * (1.0 - share)

    def draw(self, natural, parts, rng):
        size = np.broadcast_to(parts[0].exp().numpy(), natural.shape)
        return draw_counts(rng.gamma(size) * (natural.exp().numpy() / size), rng)


def draw_counts(mean, rng):
    """Poisson counts, those of means that NumPy does not take rounded from a normal deviate."""
    counts = rng.poisson(np.minimum(mean, LARGEST_COUNT)).astype(float)
    large = mean > LARGEST_COUNT
    counts[large] = np.rint(mean[large] + np.sqrt(mean[large]) * rng.normal(size=large.sum()))
    return counts
