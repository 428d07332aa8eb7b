"""Users' functions and torch modules as maps: the one door, and what is checked at it."""

import copy
import functools
import hashlib

import numpy as np
import torch

from ...calculus.slopes import gradients, usable

# Points at which a map is tried out.
N_TRIED = 128
# What maps that know more than their values have, as ours do; these need not be tried out.
KNOWN = "linearise", "jets", "form", "numbers_per_point", "log_prob"
# Straight lines along which kinks are looked for, and points on each.
N_LINES, N_ON_LINE = 8, 65
# A map has kinks if so much of the change of its slope is not what second derivatives sum to.
KINKED = 0.25
# Layers that compute something else while they are trained.
UNSTEADY = (
    torch.nn.Dropout,
    torch.nn.Dropout1d,
    torch.nn.Dropout2d,
    torch.nn.Dropout3d,
    torch.nn.AlphaDropout,
    torch.nn.FeatureAlphaDropout,
    torch.nn.BatchNorm1d,
    torch.nn.BatchNorm2d,
    torch.nn.BatchNorm3d,
    torch.nn.SyncBatchNorm,
)
SMOOTH = "Train it with a smooth activation: tanh, softplus, SiLU or GELU."


class FrozenModule:
    """A copy of a torch module, in evaluation mode, for inputs of any dtype on any device.

    Parameters
    ----------
    module : torch.nn.Module
    method : str, default="__call__"
        What is called of it.

    Raises
    ------
    ValueError
        If a layer that computes something else in training, dropout or batch normalisation, is
        in training mode.
    """

    follows_dtype = True

    def __init__(self, module, method="__call__"):
        check_mode(module)
        with torch.inference_mode(False):
            self._module = copy.deepcopy(module).cpu().eval().requires_grad_(False)
        self._method = method
        self._copies = {}
        digest = hashlib.sha256(repr((self._module, method)).encode())
        for name, layer in self._module.named_modules():
            digest.update(repr((name, said_of(layer))).encode())
        for name, value in (*self._module.named_parameters(), *self._module.named_buffers()):
            digest.update(name.encode() + value.flatten().view(torch.uint8).numpy().tobytes())
        self.fingerprint = digest.hexdigest()

    def __call__(self, z, *args, **kwargs):
        return self.on(z.dtype, z.device)(z, *args, **kwargs)

    def on(self, dtype=torch.float64, device=None):
        """What is called, with weights of a dtype on a device."""
        key = (dtype, torch.device("cpu" if device is None else device))
        if key not in self._copies:
            with torch.inference_mode(False):
                self._copies[key] = copy.deepcopy(self._module).to(device=key[1], dtype=dtype)
        return getattr(self._copies[key], self._method)

    def __getstate__(self):
        return {**self.__dict__, "_copies": {}}


def said_of(layer):
    """What a layer computes, as far as its class and simple attributes say, a list."""
    said = [_said_of_function(type(layer)), _said_of_function(type(layer).forward)]
    for name, value in sorted(vars(layer).items()):
        if isinstance(value, (bool, int, float, str, tuple)):
            said.append((name, value))
        elif callable(value):
            said.append((name, _said_of_function(value)))
    return said


def _said_of_function(function):
    named = function if hasattr(function, "__qualname__") else type(function)
    code = getattr(function, "__code__", None)
    return named.__module__, named.__qualname__, code and (code.co_code, code.co_names)


def check_mode(module):
    """Raise ValueError for modules that compute something else in training, and are in it."""
    for name, layer in module.named_modules():
        idle = getattr(layer, "p", None) == 0.0
        if layer.training and isinstance(layer, UNSTEADY) and not idle:
            raise ValueError(
                f"Call .eval() first: in training mode the layer {name!r}, {type(layer).__name__}, "
                "makes outputs random or dependent on the other rows, and there is no metric of "
                "that."
            )


def frozen(function):
    """Modules and their methods as copies that are never changed; other functions as they are."""
    if isinstance(function, torch.nn.Module):
        return FrozenModule(function)
    if isinstance(getattr(function, "__self__", None), torch.nn.Module):
        return FrozenModule(function.__self__, function.__name__)
    if isinstance(function, functools.partial):
        return functools.partial(frozen(function.func), *function.args, **function.keywords)
    return function


class UserMap:
    """A function of the user's as a map: what it does to its input is not felt elsewhere.

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


def as_map(function, name):
    """A function as a map that was not tried out yet; maps of our own as they are."""
    if not callable(function):
        raise TypeError(f"{name} must be a function on torch tensors, got {function!r}.")
    known = isinstance(function, UserMap) or any(hasattr(function, sign) for sign in KNOWN)
    return function if known else UserMap(function)


def user_map(function, name, n_dims, points, shape=("m",)):
    """A function that passed the checks, as a map, and what to warn of, or None.

    Parameters
    ----------
    function : callable
        A map of our own is returned as it is.
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
    found = as_map(function, name)
    if found is function:
        return found, None
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
            f"{what}. PullbackMetric.from_decoder takes decoders of other kinds."
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


def in_their_dtype(function, x):
    """What a function is given: only of frozen modules is it known that they follow the dtype."""
    return x if isinstance(function, FrozenModule) else x.double()


def kinks_of(network, z, what):
    """Why a map is too rough for geodesics, a sentence, or None if it is smooth.

    The slope along straight lines between points must change by what second derivatives sum
    to; at a kink it jumps and they know nothing of it.

    Parameters
    ----------
    network : callable
        Maps (n, d) to (n, m), each row on its own.
    z : Tensor of shape (n, d)
        Where it is used.
    what : str
        The map in words, to begin the sentence with.

    Returns
    -------
    str or None
    """
    rng = np.random.default_rng(0)
    i, j = rng.integers(len(z), size=(2, N_LINES))
    away = z.new_tensor(rng.normal(size=(N_LINES, z.shape[1])))
    steps = torch.where((z[i] == z[j]).all(1, keepdim=True), away, z[j] - z[i])
    t = torch.linspace(0.0, 1.0, N_ON_LINE, dtype=z.dtype)[:, None]
    change = missed = seen = steepest = 0.0
    for start, step in zip(z[i], steps):
        slope, bent = slope_and_bend(network, start + t * step, step, rng, what)
        expected = 0.5 * (bent[1:] + bent[:-1]) / (N_ON_LINE - 1)
        change += slope.diff().abs().sum()
        missed += (slope.diff() - expected).abs().sum()
        seen += expected.abs().sum()
        steepest += slope.abs().max()
    if not change > 1e-4 * steepest:
        return None
    if seen < 1e-4 * change:
        return (
            f"{what} is piecewise linear, as with ReLU: the metric is piecewise constant and its "
            "curvature zero, geodesics are polygons, and Newton's method, which goes by second "
            f"derivatives, has nothing to go by. {SMOOTH}"
        )
    if missed > KINKED * change:
        return (
            f"{what} has kinks, as piecewise linear activations such as ReLU make them: the "
            "metric jumps there, and second derivatives, which Newton's method and curvature go "
            f"by, miss {float(missed / change):.0%} of how it changes. {SMOOTH}"
        )
    return None


def slope_and_bend(network, line, step, rng, what):
    """First and second derivative along a line of points of a random sum of a map's outputs."""
    with gradients():
        at, step = usable(line).detach().requires_grad_(), usable(step)
        value = network(at)
        if not value.requires_grad:
            # Constant, or constant in parts, is not the same as cut off.
            if len(torch.unique(value[value.isfinite().all(1)], dim=0)) <= len(value) // 2:
                return torch.zeros_like(at[:, 0]), torch.zeros_like(at[:, 0])
            raise ValueError(
                f"{what} carries no gradient with respect to its input: it must compute with torch "
                "throughout, without torch.no_grad() or detach()."
            )
        weights = value.new_tensor(rng.normal(size=value.shape[1:]))
        gradient = torch.autograd.grad((value * weights).sum(), at, create_graph=True)[0]
        slope = gradient @ step
        bent = torch.zeros_like(slope)
        if slope.requires_grad:
            second = torch.autograd.grad(slope.sum(), at, allow_unused=True)[0]
            bent = bent if second is None else second @ step
    return slope.detach(), bent.detach()
