"""Fits that happen entirely or not at all: where, by which numbers, and how they may end."""

import math
import numbers
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from ..calculus.slopes import gradients
from ..geometry.callers import warn
from .parallel import is_task
from .state import outlines

Method = TypeVar("Method", bound=Callable[..., Any])


def all_or_nothing(method: Method) -> Method:
    """Let a method that fits leave the estimator as it was unless it gets to its end.

    It works on a twin whose attributes become the estimator's in one step, so that neither an
    error nor an interrupt leaves old and new mixed, and other threads see one or the other. For
    this it must never change what an attribute holds, only set attributes anew.

    Gradients are on while it works, and what was on before is restored, whatever happens.
    """

    @wraps(method)
    def wrapped(self, *args, **kwargs):
        # copy.copy asks __getstate__, which may leave things out.
        twin = object.__new__(type(self))
        vars(twin).update(vars(self))
        with gradients():
            result = method(twin, *args, **kwargs)
            twin._outlines = outlines(twin)
        self.__dict__ = vars(twin)
        return self if result is twin else result

    return cast(Method, wrapped)


def training_device(name):
    """The device of a name; "auto" is one of CUDA if there is one."""
    if name != "auto":
        try:
            return torch.empty(0, device=name).device
        except (RuntimeError, AssertionError) as error:
            raise ValueError(f"device={name!r} cannot be used here: {error}") from error
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def later_generator(random_state, n_iter):
    """The generator of a call after `n_iter` passes.

    An int gives other numbers in every call, and the same in every run.
    """
    if isinstance(random_state, numbers.Integral) and n_iter:
        return np.random.RandomState([random_state, n_iter])
    return check_random_state(random_state)


def check_training(history, max_iter, learning_rate):
    """Warn of a training that was interrupted, or pass the interrupt on; raise if it diverged."""
    if history.interrupted:
        if is_task():
            # Whoever waits for many fits wants none that is half done.
            raise KeyboardInterrupt
        warn(
            f"Training was interrupted after {len(history.loss)} of {max_iter} epochs. The "
            "model is complete and as good as it was then.",
            ConvergenceWarning,
        )
    if not math.isfinite(history.loss[-1]):
        raise ValueError(
            "Training diverged: the loss is no longer finite. Lower learning_rate_init "
            f"(now {learning_rate})."
        )
