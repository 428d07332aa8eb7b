"""What networks a VAETransformer is made of: Perceptron, Convolutional, Modules."""

from __future__ import annotations

import numbers
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import check_scalar

from ...nn.network import ACTIVATIONS, convolutional, perceptron
from ...support.rows import check_image_shape


class NetworkSettings(BaseEstimator, ABC):
    """What an autoencoder asks of its networks.

    Attributes
    ----------
    _factories : pair of callable or None
        What makes encoder and decoder, where these are modules of the user's.
    _image_shape : tuple of int or None
        Channels, height and width of the images that features are the pixels of.
    """

    _factories: tuple[Callable | None, Callable | None] = (None, None)
    _image_shape: tuple[int, ...] | None = None

    @abstractmethod
    def _check(self):
        """Raise for parameters that cannot work."""

    @abstractmethod
    def _forms(self, n_inputs, n_codes, n_outputs):
        """Forms of encoder and decoder, which has `n_codes` inputs; the encoder twice as many."""

    @property
    @abstractmethod
    def _hidden(self):
        """Widths of the encoder's hidden layers, list of int."""


class Perceptron(NetworkSettings):
    """Fully connected networks for a :class:`VAETransformer`.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int, default=(64, 32)
        Widths of the encoder's hidden layers; the decoder has them in reverse.
    activation : {"tanh", "logistic", "softplus"}, default="tanh"
        Smooth activations only: the geometry needs second derivatives.
    residual : bool, default=False
        Whether hidden layers as wide as the one before add to it what they make of it.
    skip : bool, default=True
        Whether networks have a linear connection from input to output besides, which starts as
        principal component analysis.

    See Also
    --------
    VAETransformer : Takes it for `network`; widths alone, such as ``(64, 32)``, have the defaults.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skriem import Perceptron, VAETransformer
    >>> network = Perceptron((16,), activation="softplus")
    >>> vae = VAETransformer(network=network, max_iter=20, random_state=0)
    >>> vae.fit_transform(load_iris().data).shape
    (150, 2)
    """

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int] = (64, 32),
        *,
        activation: Literal["tanh", "logistic", "softplus"] = "tanh",
        residual: bool = False,
        skip: bool = True,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.residual = residual
        self.skip = skip

    def _check(self):
        check_sizes(self.hidden_layer_sizes, "hidden_layer_sizes")
        check_layers(self)

    def _forms(self, n_inputs, n_codes, n_outputs):
        options = self.activation, self.residual, self.skip
        return (
            perceptron([n_inputs, *self._hidden, 2 * n_codes], *options),
            perceptron([n_codes, *self._hidden[::-1], n_outputs], *options),
        )

    @property
    def _hidden(self):
        return list(self.hidden_layer_sizes)


class Convolutional(NetworkSettings):
    """Convolutional networks for a :class:`VAETransformer` of images.

    The weights of its precision network are then smooth over the image: they come out of
    transposed convolutions with positive filters.

    Parameters
    ----------
    image_shape : tuple of int
        (height, width) or (channels, height, width) of images whose pixels are the features.
    n_channels : sequence of int, default=(16, 32)
        Numbers of channels, each after halving the image; the decoder has them in reverse.
    activation : {"tanh", "logistic", "softplus"}, default="tanh"
        See :class:`Perceptron`, as for the next two.
    residual : bool, default=False
    skip : bool, default=True

    See Also
    --------
    VAETransformer : Takes it for `network`.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skriem import Convolutional, VAETransformer
    >>> X = load_digits().data[:200]
    >>> vae = VAETransformer(network=Convolutional((8, 8), (4,)), max_iter=2, random_state=0)
    >>> vae.fit_transform(X).shape
    (200, 2)
    """

    def __init__(
        self,
        image_shape: tuple[int, int] | tuple[int, int, int],
        n_channels: Sequence[int] = (16, 32),
        *,
        activation: Literal["tanh", "logistic", "softplus"] = "tanh",
        residual: bool = False,
        skip: bool = True,
    ) -> None:
        self.image_shape = image_shape
        self.n_channels = n_channels
        self.activation = activation
        self.residual = residual
        self.skip = skip

    def _check(self):
        check_image_shape(self.image_shape)
        check_sizes(self.n_channels, "n_channels")
        check_layers(self)

    def _forms(self, n_inputs, n_codes, n_outputs):
        options = self.activation, self.residual, self.skip
        shape = check_image_shape(self.image_shape, n_outputs)
        # Which pixels are missing is an image too.
        seen = (shape[0] * n_inputs // n_outputs, *shape[1:])
        sizes = 2 * n_codes, n_codes
        encoder, _ = convolutional(seen, self._hidden, sizes, *options)
        _, decoder = convolutional(shape, self._hidden, sizes, *options)
        return encoder, decoder

    @property
    def _image_shape(self):
        return check_image_shape(self.image_shape)

    @property
    def _hidden(self):
        return list(self.n_channels)


class Modules(NetworkSettings):
    """Torch modules of your own as networks of a :class:`VAETransformer`.

    Parameters
    ----------
    encoder, decoder : callable, default=None
        ``factory(n_inputs, n_outputs)`` that makes a ``torch.nn.Module``, smooth and each row on
        its own. An encoder has twice as many outputs as there are codes: means, then log
        variances. None for the usual perceptron.
    hidden_layer_sizes : sequence of int, default=(64, 32)
        Of the usual perceptron.

    See Also
    --------
    VAETransformer : Takes it for `network`.

    Examples
    --------
    >>> import torch
    >>> from sklearn.datasets import load_iris
    >>> from skriem import Modules, VAETransformer
    >>> def decoder(n_inputs, n_outputs):
    ...     first, last = torch.nn.Linear(n_inputs, 16), torch.nn.Linear(16, n_outputs)
    ...     return torch.nn.Sequential(first, torch.nn.SiLU(), last)
    >>> vae = VAETransformer(network=Modules(decoder=decoder), max_iter=20, random_state=0)
    >>> vae.fit_transform(load_iris().data).shape
    (150, 2)
    """

    def __init__(
        self,
        encoder: Callable[[int, int], torch.nn.Module] | None = None,
        decoder: Callable[[int, int], torch.nn.Module] | None = None,
        *,
        hidden_layer_sizes: Sequence[int] = (64, 32),
    ) -> None:
        self.encoder = encoder
        self.decoder = decoder
        self.hidden_layer_sizes = hidden_layer_sizes

    def _check(self):
        check_sizes(self.hidden_layer_sizes, "hidden_layer_sizes")
        for name, factory in (("encoder", self.encoder), ("decoder", self.decoder)):
            if isinstance(factory, torch.nn.Module):
                raise TypeError(
                    f"{name} must be a function or class that makes a module, so that every fit "
                    f"starts afresh; got a module. Pass {name}=lambda n_in, n_out: ... ."
                )
            if factory is not None and not callable(factory):
                raise TypeError(f"{name} must be a function that makes a module, got {factory!r}.")

    def _forms(self, n_inputs, n_codes, n_outputs):
        return Perceptron(self.hidden_layer_sizes)._forms(n_inputs, n_codes, n_outputs)

    @property
    def _factories(self):
        return self.encoder, self.decoder

    @property
    def _hidden(self):
        return list(self.hidden_layer_sizes)


def check_sizes(sizes, name):
    """Raise for widths of layers that cannot be."""
    if not np.iterable(sizes) or not len(sizes):
        raise ValueError(f"{name} must name at least one layer, such as (64,), got {sizes!r}.")
    for size in sizes:
        check_scalar(size, name, numbers.Integral, min_val=1)


def check_layers(network):
    """Raise for settings of layers that cannot be."""
    if network.activation not in ACTIVATIONS:
        raise ValueError(
            f"activation must be one of {sorted(ACTIVATIONS)}, got {network.activation!r}."
        )
    for name in ("residual", "skip"):
        check_scalar(getattr(network, name), name, (bool, np.bool_))


def network_of(network):
    """The settings that a VAETransformer's `network` stands for."""
    if isinstance(network, NetworkSettings):
        return network
    if isinstance(network, str) or not isinstance(network, (Sequence, np.ndarray)):
        raise TypeError(
            "network must be widths of hidden layers, such as (64, 32), or a Perceptron, "
            f"Convolutional or Modules, got {network!r}."
        )
    check_sizes(network, "network")
    return Perceptron(network)
