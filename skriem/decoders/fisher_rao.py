"""Fisher-Rao geometry of decoders whose outputs are parameters of distributions.

For distributions of one parameter the Fisher-Rao distance is the difference after a change of
variable that makes the variance constant; for a categorical one it is measured on a sphere. So
the geometry of a decoder is again that of an embedding (Arvanitidis, González-Duque, Pouplin,
Kalatzis and Hauberg, *Pulling back information geometry*, AISTATS 2022).
"""

import hashlib
import math
from typing import NamedTuple

import numpy as np
import torch

from ..calculus.tensors import KeepsTensors
from ..geometry.maps.decoder import Decoder
from ..nn.network import Network
from ..nn.precision import RBFPrecision
from .output_sampling import sample_outputs

# The variance has doubled where the precision of the walls is so much below that on the data.
DOUBLED = 0.1


class Tensors(NamedTuple):
    """What a :class:`StabilisedEmbedding` computes with."""

    network: Network
    parts: list[torch.Tensor]
    walls: RBFPrecision | None
    scale: torch.Tensor | None


class StabilisedEmbedding(KeepsTensors, Decoder):
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
    likelihood : Natural
    parts : list of ndarray
        Further parameters of the likelihood.
    walls : RBFPrecision or None
        A single precision (arrays) that is about one on the data; see :func:`wall_contrast`.
        None: no walls.
    scale : ndarray of shape (m,) or None
        Factors of the outputs, where they stand for others.
    """

    follows_dtype = True

    def __init__(self, network, likelihood, parts=(), walls=None, scale=None):
        self._network, self._likelihood = network, likelihood
        self._parts, self._walls = list(parts), walls
        self._scale = scale

    def __call__(self, z):
        natural = self._likelihood.normalised(self.natural(z))
        return self._scaled(self._likelihood.stabilised(natural, self._on(z).parts)[0], z)

    def natural(self, z):
        """Natural parameters of the distributions that lengths are of, (n, m)."""
        natural = self._on(z).network(z)
        if self._walls is None:
            return natural
        return self._likelihood.widen(natural, self.widening(z))

    def widening(self, z):
        """Logarithm of the factor by which the distributions are unsure, (n, 1)."""
        if self._walls is None:
            return z.new_zeros(len(z), 1)
        return _widening(self._on(z).walls(z))[0]

    def mean(self, z):
        """Means of the network's distributions, (n, m)."""
        made = self._on(z)
        return self._likelihood.mean(made.network(z), made.parts)

    def draw(self, z, rng):
        """A draw from the network's distribution at every row of `z`, ndarray (n, m)."""
        made = self._on(z)
        return self._likelihood.draw(made.network(z), made.parts, rng)

    def log_prob(self, x, z):
        """Logarithm of the probability of what is known of rows `x` (n, m) given `z`, (n,)."""
        made = self._on(z)
        return self._likelihood.of_rows(made.network(z), x, made.parts)

    @property
    def fingerprint(self):
        """Digest of everything the map depends on; equal maps have equal fingerprints."""
        said = type(self._likelihood).__name__, vars(self._likelihood)
        digest = hashlib.sha256(repr(said).encode() + self._network.fingerprint.encode())
        digest.update((self._walls.fingerprint if self._walls is not None else "-").encode())
        for array in [*self._parts, self._scale]:
            digest.update(np.asarray(array).tobytes() if array is not None else b"-")
        return digest.hexdigest()

    def thinned(self, codes):
        """A map with about the same geometry and far fewer outputs, or None.

        A sample of the outputs stands for all; see :func:`.output_sampling.sample_outputs`.
        """
        if not (self._likelihood.is_elementwise and self._network.is_separable):
            return None
        sample = sample_outputs(lambda z: self.linearise(z).jacobian, codes)
        if sample is None:
            return None
        network = self._network.some_outputs(sample.kept)
        parts = [part[sample.kept] for part in self._parts]
        return type(self)(network, self._likelihood, parts, self._walls, sample.scale)

    def linearise(self, z):
        walls = None if self._walls is None else self._on(z).walls.linearise(z)
        return self._stabilised(self._on(z).network.linearise(z), walls, z)

    def bend(self, z, direction):
        made = self._on(z)
        walls = None if self._walls is None else made.walls.jet(z, direction)
        return self._stabilised(made.network.jet(z, direction), walls, z).bend

    def _stabilised(self, natural, precision, z):
        """The map from the network's output and the walls' precision, with derivatives."""
        if precision is not None:
            widening = precision.then(*_widening(precision.value))
            natural = self._likelihood.widen(natural, widening)
        natural = self._likelihood.derivatives_normalised(natural)
        return self._scaled(
            natural.then(*self._likelihood.stabilised(natural.value, self._on(z).parts)), z
        )

    def _scaled(self, value, z):
        return value if self._scale is None else value * self._on(z).scale

    def _made_for(self, dtype, device):
        def tensor(array):
            return torch.as_tensor(array, dtype=dtype, device=device)

        return Tensors(
            self._network.on(dtype, device),
            [tensor(part) for part in self._parts],
            None if self._walls is None else self._walls.on(dtype, device),
            None if self._scale is None else tensor(self._scale),
        )

    def __repr__(self):
        return f"{type(self).__name__}({type(self._likelihood).__name__})"


def _widening(precision):
    """Logarithms of factors with two derivatives, nothing where the precision is one."""
    more = precision + DOUBLED
    slope = -0.5 * DOUBLED / (precision * more)
    bend = -slope * (precision + more) / (precision * more)
    return 0.5 * (torch.log1p(DOUBLED / precision) - math.log1p(DOUBLED)), slope, bend


def wall_contrast(contrast):
    """What the contrast of a precision must be for standard deviations to grow by `contrast`."""
    return math.sqrt(((1.0 + DOUBLED) * contrast**2 - 1.0) / DOUBLED)
