"""A decoder with noise as a map into (mean, standard deviation) space."""

import hashlib
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch

from ..calculus.linearised import beside
from ..calculus.maps import Map
from ..calculus.tensors import KeepsTensors
from ..geometry.maps.decoder import Decoder
from ..nn.common_noise import given_known
from ..nn.likelihoods import Gaussian
from ..nn.network import Network
from ..nn.weighted import Noise
from .output_sampling import sample_outputs


class Tensors(NamedTuple):
    """What a :class:`DecoderEmbedding` computes with."""

    network: Network
    center: torch.Tensor
    noise: Noise | None


class Deviation(KeepsTensors, Map):
    """The map z -> standard deviation(z), in data units.

    Parameters
    ----------
    noise : Noise
        With arrays for weights.
    scale : float
        Its unit in data units.
    """

    follows_dtype = True

    def __init__(self, noise, scale):
        self._noise, self._scale = noise, scale

    def __call__(self, z):
        return self._on(z)(z) * self._scale

    def linearise(self, z):
        return self._on(z).linearise(z) * self._scale

    def _made_for(self, dtype, device):
        return self._noise.on(dtype, device)


class DecoderEmbedding(KeepsTensors, Decoder):
    """The map z -> (mean(z), standard deviation(z)) of a Gaussian decoder, in data units.

    Its pulled-back Euclidean metric is the expected metric of the random decoder,
    J_mean' J_mean + J_std' J_std (*Latent Space Oddity*, theorem 1).

    Immutable, and so must the arrays be that it is given. The weights are NumPy arrays, so the
    object pickles without torch's devices; tensors are made on first use for each dtype and
    device.

    Parameters
    ----------
    network : Network
        The mean, in its own unit, with arrays for weights.
    center : ndarray of shape (m,)
        Added to the mean.
    scale : float
        One unit of the network's output in data units.
    std : float or ndarray of shape (m,)
        Constant standard deviation, in the network's units, for a decoder without `noise`.
    noise : RBFNoise, PerceptronNoise or None
        How the standard deviation depends on the code, with arrays for weights. None: not at
        all, and the metric is the mean's alone.
    likelihood : LocationScale
        The distribution that has this mean and standard deviation.
    common : ndarray of shape (m, m) or None
        Covariance of errors in standard deviations, by which known outputs say more of missing
        ones than their code does; the geometry and :meth:`log_prob` know nothing of it.
    """

    follows_dtype = True
    # Of what was stored before there was one.
    _common = None

    def __init__(self, network, center, scale, std, noise=None, likelihood=None, common=None):
        self._network = network
        self._center = np.array(center, dtype=np.float64)
        self._scale, self._std = float(scale), std if np.ndim(std) else float(std)
        self._noise = noise
        self._likelihood = Gaussian() if likelihood is None else likelihood
        self._common = common

    def __call__(self, z):
        """Embed the rows of `z`: tensor (n, d) -> tensor (n, 2 m), or (n, m) without noise."""
        mean = self.mean(z)
        return mean if self._noise is None else torch.cat([mean, self.std(z)], dim=-1)

    def mean(self, z):
        """Decoder mean, (n, m), in data units."""
        made = self._on(z)
        return made.network(z) * self._scale + made.center

    def std(self, z):
        """Decoder standard deviation, (n, m), in data units."""
        if self._noise is None:
            constant = torch.as_tensor(self._std).to(z).expand(len(z), len(self._center))
            return constant * self._scale
        return self._on(z).noise(z) * self._scale

    def draw(self, z, rng):
        """A draw from the distribution at every row of `z`, ndarray (n, m)."""
        return self._likelihood.draw_around(self.mean(z).numpy(), self.std(z).numpy(), rng)

    def log_prob(self, x, z):
        """Logarithm of the density of what is known of rows `x` (n, m) given `z`, (n,)."""
        found = self._likelihood.log_density(x, self.mean(z), self.std(z))
        return found.masked_fill(x.isnan(), 0.0).sum(-1)

    def given(self, x, z):
        if self._common is None:
            return super().given(x, z)
        shape, flat = z.shape[:2], z.flatten(0, 1)
        mean, std = (part(flat).unflatten(0, shape) for part in (self.mean, self.std))
        common = torch.as_tensor(self._common).to(z)
        log_density, errors = given_known((x[:, None] - mean) / std, common)
        known = ~x.isnan()[:, None]
        return log_density - (std.log() * known).sum(-1), mean + std * errors

    def linearise(self, z):
        made = self._on(z)
        mean = made.network.linearise(z) * self._scale
        mean = replace(mean, value=mean.value + made.center)
        if self._noise is None:
            return mean
        return beside([mean, made.noise.linearise(z) * self._scale])

    def bend(self, z, direction):
        bent = [part.bend(z, direction) for part in self._networks(z)]
        return torch.cat(bent, dim=-1) * self._scale

    def bent_jacobian(self, z, direction):
        found = zip(*(part.bent_jacobian(z, direction) for part in self._networks(z)))
        jacobian, bent = (torch.cat(parts, dim=-1) * self._scale for parts in found)
        return jacobian, bent

    def _networks(self, z):
        """What the mean comes from and, unless it is constant, what the noise does."""
        made = self._on(z)
        return [made.network] if made.noise is None else [made.network, made.noise]

    def by_feature(self, parts):
        return parts.unflatten(-1, (-1, len(self._center))).sum(-2)

    def compact(self):
        network = self._network.compact()
        if network is self._network:
            return self
        zeros = np.zeros(len(network.parts[-1]))
        return DecoderEmbedding(network, zeros, self._scale, self._std, self._noise)

    def in_noises(self, weight):
        """The mean in units of the constant noise, the squared unit divided by `weight`."""
        factor = weight**0.5 / self._std
        center = self._center * (factor / self._scale)
        return DecoderEmbedding(self._network, center, factor, 1.0 / factor)

    def halves(self):
        """The mean, and the standard deviation unless it is a network as large."""
        if self._noise is None or not self._noise.is_separable:
            return None
        mean = DecoderEmbedding(self._network, self._center, self._scale, self._std)
        return mean, Deviation(self._noise, self._scale)

    def thinned(self, codes):
        """A map with about the same geometry and far fewer outputs.

        A sample of the standard deviations stands for all; see :mod:`.output_sampling`. None
        where there is nothing to be gained.
        """
        if self._noise is None or not self._noise.is_separable:
            return None
        n_means = len(self._center)
        sample = sample_outputs(lambda z: self.linearise(z).jacobian[..., n_means:], codes)
        if sample is None:
            return None
        noise = self._noise.sampled(sample.kept, sample.scale)
        return DecoderEmbedding(self._network, self._center, self._scale, self._std, noise)

    @property
    def fingerprint(self):
        """Digest of everything the map depends on; equal maps have equal fingerprints."""
        parts = self._network.fingerprint, self._noise and self._noise.fingerprint
        said = repr((self._scale, np.asarray(self._std).tolist(), *parts))
        return hashlib.sha256(said.encode() + self._center.tobytes()).hexdigest()

    def _made_for(self, dtype, device):
        return Tensors(
            self._network.on(dtype, device),
            torch.as_tensor(self._center, dtype=dtype, device=device),
            self._noise and self._noise.on(dtype, device),
        )

    def __repr__(self):
        noise = "constant noise" if self._noise is None else repr(self._noise)
        return f"DecoderEmbedding({len(self._center)} outputs, {noise})"
