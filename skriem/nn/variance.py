"""The standard variance network: a perceptron that says how sure the decoder is.

Near the data it learns the noise as well as any; away from them it says what it likes, which
is why the metric rests on :mod:`.precision` by default (*Latent Space Oddity*, section 4).
"""

import math

import torch
from torch.nn.functional import softplus

from .network import LayeredNetwork, layered_network, perceptron
from .weighted import Noise

ACTIVATION = "tanh"
# Variances below this share of the typical one are not believed.
VARIANCE_FLOOR = 1e-3
BATCH_SIZE, N_EPOCHS, LEARNING_RATE = 200, 100, 3e-3


class PerceptronNoise(Noise):
    """Standard deviation of every output, the root of floor + softplus(network), (n, m).

    Parameters
    ----------
    parts : sequence of ndarray or Tensor
        The floor (m,), then weights and biases of the network.
    """

    @property
    def _network(self):
        parts = self.parts[1:]
        sizes = [parts[2].shape[1], *(bias.shape[0] for bias in parts[3::2])]
        return LayeredNetwork(perceptron(sizes, ACTIVATION), parts)

    def __call__(self, z):
        return (self.parts[0] + softplus(self._network(z))).sqrt()

    def linearise(self, z):
        return self._of(self._network.linearise(z))

    def bend(self, z, direction):
        return self._of(self._network.jet(z, direction)).bend

    def _of(self, network):
        """The root of floor + softplus, with its first two derivatives."""
        variance = self.parts[0] + softplus(network.value)
        sigmoid, std = torch.sigmoid(network.value), variance.sqrt()
        slope = 0.5 * sigmoid / std
        bend = 0.5 * sigmoid * (1.0 - sigmoid) / std - 0.5 * slope * sigmoid / variance
        return network.then(std, slope, bend)


def fit_variance(z, noise, sample_weight, hidden, generator):
    """Train a variance network on squared residuals with the mean held fixed.

    Parameters
    ----------
    z : Tensor of shape (n, d)
    noise : Tensor of shape (n, m)
        Squared residuals.
    sample_weight : Tensor of shape (n,)
    hidden : sequence of int
    generator : torch.Generator

    Returns
    -------
    PerceptronNoise
    """
    d, m = z.shape[1], noise.shape[1]
    typical = (sample_weight @ noise / sample_weight.sum()).clamp(min=1e-12)
    floor = VARIANCE_FLOOR * typical
    # Starts out as constant noise: the inverse of softplus.
    skip = torch.zeros(m, d), torch.log(torch.expm1(typical))
    network = layered_network(perceptron([d, *hidden, m], ACTIVATION), skip, generator, z.dtype)
    parts = [part.requires_grad_() for part in network.trainable()]
    optimizer = torch.optim.Adam(parts, lr=LEARNING_RATE, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, N_EPOCHS)
    for _ in range(N_EPOCHS):
        order = torch.randperm(len(z), generator=generator)
        for rows in order.tensor_split(math.ceil(len(z) / BATCH_SIZE)):
            optimizer.zero_grad(set_to_none=True)
            variance = floor + softplus(network(z[rows]))
            losses = (noise[rows] / variance + variance.log()).mean(1)
            (sample_weight[rows] @ losses / sample_weight[rows].sum()).backward()
            optimizer.step()
        schedule.step()
    return PerceptronNoise([floor, *(part.detach() for part in parts)])
