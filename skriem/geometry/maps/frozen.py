"""Torch modules as functions that never change."""

import copy
import functools
import hashlib

import torch

from ...calculus.tensors import KeepsTensors

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
    torch.nn.RReLU,
)


class FrozenModule(KeepsTensors):
    """A copy of a torch module, in evaluation mode, for inputs of any dtype on any device.

    Parameters
    ----------
    module : torch.nn.Module
    method : str, default="__call__"
        What is called of it.

    Raises
    ------
    ValueError
        If a layer that computes something else in training, such as dropout or batch
        normalisation, is in training mode.
    """

    follows_dtype = True

    def __init__(self, module, method="__call__"):
        check_mode(module)
        with torch.inference_mode(False):
            self._module = copy.deepcopy(module).cpu().eval().requires_grad_(False)
        self._method = method
        digest = hashlib.sha256(repr((self._module, method)).encode())
        for name, layer in self._module.named_modules():
            digest.update(repr((name, said_of(layer))).encode())
        for name, value in (*self._module.named_parameters(), *self._module.named_buffers()):
            digest.update(name.encode() + value.flatten().view(torch.uint8).numpy().tobytes())
        self.fingerprint = digest.hexdigest()

    def __call__(self, z, *args, **kwargs):
        return self._on(z)(z, *args, **kwargs)

    def on(self, dtype=torch.float64, device=None):
        """What is called, with weights of a dtype on a device."""
        return getattr(super().on(dtype, device), self._method)

    def _made_for(self, dtype, device):
        return copy.deepcopy(self._module).to(device=device, dtype=dtype)


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


def in_their_dtype(function, x):
    """What a function is given: only of frozen modules is it known that they follow the dtype."""
    return x if isinstance(function, FrozenModule) else x.double()
