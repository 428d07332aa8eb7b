"""Networks as functions of their input and their weights.

A form, such as :class:`Layered`, knows how a network computes; :class:`Network` is a form with
weights. Weights are one row of tensors or arrays, so that fitted state is arrays alone.
"""

from abc import ABC, abstractmethod

import numpy as np
import torch
from torch.nn.functional import linear

from ..calculus.linearised import Jet, Linearised
from .layers import Convolution, Dense, glorot, growing
from .weighted import Weighted

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


class Form(ABC):
    """How a network computes, without its weights."""

    @abstractmethod
    def trainable(self, parts):
        """The weights that training may change."""

    def in_mode(self, training):
        """The same form in training or in evaluation mode, where that makes a difference."""
        return self


class Layered(Form):
    """Affine layers with an activation between them, and a linear connection past them all.

    The first two weights are those of the linear connection from input to output, then come
    those of the layers, two each; the output is the sum of both ways.

    Parameters
    ----------
    layers : sequence of Dense, Convolution or Deconvolution
    activation : str
        One of ``ACTIVATIONS``.
    residual : bool
        Whether inner layers as wide as their input add to it what they make of it.
    skip : bool
        Whether there is a linear connection. If not its weights are zero and stay so.
    """

    def __init__(self, layers, activation, residual=False, skip=True):
        self.layers, self.activation = list(layers), activation
        self.residual, self.skip = residual, skip

    def init(self, start, generator, dtype=torch.float32):
        """Draw weights of a network that starts out as the linear map `start`.

        Parameters
        ----------
        start : pair of array
            Weight (out, in) and bias (out,). Without a linear connection, the bias alone is
            what the network starts from.
        generator : torch.Generator
            The only source of randomness.

        Returns
        -------
        list of Tensor
        """
        weight, bias = (torch.as_tensor(part, dtype=dtype).clone() for part in start)
        parts = [weight if self.skip else torch.zeros_like(weight), bias]
        for layer in self.layers:
            parts += glorot(layer, generator, dtype)
        if self.skip:
            # A silent last layer makes the linear connection the whole network at the start.
            parts[-2].zero_()
        return parts

    def trainable(self, parts):
        return list(parts) if self.skip else list(parts[1:])

    def __call__(self, x, parts):
        """Evaluate at the rows of `x`."""
        h = x
        *inner, last = self._with_weights(parts)
        for layer, weight, bias in inner:
            h = self._through(layer, h, layer(h, weight, bias))
        layer, weight, bias = last
        past = linear(x, parts[0], parts[1]) if self.skip else parts[1]
        return past + layer(h, weight, bias)

    def linearise(self, x, parts):
        """Value, Jacobian and curvature at the rows of `x`.

        A hidden unit contributes to the curvature the outer product of its input's gradient, times
        its second derivative, times the weight that reaches it through the layers above.
        """
        first, second = DERIVATIVES[self.activation]
        activate = ACTIVATIONS[self.activation]
        *inner, (last, last_weight, last_bias) = self._with_weights(parts)
        h = x
        jacobian = torch.eye(x.shape[1], dtype=x.dtype, device=x.device).expand(len(x), -1, -1)
        tape = []
        for layer, weight, bias in inner:
            value, into = activate(layer(h, weight, bias)), layer(jacobian, weight)
            tape.append((layer, weight, value, into))
            jacobian = self._through(layer, jacobian, into * first(value)[:, None], False)
            h = self._through(layer, h, value, False)

        def curvature(weights):
            reaching = last.adjoint(weights, last_weight)
            total = 0.0
            for layer, weight, value, into in reversed(tape):
                total = total + (into * (reaching * second(value))[:, None]) @ into.mT
                down = layer.adjoint(reaching * first(value), weight)
                reaching = self._through(layer, reaching, down, False)
            return total

        value = linear(x, parts[0], parts[1]) + last(h, last_weight, last_bias)
        return Linearised(value, last(jacobian, last_weight) + parts[0].T, curvature)

    def jet(self, x, direction, parts):
        """Value and two derivatives along a direction at every row of `x`."""
        *_, (last, weight, bias) = self._with_weights(parts)
        hidden = self._hidden_jet(x, direction, parts)
        return Jet(
            linear(x, parts[0], parts[1]) + last(hidden.value, weight, bias),
            linear(direction, parts[0]) + last(hidden.slope, weight),
            last(hidden.bend, weight),
        )

    def bend(self, x, direction, parts):
        """Second derivative along a direction at every row of `x`, (n, m)."""
        *_, (last, weight, _) = self._with_weights(parts)
        return last(self._hidden_jet(x, direction, parts).bend, weight)

    def _hidden_jet(self, x, direction, parts):
        """What goes into the last layer, with two derivatives along a direction."""
        first, second = DERIVATIVES[self.activation]
        activate = ACTIVATIONS[self.activation]
        *inner, _ = self._with_weights(parts)
        h, slope, bend = x, direction, torch.zeros_like(x)
        for layer, weight, bias in inner:
            value = activate(layer(h, weight, bias))
            into, bent = layer(slope, weight), layer(bend, weight)
            bent = second(value) * into.square() + first(value) * bent
            bend = self._through(layer, bend, bent, False)
            slope = self._through(layer, slope, first(value) * into, False)
            h = self._through(layer, h, value, False)
        return Jet(h, slope, bend)

    def _with_weights(self, parts):
        return zip(self.layers, parts[2::2], parts[3::2])

    def _through(self, layer, h, value, activate=True):
        """What leaves an inner layer: its value, added to its input where it is residual."""
        value = ACTIVATIONS[self.activation](value) if activate else value
        return h + value if self.residual and layer.n_inputs == layer.n_outputs else value

    def __repr__(self):
        shapes = [layer.weight_shape for layer in self.layers]
        kinds = f"{self.activation}, residual={self.residual}, skip={self.skip}"
        return f"Layered({shapes}, {kinds})"


class Network(Weighted):
    """A form of network with weights; a function of its input.

    Parameters
    ----------
    form : Form
    parts : sequence of ndarray or Tensor
    """

    def __init__(self, form, parts):
        super().__init__(parts)
        self.form = form

    def _with(self, parts):
        return type(self)(self.form, parts)

    def trainable(self):
        """The weights that training may change, list of Tensor."""
        return self.form.trainable(self.parts)

    def on(self, dtype=torch.float64, device=None, training=False):
        """A copy with tensors as weights, in training or in evaluation mode."""
        return super().on(dtype, device)._in_mode(training)

    def evaluated(self):
        """The same network in evaluation mode."""
        return self._in_mode(False)

    def stored(self):
        """A copy with arrays as weights, in evaluation mode."""
        return super().stored()._in_mode(False)

    def _in_mode(self, training):
        return type(self)(self.form.in_mode(training), self.parts)

    def as_module(self, dtype):
        """The same (arrays) as a torch module with weights of its own."""
        return NetworkModule(self.form, self.on(dtype).parts)

    def __repr__(self):
        return repr(self.form)


class NetworkModule(torch.nn.Module):
    """A form whose weights are a module's parameters.

    Parameters
    ----------
    form : Layered
    parts : list of Tensor
    """

    def __init__(self, form, parts):
        super().__init__()
        self._form = form
        self.parts = torch.nn.ParameterList(torch.nn.Parameter(part) for part in parts)

    def forward(self, x):
        """The network's output at rows of `x`."""
        return self._form(x, list(self.parts))


class LayeredNetwork(Network):
    """A network that knows its own derivatives."""

    def __call__(self, x):
        return self.form(x, self.parts)

    def linearise(self, x):
        return self.form.linearise(x, self.parts)

    def jet(self, x, direction):
        return self.form.jet(x, direction, self.parts)

    def bend(self, x, direction):
        return self.form.bend(x, direction, self.parts)

    def compact(self):
        """A network (arrays) with the same distances between outputs and fewer of them.

        The output is linear in the last hidden layer and the input together. An orthogonal
        change of the output space, which no distance notices, leaves as many outputs as these
        have units.
        """
        form, skip, last = self.form, self.parts[0], self.parts[-2]
        n_units = form.layers[-1].n_inputs + skip.shape[1]
        if not self.is_separable or len(last) <= n_units:
            return self
        factor = np.linalg.qr(np.concatenate([last, skip], axis=1, dtype=np.float64), mode="r")
        zeros, n_hidden = np.zeros(n_units), last.shape[1]
        layers = [*form.layers[:-1], Dense(n_hidden, n_units)]
        parts = factor[:, n_hidden:], zeros, *self.parts[2:-2], factor[:, :n_hidden], zeros
        return LayeredNetwork(Layered(layers, form.activation, form.residual), parts)

    @property
    def is_separable(self):
        return isinstance(self.form.layers[-1], Dense)

    def some_outputs(self, kept):
        """The same (arrays) with some of the outputs, (n_kept,) int, where they are separable."""
        layers = [*self.form.layers[:-1], Dense(self.form.layers[-1].n_inputs, len(kept))]
        first, last = self.parts[:2], self.parts[-2:]
        parts = [*(p[kept] for p in first), *self.parts[2:-2], *(p[kept] for p in last)]
        form = Layered(layers, self.form.activation, self.form.residual, self.form.skip)
        return LayeredNetwork(form, parts)


def layered_network(form, start, generator, dtype=torch.float32):
    """A network with fresh weights that starts out as the linear map `start`."""
    return LayeredNetwork(form, form.init(start, generator, dtype))


def perceptron(sizes, activation, residual=False, skip=True):
    """A fully connected form with the given widths, input and output included."""
    layers = [Dense(n_in, n_out) for n_in, n_out in zip(sizes[:-1], sizes[1:])]
    return Layered(layers, activation, residual, skip)


def convolutional(image_shape, channels, n_codes, activation, residual=False, skip=True):
    """Forms of an encoder of images, and of a decoder into them.

    Parameters
    ----------
    image_shape : tuple of int
        Channels, height and width.
    channels : sequence of int
        Channels after each halving of the image, in the encoder; the decoder reverses them.
    n_codes : pair of int
        Outputs of the encoder and inputs of the decoder.

    Returns
    -------
    encoder, decoder : Layered
    """
    down, shapes = [], [tuple(image_shape)]
    for n_channels in channels:
        down.append(Convolution(shapes[-1], n_channels))
        shapes.append(down[-1].out_shape)
    up = growing(shapes)
    n_units = down[-1].n_outputs
    encoder = Layered([*down, Dense(n_units, n_codes[0])], activation, residual, skip)
    decoder = Layered([Dense(n_codes[1], n_units), *up], activation, residual, skip)
    return encoder, decoder
