"""Fully connected networks with a linear skip connection, as functions of their weights.

A network is a list of ``(weight, bias)`` pairs. The first pair is the linear skip connection
from input to output, the others are the layers of a perceptron; the output is their sum.
"""

import math

import torch
from torch.nn.functional import linear

# Twice differentiable activations only: the metric of a piecewise linear decoder is
# piecewise constant, and geodesics through it are polygons.
ACTIVATIONS = {
    "tanh": torch.tanh,
    "logistic": torch.sigmoid,
    "softplus": torch.nn.functional.softplus,
}

# First and second derivatives in terms of the value h, so that the input need not be kept.
DERIVATIVES = {
    "tanh": (lambda h: 1.0 - h * h, lambda h: -2.0 * h * (1.0 - h * h)),
    "logistic": (lambda h: h * (1.0 - h), lambda h: h * (1.0 - h) * (1.0 - 2.0 * h)),
    "softplus": (lambda h: -torch.expm1(-h), lambda h: torch.exp(-h) * -torch.expm1(-h)),
}


def init_mlp(sizes, skip, generator, dtype=torch.float32):
    """Draw the weights of a network that starts out as the linear map `skip`.

    Parameters
    ----------
    sizes : sequence of int
        Widths from input to output, both included.
    skip : pair of Tensor
        Weight (out, in) and bias (out,) of the linear skip connection.
    generator : torch.Generator
        The only source of randomness.

    Returns
    -------
    list of (Tensor, Tensor)
    """
    layers = [tuple(torch.as_tensor(part, dtype=dtype).clone() for part in skip)]
    for fan_in, fan_out in zip(sizes[:-1], sizes[1:]):
        bound = math.sqrt(6.0 / (fan_in + fan_out))
        weight = torch.empty(fan_out, fan_in, dtype=dtype)
        weight.uniform_(-bound, bound, generator=generator)
        layers.append((weight, torch.zeros(fan_out, dtype=dtype)))
    # A silent last layer makes the skip connection the whole network at the start.
    layers[-1][0].zero_()
    return layers


def mlp(x, layers, activation):
    """Evaluate the network at the rows of `x`."""
    skip, *hidden, last = layers
    h = x
    for weight, bias in hidden:
        h = ACTIVATIONS[activation](linear(h, weight, bias))
    return linear(x, *skip) + linear(h, *last)


def linearise_mlp(x, layers, activation):
    """Value, Jacobian and curvature of the network at the rows of `x`.

    Returns
    -------
    value : Tensor of shape (n, m)
    jacobian : Tensor of shape (n, d, m)
    curvature : callable
        Maps weights (n, m) to the weighted sums of the outputs' Hessians, (n, d, d). A hidden
        unit contributes the outer product of its input's gradient, times its second
        derivative, times the weight that reaches it through the layers above.
    """
    (skip_weight, skip_bias), *hidden, (last_weight, last_bias) = layers
    first, second = DERIVATIVES[activation]
    h = x
    jacobian = torch.eye(x.shape[1], dtype=x.dtype, device=x.device).expand(len(x), -1, -1)
    tape = []
    for weight, bias in hidden:
        h = ACTIVATIONS[activation](linear(h, weight, bias))
        into = linear(jacobian, weight)
        jacobian = into * first(h)[:, None]
        tape.append((weight, h, into))

    def curvature(weights):
        reaching = weights @ last_weight
        total = 0.0
        for weight, h, into in reversed(tape):
            total = total + (into * (reaching * second(h))[:, None]) @ into.mT
            reaching = (reaching * first(h)) @ weight
        return total

    value = linear(x, skip_weight, skip_bias) + linear(h, last_weight, last_bias)
    return value, linear(jacobian, last_weight) + skip_weight.T, curvature


def bend_mlp(x, direction, layers, activation):
    """Second derivative of the network along a direction at every row of `x`, (n, m)."""
    _, *hidden, (last_weight, _) = layers
    first, second = DERIVATIVES[activation]
    h, slope, bend = x, direction, torch.zeros_like(x)
    for weight, bias in hidden:
        h = ACTIVATIONS[activation](linear(h, weight, bias))
        slope, bend = linear(slope, weight), linear(bend, weight)
        slope, bend = first(h) * slope, second(h) * slope.square() + first(h) * bend
    return linear(bend, last_weight)
