"""A torch module of the user's own as a form of network."""

import copy
import threading
from contextlib import contextmanager
from functools import cached_property

import torch

from ..calculus.slopes import bent_jacobian
from .network import Form, Network

MAX_SEED = 2**31 - 1
# Held by the thread that has torch's global generators; others that want them wait.
BORROWED = threading.RLock()


class ModuleForm(Form):
    """What a factory makes, without weights.

    Parameters
    ----------
    factory : callable
        ``factory(n_inputs, n_outputs)`` makes a ``torch.nn.Module`` that maps (n, n_inputs) to
        (n, n_outputs).
    n_inputs, n_outputs : int
    training : bool
        Whether the module is in training mode.
    """

    def __init__(self, factory, n_inputs, n_outputs, training=False):
        self.factory, self.n_inputs, self.n_outputs = factory, n_inputs, n_outputs
        self.training = training
        self._module = None

    def init(self, generator):
        """Make the module and take its weights, those to be trained first, list of Tensor."""
        seed = int(torch.randint(MAX_SEED, (), generator=generator))
        module = self._make(seed)
        return [part.detach().clone() for part in _state(module)]

    def in_mode(self, training):
        """The same form in training or in evaluation mode."""
        form = ModuleForm(self.factory, self.n_inputs, self.n_outputs, training)
        form._module = self._module
        return form

    def trainable(self, parts):
        """The weights that training may change; buffers the module changes itself."""
        return [part for part, own in zip(parts, self._built().parameters()) if own.requires_grad]

    def with_weights(self, parts):
        """A module of its own whose weights are these tensors."""
        module = self._built()
        # What deepcopy takes for copied already.
        weights = {id(own): part for own, part in zip(_state(module), parts)}
        return copy.deepcopy(module, weights).train(self.training)

    def checked(self, found, n):
        """What a module returned for n rows, if it is what it should be."""
        if not isinstance(found, torch.Tensor) or found.shape != (n, self.n_outputs):
            what = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
            raise ValueError(
                f"A network made by {self.factory!r} must turn ({n}, {self.n_inputs}) inputs "
                f"into a tensor of shape ({n}, {self.n_outputs}), but returned {what}."
            )
        return found

    def _built(self):
        if self._module is None:
            self._module = self._make(0)
        return self._module

    def _make(self, seed):
        # Without gradients, weights that are computed from others can be copied.
        with own_generator(seed), torch.no_grad():
            module = self.factory(self.n_inputs, self.n_outputs)
        if not isinstance(module, torch.nn.Module):
            raise TypeError(f"{self.factory!r} must make a torch.nn.Module, got {module!r}.")
        return module

    def __getstate__(self):
        return {**self.__dict__, "_module": None}

    def __repr__(self):
        return f"ModuleForm({self._built()!r})"


class ModuleNetwork(Network):
    """A network that is a module of the user's.

    It holds the weights for good: lent to a module for each call, they would be mixed up where
    several threads share it.
    """

    def __call__(self, x):
        return self.form.checked(self._module(x), len(x))

    def bent_jacobian(self, z, direction):
        return bent_jacobian(self, z, direction)

    @cached_property
    def _module(self):
        return self.form.with_weights(self.parts)

    def as_module(self, dtype):
        """The user's module (arrays) with weights of its own."""
        module = self.form.with_weights(self.on(dtype).parts)
        # Weights that are shared stay so.
        made = {id(weight): torch.nn.Parameter(weight) for weight in module.parameters()}
        for part in list(module.modules()):
            for name, weight in list(part.named_parameters(recurse=False)):
                setattr(part, name, made[id(weight)])
        return module

    def some_outputs(self, kept):
        """The same with some of the outputs, (n_kept,) int."""
        return SomeOutputs(self.form, self.parts, kept)


class SomeOutputs(ModuleNetwork):
    """Some of the outputs of a module, which computes all.

    Parameters
    ----------
    form : ModuleForm
    parts : sequence of ndarray or Tensor
    kept : ndarray of shape (n_kept,), int
    """

    def __init__(self, form, parts, kept):
        super().__init__(form, parts)
        self.kept = kept

    def _with(self, parts):
        return SomeOutputs(self.form, parts, self.kept)

    def _in_mode(self, training):
        return SomeOutputs(self.form.in_mode(training), self.parts, self.kept)

    def __call__(self, x):
        return super().__call__(x)[:, self.kept]

    def __repr__(self):
        return f"{super().__repr__()}{self.kept.tolist()}"


def module_network(factory, n_inputs, n_outputs, generator):
    """A network with fresh weights from a factory of modules."""
    form = ModuleForm(factory, n_inputs, n_outputs)
    return ModuleNetwork(form, form.init(generator))


@contextmanager
def own_generator(seed, device="cpu"):
    """While modules draw from torch's global generators, these have a seed of ours.

    What they were before is put back afterwards. They belong to the whole process, so that one
    thread at a time has them. Those of CUDA take part if the device is one of its.
    """
    generators = [torch.default_generator]
    if torch.device(device).type == "cuda":
        torch.cuda.init()
        generators += torch.cuda.default_generators
    with BORROWED:
        states = [generator.get_state() for generator in generators]
        try:
            for generator in generators:
                generator.manual_seed(seed)
            yield
        finally:
            for generator, state in zip(generators, states):
                generator.set_state(state)


def _state(module):
    """Parameters and then buffers."""
    yield from module.parameters()
    yield from module.buffers()
