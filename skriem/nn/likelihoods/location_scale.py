"""Real numbers: distributions with a mean and a standard deviation."""

import math

import torch

from .base import NOISE_FLOOR, Entrywise, LocationScale

# Degrees of freedom of Student's distribution: heavy tails, and yet a variance.
DEGREES = 4.0
# Batches in which nothing is known say nothing about the noise.
LEAST_KNOWN = 1e-6


class Gaussian(LocationScale):
    """Real numbers with a noise that is learned after the mean."""

    has_common_noise = True
    location_weight, scale_weight = 1.0, 2.0

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
        return -(0.5 * ((x - mean) / std).square() + std.log() + 0.5 * math.log(2.0 * math.pi))

    def draw_around(self, mean, std, rng):
        return mean + std * rng.standard_normal(mean.shape)

    def typical_noise(self, squares, weights, parts):
        return float((weights @ squares.mean(1) / weights.sum()).sqrt())


class StudentT(Entrywise, LocationScale):
    """Real numbers with heavy tails: outliers pull less. The standard deviation is the true one,
    the root of the variance.
    """

    is_heavy_tailed = True
    _nu = DEGREES
    _scale = math.sqrt((DEGREES - 2.0) / DEGREES)
    location_weight = (DEGREES + 1.0) / (DEGREES + 3.0) / _scale**2
    scale_weight = 2.0 * DEGREES / (DEGREES + 3.0)

    def init_parts(self, n_outputs):
        return [torch.zeros(())]

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
