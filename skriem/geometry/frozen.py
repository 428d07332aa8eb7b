"""Torch modules as maps that never change, and whether a map is smooth enough to be measured."""

import copy
import hashlib

import numpy as np
import torch

from ..nn.slopes import gradients, usable

# Points at which a module is tried out.
N_TRIED = 128
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

    def __call__(self, z):
        return self.on(z.dtype, z.device)(z)

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
    return function


def in_their_dtype(function, x):
    """What a function is given: only of frozen modules is it known that they follow the dtype."""
    return x if isinstance(function, FrozenModule) else x.double()


def tried_module(module, n_dims, points):
    """What to warn of before a module is an embedding, or None; raise if it cannot be one.

    Parameters
    ----------
    module : FrozenModule
    n_dims : int
    points : ndarray of shape (n_points, n_dims) or None
        Where it will be used. None tries it out at random points.
    """
    if points is None:
        points = np.random.default_rng(0).normal(size=(N_TRIED, n_dims))
    z = torch.as_tensor(np.array(points[:N_TRIED]))
    value = module(z)
    if not isinstance(value, torch.Tensor) or value.ndim != 2 or len(value) != len(z):
        what = tuple(value.shape) if isinstance(value, torch.Tensor) else type(value).__name__
        raise ValueError(
            f"embed must turn {tuple(z.shape)} points into a tensor ({len(z)}, m), but returned "
            f"{what}. PullbackMetric.from_decoder takes decoders of other kinds."
        )
    return kinks_of(module, z, "The module")


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
        slope, bent = slope_and_bend(network, start + t * step, step, rng)
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


def slope_and_bend(network, line, step, rng):
    """First and second derivative along a line of points of a random sum of a map's outputs."""
    with gradients():
        at, step = usable(line).detach().requires_grad_(), usable(step)
        value = network(at)
        if not value.requires_grad:
            raise ValueError(
                "The decoder's output carries no gradient with respect to the codes: it must "
                "compute with torch throughout, without torch.no_grad() or detach()."
            )
        weights = value.new_tensor(rng.normal(size=value.shape[1:]))
        gradient = torch.autograd.grad((value * weights).sum(), at, create_graph=True)[0]
        slope = gradient @ step
        bent = torch.zeros_like(slope)
        if slope.requires_grad:
            second = torch.autograd.grad(slope.sum(), at, allow_unused=True)[0]
            bent = bent if second is None else second @ step
    return slope.detach(), bent.detach()
