"""The standard variance network: a perceptron that says how sure the decoder is.

Near the data it learns the noise as well as any; away from them it says what it likes, which
is why the metric rests on :mod:`.precision` by default (*Latent Space Oddity*, section 4).
"""

import math

import torch
from torch.nn.functional import softplus

from .network import LayeredNetwork, layered_network, perceptron

ACTIVATION = "tanh"
# Variances below this share of the typical one are not believed.
FLOOR = 1e-3
BATCH_SIZE, N_EPOCHS, LEARNING_RATE = 200, 100, 3e-3


def network_of(parts):
    """The network from its weights and biases in one row."""
    sizes = [parts[2].shape[1], *(bias.shape[0] for bias in parts[3::2])]
    return LayeredNetwork(perceptron(sizes, ACTIVATION), parts)


def mlp_std(z, floor, *parts):
    """Standard deviation of every output, the root of floor + softplus(network), (n, m)."""
    return (floor + softplus(network_of(parts)(z))).sqrt()


def linearise_mlp_std(z, floor, *parts):
    """Standard deviation, Jacobian and curvature; see :meth:`.network.Layered.linearise`."""
    value, jacobian, curvature = network_of(parts).linearise(z)
    std, slope, bend = _std_of(value, floor)

    def of_std(weights):
        outer = (jacobian * (weights * bend).unsqueeze(1)) @ jacobian.mT
        return outer + curvature(weights * slope)

    return std, jacobian * slope.unsqueeze(1), of_std


def bend_mlp_std(z, direction, floor, *parts):
    """Second derivative of the standard deviation along a direction at every point, (n, m)."""
    network = network_of(parts)
    value, jacobian, _ = network.linearise(z)
    along = (direction.unsqueeze(1) @ jacobian).squeeze(1)
    _, slope, bend = _std_of(value, floor)
    return bend * along.square() + slope * network.bend(z, direction)


def _std_of(value, floor):
    """The root of floor + softplus with its first two derivatives."""
    variance, sigmoid = floor + softplus(value), torch.sigmoid(value)
    std = variance.sqrt()
    slope = 0.5 * sigmoid / std
    return std, slope, 0.5 * sigmoid * (1.0 - sigmoid) / std - 0.5 * slope * sigmoid / variance


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
    list of Tensor
        The floor, then the weights and biases of the network.
    """
    d, m = z.shape[1], noise.shape[1]
    typical = (sample_weight @ noise / sample_weight.sum()).clamp(min=1e-12)
    floor = FLOOR * typical
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
    return [floor, *(part.detach() for part in parts)]
