"""Affine layers: dense ones and strided convolutions in either direction.

Each is a function of its input and its weights that works on rows of any leading shape, with
the adjoint of its linear part, which derivatives of networks are made of.
"""

import math

import torch
from torch.nn import functional

# Odd, so that images of odd size can be halved and doubled without a remainder.
KERNEL, STRIDE = 5, 2
PADDING = KERNEL // 2


class Dense:
    """All inputs to all outputs."""

    def __init__(self, n_inputs, n_outputs):
        self.n_inputs, self.n_outputs = n_inputs, n_outputs
        self.weight_shape, self.n_biases = (n_outputs, n_inputs), n_outputs
        self.fan = n_inputs + n_outputs

    def __call__(self, h, weight, bias=None):
        return functional.linear(h, weight, bias)

    def adjoint(self, g, weight):
        """The transposed linear part."""
        return g @ weight


class Convolution:
    """Images to half their size; rows are images flattened, channels first.

    Parameters
    ----------
    shape : tuple of int
        Channels, height and width of the input.
    n_channels : int
        Channels of the output.
    """

    def __init__(self, shape, n_channels):
        self.shape = tuple(shape)
        self.out_shape = (n_channels, *(math.ceil(side / STRIDE) for side in shape[1:]))
        self.n_inputs, self.n_outputs = math.prod(self.shape), math.prod(self.out_shape)
        self.weight_shape, self.n_biases = (n_channels, shape[0], KERNEL, KERNEL), n_channels
        self.fan = (shape[0] + n_channels) * KERNEL**2

    def __call__(self, h, weight, bias=None):
        return _shrink(h, self.shape, weight, bias)

    def adjoint(self, g, weight):
        """The transposed linear part."""
        return _grow(g, self.out_shape, self.shape, weight)


class Deconvolution:
    """Images to twice their size: the adjoint of a convolution.

    Parameters
    ----------
    shape : tuple of int
        Channels, height and width of the input.
    out_shape : tuple of int
        Of the output; its sides, halved and rounded up, are those of the input.
    """

    def __init__(self, shape, out_shape):
        self.shape, self.out_shape = tuple(shape), tuple(out_shape)
        self.n_inputs, self.n_outputs = math.prod(self.shape), math.prod(self.out_shape)
        self.weight_shape, self.n_biases = (shape[0], out_shape[0], KERNEL, KERNEL), out_shape[0]
        self.fan = (shape[0] + out_shape[0]) * KERNEL**2

    def __call__(self, h, weight, bias=None):
        return _grow(h, self.shape, self.out_shape, weight, bias)

    def adjoint(self, g, weight):
        """The transposed linear part."""
        return _shrink(g, self.out_shape, weight)


def _shrink(h, shape, weight, bias=None):
    images = h.reshape(-1, *shape)
    found = functional.conv2d(images, weight, bias, STRIDE, PADDING)
    return found.reshape(*h.shape[:-1], math.prod(found.shape[1:]))


def _grow(h, shape, out_shape, weight, bias=None):
    images = h.reshape(-1, *shape)
    # What a stride over an odd side leaves over.
    extra = tuple(big - (STRIDE * (small - 1) + 1) for small, big in zip(shape[1:], out_shape[1:]))
    found = functional.conv_transpose2d(images, weight, bias, STRIDE, PADDING, extra)
    return found.reshape(*h.shape[:-1], math.prod(found.shape[1:]))


def growing(shapes):
    """Transposed convolutions from the last of some shapes of images up to the first."""
    return [Deconvolution(small, big) for big, small in reversed(list(zip(shapes, shapes[1:])))]


def glorot(layer, generator, dtype=torch.float32):
    """Weight and bias of a layer at the start of training."""
    bound = math.sqrt(6.0 / layer.fan)
    weight = torch.empty(layer.weight_shape, dtype=dtype)
    weight.uniform_(-bound, bound, generator=generator)
    return weight, torch.zeros(layer.n_biases, dtype=dtype)
