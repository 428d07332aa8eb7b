"""The decoder of a fitted autoencoder as a map into (mean, standard deviation) space."""

import hashlib

import numpy as np
import torch

from .mlp import bend_mlp, linearise_mlp, mlp
from .precision import bend_rbf_std, linearise_rbf_std, rbf_std
from .variance import bend_mlp_std, linearise_mlp_std, mlp_std

# Standard deviations that stand for all of them where a rough metric will do, and points that
# tell which.
N_THINNED = 96
N_PROBES = 200


class DecoderEmbedding:
    """The map z -> (mean(z), standard deviation(z)) of a Gaussian decoder, in data units.

    Its pulled-back Euclidean metric is the expected metric of the random decoder,
    J_mean' J_mean + J_std' J_std (*Latent Space Oddity*, theorem 1).

    Immutable, and so must the arrays be that it is given. The weights are NumPy arrays, so the
    object pickles without torch's devices; tensors are made on first use for each dtype and
    device.

    Parameters
    ----------
    layers : list of (ndarray, ndarray)
        The mean network: linear skip connection first, see :mod:`skriem.nn.mlp`.
    activation : str
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
    """

    follows_dtype = True

    def __init__(self, layers, activation, center, scale, noise, precision=None):
        self._layers = [tuple(map(np.asarray, pair)) for pair in layers]
        self._activation = activation
        self._center = np.array(center, dtype=np.float64)
        self._scale = float(scale)
        self._noise = float(noise)
        self._precision = precision and {
            name: np.array(value, dtype=np.float64) for name, value in precision.items()
        }
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
        return mlp(z, tensors["layers"], self._activation) * self._scale + tensors["center"]

    def std(self, z):
        """Decoder standard deviation, (n, m), in data units."""
        if self._precision is None:
            n_outputs = len(self._center)
            return torch.full((len(z), n_outputs), self._noise, dtype=z.dtype) * self._scale
        std = rbf_std if self._is_rbf else mlp_std
        return std(z, *self._on(z)["precision"]) * self._scale

    def linearise(self, z):
        """Value, Jacobian and curvature at `z`; see :func:`skriem.geometry.jacobian.linearise`."""
        tensors, scale = self._on(z), self._scale
        value, jacobian, mean_curvature = linearise_mlp(z, tensors["layers"], self._activation)
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
        mean = bend_mlp(z, direction, tensors["layers"], self._activation) * scale
        if self._precision is None:
            return mean
        bend_std = bend_rbf_std if self._is_rbf else bend_mlp_std
        return torch.cat([mean, bend_std(z, direction, *tensors["precision"]) * scale], dim=-1)

    def compact(self):
        """A map with the same geometry and fewer outputs.

        The mean is linear in the last hidden layer and the code together. An orthogonal change
        of the output space, which no distance notices, leaves as many outputs as these have
        units.
        """
        (skip, _), *hidden, (last, _) = self._layers
        n_units = last.shape[1] + skip.shape[1]
        if len(last) <= n_units:
            return self
        both = np.concatenate([last, skip], axis=1, dtype=np.float64)
        factor = np.linalg.qr(both, mode="r")
        zeros = np.zeros(n_units)
        folded = (factor[:, last.shape[1] :], zeros), (factor[:, : last.shape[1]], zeros)
        layers = [folded[0], *hidden, folded[1]]
        return DecoderEmbedding(
            layers, self._activation, zeros, self._scale, self._noise, self._precision
        )

    def thinned(self, codes):
        """A map with about the same geometry and far fewer outputs.

        Of the standard deviations, a sample is taken, each with a probability in proportion to
        what it contributes to the metric between `codes`, and scaled up to stand for the rest.
        The same sample is taken every time. None where there is nothing to be gained.
        """
        if not self._is_rbf or len(self._precision["weights"]) < 2 * N_THINNED:
            return None
        rng = np.random.default_rng(0)
        i, j = rng.integers(len(codes), size=(2, N_PROBES))
        between = torch.as_tensor(0.5 * (codes[i] + codes[j]))
        jacobian = self.linearise(between)[1][..., -len(self._precision["weights"]) :]
        total = jacobian.square().sum(1)
        share = (total / total.sum(1, keepdim=True)).mean(0).numpy() + 1e-12
        expected = N_THINNED * share / share.sum()
        # Systematic sampling: evenly spaced marks on the line of cumulated shares.
        marks = np.floor(np.cumsum(expected) + rng.uniform())
        counts = np.diff(marks, prepend=0.0)
        kept = np.flatnonzero(counts)
        scale = (counts / expected)[kept]
        precision = {
            **self._precision,
            "weights": self._precision["weights"][kept] / scale[:, None],
            "floor": self._precision["floor"][kept] / scale,
        }
        return DecoderEmbedding(
            self._layers, self._activation, self._center, self._scale, self._noise, precision
        )

    @property
    def _is_rbf(self):
        return self._precision is not None and "centers" in self._precision

    @property
    def fingerprint(self):
        """Digest of everything the map depends on; equal maps have equal fingerprints."""
        digest = hashlib.sha256(f"{self._activation} {self._scale!r} {self._noise!r}".encode())
        arrays = [part for pair in self._layers for part in pair] + [self._center]
        arrays += list((self._precision or {}).values())
        for array in arrays:
            digest.update(str(array.shape).encode() + array.tobytes())
        return digest.hexdigest()

    def _on(self, z):
        key = (z.dtype, z.device)
        if key not in self._tensors:

            def tensor(array):
                return torch.as_tensor(array, dtype=z.dtype, device=z.device)

            self._tensors[key] = {
                "layers": [(tensor(weight), tensor(bias)) for weight, bias in self._layers],
                "center": tensor(self._center),
                "precision": self._precision and [*map(tensor, self._precision.values())],
            }
        return self._tensors[key]

    def __getstate__(self):
        return {**self.__dict__, "_tensors": {}}

    def __repr__(self):
        n_outputs, n_dims = self._layers[0][0].shape
        noise = "rbf precision" if self._is_rbf else "a variance network"
        noise = "constant noise" if self._precision is None else noise
        return f"DecoderEmbedding({n_dims} -> {n_outputs}, {noise})"
