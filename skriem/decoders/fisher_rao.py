"""Fisher-Rao geometry of decoders whose outputs are parameters of distributions.

For distributions of one parameter the Fisher-Rao distance is the difference after a change of
variable that makes the variance constant; for a categorical one it is measured on a sphere. So
the geometry of a decoder is again that of an embedding (Arvanitidis, González-Duque, Pouplin,
Kalatzis and Hauberg, *Pulling back information geometry*, AISTATS 2022).
"""

import hashlib
import math

import numpy as np
import torch

from ..calculus.linearised import bend, linearise
from ..nn.likelihoods import Bernoulli, NegativeBinomial, Poisson
from ..nn.precision import linearise_rbf_precision, rbf_precision
from .output_sampling import sample_outputs

# The variance has doubled where the precision of the walls is so much below that on the data.
DOUBLED = 0.1


def bernoulli(logit):
    """2 arcsin sqrt(p) of the logit of p, with two derivatives: ds = dp / sqrt(p (1 - p))."""
    slope = 0.5 / torch.cosh(0.5 * logit)
    return 2.0 * torch.exp(0.5 * logit).atan(), slope, -0.5 * slope * torch.tanh(0.5 * logit)


def poisson(log_mean):
    """2 sqrt(mean) of the logarithm of the mean, with two derivatives: ds = dm / sqrt(m)."""
    root = torch.exp(0.5 * log_mean)
    return 2.0 * root, root, 0.5 * root


def negative_binomial(log_mean, log_size):
    """2 sqrt(r) arsinh sqrt(m / r) of log m, with two derivatives: ds = dm / sqrt(m + m^2 / r)."""
    odds, root = log_mean - log_size, torch.exp(0.5 * log_size)
    share = torch.sigmoid(odds)
    slope = root * share.sqrt()
    return 2.0 * root * torch.exp(0.5 * odds).asinh(), slope, 0.5 * slope * (1.0 - share)


def categorical(log_probabilities):
    """2 sqrt(p) of the logarithm of p, with two derivatives: the sphere of radius 2."""
    root = torch.exp(0.5 * log_probabilities)
    return 2.0 * root, root, 0.5 * root


ELEMENTWISE = {
    Bernoulli: bernoulli,
    Poisson: poisson,
    NegativeBinomial: negative_binomial,
}


class StabilisedEmbedding:
    """The map from codes to where Euclidean length is Fisher-Rao length of the decoder's
    distributions; away from the data these become as unsure as they can be.

    How unsure is said by bumps around the data, as in :mod:`skriem.nn.precision`. Where these
    leave a precision of s, about one on the data, the factor of the standard deviations of
    Poisson counts is the root of (1 + ``DOUBLED`` / s) / (1 + ``DOUBLED``); see
    :mod:`skriem.nn.likelihoods` for the others. This makes lengths: means, draws and
    probabilities are those that the network says.

    Immutable, as is all that it is given.

    Parameters
    ----------
    network : Network
        Codes to natural parameters, with arrays for weights.
    likelihood : Likelihood
    parts : list of ndarray
        Further parameters of the likelihood.
    walls : dict of ndarray or None
        ``centers, rates, weights, floor`` of a precision that is about one on the data; see
        :func:`wall_contrast`. None: no walls.
    scale : ndarray of shape (m,) or None
        Factors of the outputs, where they stand for others.

    """

    follows_dtype = True

    def __init__(self, network, likelihood, parts=(), walls=None, scale=None):
        self._network, self._likelihood = network, likelihood
        self._parts, self._walls = list(parts), walls
        self._scale, self._tensors = scale, {}

    def __call__(self, z):
        """Embed the rows of `z`: tensor (n, d) -> tensor (n, m)."""
        return self._scaled(self._stabilised(self.natural(z))[0], z)

    def natural(self, z):
        """Natural parameters of the distributions that lengths are of, (n, m)."""
        return self._likelihood.widen(self._on(z)["network"](z), self.widening(z))

    def widening(self, z):
        """Logarithm of the factor by which the distributions are unsure, (n, 1)."""
        if self._walls is None:
            return z.new_zeros(len(z), 1)
        precision = rbf_precision(z, *self._on(z)["walls"])
        return _widening(precision)

    def mean(self, z):
        """Means of the network's distributions, (n, m)."""
        tensors = self._on(z)
        return self._likelihood.mean(tensors["network"](z), tensors["parts"])

    def draw(self, z, rng):
        """A draw from the network's distribution at every row of `z`, ndarray (n, m)."""
        tensors = self._on(z)
        return self._likelihood.draw(tensors["network"](z), tensors["parts"], rng)

    def log_prob(self, x, z):
        """Logarithm of the probability of what is known of rows `x` (n, m) given `z`, (n,)."""
        tensors = self._on(z)
        return self._likelihood.of_rows(tensors["network"](z), x, tensors["parts"])

    @property
    def fingerprint(self):
        """Digest of everything the map depends on; equal maps have equal fingerprints."""
        said = type(self._likelihood).__name__, vars(self._likelihood)
        digest = hashlib.sha256(repr(said).encode() + self._network.fingerprint.encode())
        for array in [*self._parts, *(self._walls or {}).values(), self._scale]:
            digest.update(np.asarray(array).tobytes() if array is not None else b"-")
        return digest.hexdigest()

    def thinned(self, codes):
        """A map with about the same geometry and far fewer outputs, or None.

        A sample of the outputs stands for all; see :func:`.sampling.sample_outputs`.
        """
        if not hasattr(self._network, "some_outputs"):
            return None
        sample = sample_outputs(lambda z: self.linearise(z)[1], codes)
        network = sample and self._network.some_outputs(sample.kept)
        if not network:
            return None
        parts = [part[sample.kept] for part in self._parts]
        return type(self)(network, self._likelihood, parts, self._walls, sample.scale)

    def _stabilised(self, natural):
        """The variance-stabilising transform with two derivatives, three (n, m) tensors."""
        return ELEMENTWISE[type(self._likelihood)](natural, *self._on(natural)["parts"])

    def linearise(self, z):
        """Value, Jacobian and curvature at `z`; see :func:`.jacobian.linearise`."""
        natural, slopes, on_natural = self._linearise_natural(z)
        return self._through_transform(natural, slopes, on_natural, z)

    def _through_transform(self, natural, slopes, on_natural, z):
        """Value, Jacobian and curvature after the transform from those before it."""
        value, first, second = self._stabilised(natural)
        first, second = self._scaled(first, z), self._scaled(second, z)

        def curvature(weights):
            outer = (slopes * (weights * second)[:, None]) @ slopes.mT
            return outer + on_natural(weights * first)

        return self._scaled(value, z), slopes * first[:, None], curvature

    def _linearise_natural(self, z):
        """The same of the natural parameters: a(t) h + b(t) of the network's h and widening t."""
        h, slopes, on_h = linearise(self._on(z)["network"], z)
        if self._walls is None:
            return h, slopes, on_h
        t, along, bent = self._linearise_widening(z)
        if isinstance(self._likelihood, Poisson):

            def on_counts(weights):
                return on_h(weights) + 2.0 * weights.sum(1)[:, None, None] * bent

            return h + 2.0 * t, slopes + 2.0 * along[..., None], on_counts
        a = torch.exp(-t)
        curved = along[:, :, None] * along[:, None] - bent

        def on_logits(weights):
            total = (weights * h).sum(1)[:, None, None] * curved
            crossed = (slopes @ weights[..., None]) * along[:, None]
            return a[..., None] * (on_h(weights) + total - crossed - crossed.mT)

        return a * h, a[..., None] * (slopes - along[..., None] * h[:, None]), on_logits

    def _linearise_widening(self, z):
        """Widening (n, 1) with gradient (n, d) and Hessian (n, d, d)."""
        precision, slope, curvature = linearise_rbf_precision(z, *self._on(z)["walls"])
        more = precision + DOUBLED
        by_precision = -0.5 * DOUBLED / (precision * more)
        bent = -by_precision * (precision + more) / (precision * more)
        slope = slope.squeeze(-1)
        hessian = bent[..., None] * slope[:, :, None] * slope[:, None] + curvature(by_precision)
        return _widening(precision), by_precision * slope, hessian

    def bend(self, z, direction):
        """Second derivative along a direction at every row of `z`, (n, m)."""
        h, moved, bent = self._bend_natural(z, direction)
        _, first, second = self._stabilised(h)
        return self._scaled(second * moved.square() + first * bent, z)

    def _bend_natural(self, z, direction):
        """Natural parameters with two derivatives along a direction, three (n, m) tensors."""
        network = self._on(z)["network"]
        h, slopes, _ = linearise(network, z)
        moved = (direction[:, None] @ slopes).squeeze(1)
        bent = bend(network, z, direction)
        if self._walls is None:
            return h, moved, bent
        t, along, hessian = self._linearise_widening(z)
        speed = (along * direction).sum(1, keepdim=True)
        pace = (direction[:, None] @ hessian @ direction[..., None]).squeeze(-1)
        if isinstance(self._likelihood, Poisson):
            return h + 2.0 * t, moved + 2.0 * speed, bent + 2.0 * pace
        a = torch.exp(-t)
        bent = a * (bent - 2.0 * speed * moved + (speed.square() - pace) * h)
        return a * h, a * (moved - speed * h), bent

    def _scaled(self, value, z):
        return value if self._scale is None else value * self._on(z)["scale"]

    @torch.inference_mode(False)
    def _on(self, z):
        key = (z.dtype, z.device)
        if key not in self._tensors:

            def tensor(array):
                return torch.as_tensor(array, dtype=z.dtype, device=z.device)

            self._tensors[key] = {
                "network": self._network.on(z.dtype, z.device),
                "parts": [tensor(part) for part in self._parts],
                "walls": self._walls and [tensor(part) for part in self._walls.values()],
                "scale": None if self._scale is None else tensor(self._scale),
            }
        return self._tensors[key]

    def __getstate__(self):
        return {**self.__dict__, "_tensors": {}}

    def __repr__(self):
        return f"{type(self).__name__}({type(self._likelihood).__name__})"


class CategoricalEmbedding(StabilisedEmbedding):
    """The same for categories: logits become logarithms of probabilities, column by column."""

    def __call__(self, z):
        """Embed the rows of `z`: tensor (n, d) -> tensor (n, m)."""
        return categorical(self._likelihood.log_probabilities(self.natural(z)))[0]

    def thinned(self, codes):
        """None: outputs of a column belong together."""
        return None

    def linearise(self, z):
        """Value, Jacobian and curvature at `z`; see :func:`.jacobian.linearise`."""
        logits, slopes, on_logits = self._linearise_natural(z)
        log_p = self._likelihood.log_probabilities(logits)
        p = log_p.exp()
        centred = slopes - self._likelihood.totals(p[:, None] * slopes)

        def on_logs(weights):
            share = p * self._likelihood.totals(weights)
            return on_logits(weights - share) - (centred * share[:, None]) @ centred.mT

        return self._through_transform(log_p, centred, on_logs, z)

    def bend(self, z, direction):
        """Second derivative along a direction at every row of `z`, (n, m)."""
        logits, moved, bent = self._bend_natural(z, direction)
        log_p = self._likelihood.log_probabilities(logits)
        p, totals = log_p.exp(), self._likelihood.totals
        moved = moved - totals(p * moved)
        bent = bent - totals(p * (bent + moved.square()))
        _, first, second = categorical(log_p)
        return second * moved.square() + first * bent

    def _stabilised(self, log_p):
        return categorical(log_p)


def _widening(precision):
    """Nothing where the precision is one."""
    return 0.5 * (torch.log1p(DOUBLED / precision) - math.log1p(DOUBLED))


def wall_contrast(contrast):
    """What the contrast of a precision must be for standard deviations to grow by `contrast`."""
    return math.sqrt(((1.0 + DOUBLED) * contrast**2 - 1.0) / DOUBLED)


def fisher_rao_embedding(network, likelihood, parts, walls):
    """The embedding for a likelihood; see :class:`StabilisedEmbedding`."""
    kind = StabilisedEmbedding if type(likelihood) in ELEMENTWISE else CategoricalEmbedding
    return kind(network, likelihood, parts, walls)
