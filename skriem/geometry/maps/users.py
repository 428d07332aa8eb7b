"""Functions of the user's as maps: the one door, and what is checked at it."""

import numpy as np
import torch

from ...calculus.maps import Map
from ...calculus.slopes import bent_jacobian
from .frozen import FrozenModule, frozen
from .kinks import kinks_of
from .tensor_field import TensorField

# Points at which a map is tried out.
N_TRIED = 128


class OfUsers:
    """A function of the user's: what it does to its input is not felt elsewhere.

    Parameters
    ----------
    function : callable
        Maps (n, d) to (n, ...), each row on its own.
    """

    def __init__(self, function):
        self.function = frozen(function)
        self.follows_dtype = isinstance(self.function, FrozenModule)
        self.fingerprint = getattr(self.function, "fingerprint", None)

    def __call__(self, z):
        if not len(z):
            # Many functions cannot tell the shape of nothing.
            return self(z.new_zeros(1, z.shape[1]))[:0]
        return self._values(z.clone())

    def _values(self, z):
        return self.function(z)


class UserMap(OfUsers, Map):
    """A function of the user's as a map."""

    def bent_jacobian(self, z, direction):
        return bent_jacobian(self, z, direction)


class UserTensorField(OfUsers, TensorField):
    """A function of the user's as a field of tensors."""


def as_map(function, name):
    """A function as a map that was not tried out yet; maps as they are."""
    return function if isinstance(function, Map) else UserMap(check_callable(function, name))


def check_callable(function, name):
    """The function, if it is one; TypeError otherwise."""
    if not callable(function):
        raise TypeError(f"{name} must be a function on torch tensors, got {function!r}.")
    return function


def user_map(function, name, n_dims, points, shape=("m",)):
    """A function that passed the checks, as a map or field, and what to warn of, or None.

    Parameters
    ----------
    function : callable
        A map or field of tensors is returned as it is.
    name : str
        What the user calls it.
    n_dims : int
    points : ndarray of shape (n_points, n_dims) or None
        Where it will be used. None tries it out at random points.
    shape : tuple
        Of what it returns for one point; names stand for any number.

    Raises
    ------
    TypeError
        If it is no function.
    ValueError
        If it fails, returns another shape or dtype or no tensor, or has rows that depend on
        others or no gradient.
    """
    if isinstance(function, (Map, TensorField)):
        return function, None
    kind = UserMap if len(shape) == 1 else UserTensorField
    found = kind(check_callable(function, name))
    if points is None:
        points = np.random.default_rng(0).normal(size=(N_TRIED, n_dims))
    z = torch.as_tensor(np.array(points[:N_TRIED]))
    try:
        value = found(z)
        check_returned(value, z, name, shape)
        check_rows(value, found(z[:2]), name)
        is_module = isinstance(found.function, FrozenModule)
        kinks = kinks_of(lambda z: found(z).flatten(1), z, "The module" if is_module else name)
        # Functions may have places, such as the edge of a half plane, that look like kinks.
        return found, kinks if is_module else None
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"{name} failed on points of shape {tuple(z.shape)} in float64: {error}. {ADVICE} "
            "Pass points where the metric is meant to be used if it is not defined everywhere."
        ) from error


ADVICE = (
    "Functions must compute with torch throughout, in the dtype of what they are given. Modules "
    "and their methods are converted, modules inside of functions are not: call .double() first."
)


def check_returned(value, z, name, shape):
    """Raise ValueError for what is not a tensor (n, *shape) of the dtype of the points."""
    good = isinstance(value, torch.Tensor) and value.ndim == 1 + len(shape) and len(value) == len(z)
    if good:
        good = all(isinstance(k, str) or k == size for k, size in zip(shape, value.shape[1:]))
    if not good:
        what = tuple(value.shape) if isinstance(value, torch.Tensor) else type(value).__name__
        kind = "a tensor" if len(shape) == 1 else "matrices"
        wanted = ", ".join(map(str, (len(z), *shape)))
        raise ValueError(
            f"{name} must turn {tuple(z.shape)} points into {kind} ({wanted}), but returned "
            f"{what}. skriem.decoder_metric takes decoders of other kinds."
        )
    if value.dtype != z.dtype:
        raise ValueError(f"{name} returned {value.dtype} for points of {z.dtype}. {ADVICE}")


def check_rows(value, again, name):
    """Raise ValueError unless the first rows of a value are the same when they are alone."""
    largest = float(value.detach().nan_to_num(0.0, 0.0, 0.0).abs().max())
    if not torch.allclose(again, value[: len(again)], 1e-3, 1e-3 * largest, True):
        raise ValueError(
            f"{name} returns something else for the same rows among others: its rows depend on "
            "each other, as with batch normalisation in training mode, or are random, as with "
            "dropout. Each row must be mapped on its own; call .eval() first."
        )
