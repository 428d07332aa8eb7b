"""A decoder with noise as a map into (mean, standard deviation) space."""

import hashlib

import numpy as np
import torch

from ..calculus.linearised import bend, linearise
from ..nn.likelihoods import Gaussian
from ..nn.precision import bend_rbf_std, linearise_rbf_std, rbf_std
from ..nn.variance import bend_mlp_std, linearise_mlp_std, mlp_std
from .output_sampling import sample_outputs


class DecoderEmbedding:
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
    noise : float
        Constant standard deviation, in the network's units, for a decoder without a precision
        network.
    precision : dict of ndarray or None
        ``centers, rates, weights, floor`` of a network of radial basis functions, or ``floor``
        and then weights and biases of a perceptron, see :mod:`skriem.nn.variance`. None:
        constant noise, and the metric is the mean's alone.
    likelihood : Gaussian or StudentT
        The distribution that has this mean and standard deviation.
    """

    follows_dtype = True

    def __init__(self, network, center, scale, noise, precision=None, likelihood=None):
        self._network = network
        self._center = np.array(center, dtype=np.float64)
        self._scale = float(scale)
        self._noise = float(noise)
        self._precision = precision and {
            name: np.array(value, dtype=np.float64) for name, value in precision.items()
        }
        self._likelihood = Gaussian() if likelihood is None else likelihood
        self._tensors = {}

    def __call__(self, z):
        """Embed the rows of `z`: tensor (n, d) -> tensor (n, 2 m), or (n, m) without noise."""
        mean = self.mean(z)
        if self._precision is None:
            return mean
        return torch.cat([mean, self.std(z)], dim=-1)

    def mean(self, z):
        """Decoder mean, (n, m), in data units."""
        tensors = self._on(z)
        return tensors["network"](z) * self._scale + tensors["center"]

    def std(self, z):
        """Decoder standard deviation, (n, m), in data units."""
        if self._precision is None:
            n_outputs = len(self._center)
            return z.new_full((len(z), n_outputs), self._noise) * self._scale
        std = rbf_std if self._is_rbf else mlp_std
        return std(z, *self._on(z)["precision"]) * self._scale

    def draw(self, z, rng):
        """A draw from the distribution at every row of `z`, ndarray (n, m)."""
        return self._likelihood.draw_around(self.mean(z).numpy(), self.std(z).numpy(), rng)

    def log_prob(self, x, z):
        """Logarithm of the density of what is known of rows `x` (n, m) given `z`, (n,)."""
        found = self._likelihood.log_density(x, self.mean(z), self.std(z))
        return found.masked_fill(x.isnan(), 0.0).sum(-1)

    def linearise(self, z):
        """Value, Jacobian and curvature at `z`; see :func:`skriem.calculus.linearised.linearise`."""
        tensors, scale = self._on(z), self._scale
        value, jacobian, mean_curvature = linearise(tensors["network"], z)
        value = value * scale + tensors["center"]
        if self._precision is None:
            return value, jacobian * scale, lambda weights: scale * mean_curvature(weights)
        linearise_std = linearise_rbf_std if self._is_rbf else linearise_mlp_std
        std, std_jacobian, std_curvature = linearise_std(z, *tensors["precision"])

        def curvature(weights):
            on_mean, on_std = weights.tensor_split([jacobian.shape[-1]], dim=-1)
            return scale * (mean_curvature(on_mean) + std_curvature(on_std))

        value = torch.cat([value, std * scale], dim=-1)
        return value, torch.cat([jacobian, std_jacobian], dim=-1) * scale, curvature

    def bend(self, z, direction):
        """Second derivative along a direction at every row of `z`."""
        tensors, scale = self._on(z), self._scale
        mean = bend(tensors["network"], z, direction) * scale
        if self._precision is None:
            return mean
        bend_std = bend_rbf_std if self._is_rbf else bend_mlp_std
        return torch.cat([mean, bend_std(z, direction, *tensors["precision"]) * scale], dim=-1)

    def compact(self):
        """A map with the same geometry and fewer outputs, where the mean can be folded."""
        folded = self._network.folded() if hasattr(self._network, "folded") else None
        if folded is None:
            return self
        zeros = np.zeros(len(folded.parts[-1]))
        return DecoderEmbedding(folded, zeros, self._scale, self._noise, self._precision)

    def in_noises(self, weight):
        """The mean in units of the constant noise, the squared unit divided by `weight`."""
        factor = weight**0.5 / self._noise
        center = self._center * (factor / self._scale)
        return DecoderEmbedding(self._network, center, factor, 1.0 / factor)

    def thinned(self, codes):
        """A map with about the same geometry and far fewer outputs.

        A sample of the standard deviations stands for all; see :mod:`.sampling`. None where
        there is nothing to be gained.
        """
        if not self._is_rbf:
            return None
        n_stds = len(self._precision["weights"])
        sample = sample_outputs(lambda z: self.linearise(z)[1][..., -n_stds:], codes)
        if sample is None:
            return None
        square = sample.scale**2
        precision = {
            **self._precision,
            "weights": self._precision["weights"][sample.kept] / square[:, None],
            "floor": self._precision["floor"][sample.kept] / square,
        }
        return DecoderEmbedding(self._network, self._center, self._scale, self._noise, precision)

    @property
    def _is_rbf(self):
        return self._precision is not None and "centers" in self._precision

    @property
    def fingerprint(self):
        """Digest of everything the map depends on; equal maps have equal fingerprints."""
        digest = hashlib.sha256(f"{self._scale!r} {self._noise!r}".encode())
        digest.update(self._network.fingerprint.encode())
        arrays = [self._center, *(self._precision or {}).values()]
        for array in arrays:
            digest.update(str(array.shape).encode() + array.tobytes())
        return digest.hexdigest()

    @torch.inference_mode(False)
    def _on(self, z):
        key = (z.dtype, z.device)
        if key not in self._tensors:

            def tensor(array):
                return torch.as_tensor(array, dtype=z.dtype, device=z.device)

            self._tensors[key] = {
                "network": self._network.on(z.dtype, z.device),
                "center": tensor(self._center),
                "precision": self._precision and [*map(tensor, self._precision.values())],
            }
        return self._tensors[key]

    def __getstate__(self):
        return {**self.__dict__, "_tensors": {}}

    def __repr__(self):
        noise = "rbf precision" if self._is_rbf else "a variance network"
        noise = "constant noise" if self._precision is None else noise
        return f"DecoderEmbedding({len(self._center)} outputs, {noise})"
