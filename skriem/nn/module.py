"""A torch module of the user's own as a form of network."""

from contextlib import contextmanager

import torch
from torch.func import functional_call

from .network import Network

MAX_SEED = 2**31 - 1


class ModuleForm:
    """What a factory makes, as a function of its input and its weights.

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
        return [part.detach().clone() for _, part in _state(module)]

    def in_mode(self, training):
        """The same form in training or in evaluation mode."""
        form = ModuleForm(self.factory, self.n_inputs, self.n_outputs, training)
        form._module = self._module
        return form

    def trainable(self, parts):
        """The weights that training may change; buffers the module changes itself."""
        return [part for part, own in zip(parts, self._built().parameters()) if own.requires_grad]

    def __call__(self, x, parts):
        module = self._built().train(self.training)
        names = [name for name, _ in _state(module)]
        found = functional_call(module, dict(zip(names, parts)), (x,))
        if not isinstance(found, torch.Tensor) or found.shape != (len(x), self.n_outputs):
            what = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
            raise ValueError(
                f"A network made by {self.factory!r} must turn ({len(x)}, {self.n_inputs}) inputs "
                f"into a tensor of shape ({len(x)}, {self.n_outputs}), but returned {what}."
            )
        return found

    def _built(self):
        if self._module is None:
            self._module = self._make(0)
        return self._module

    def _make(self, seed):
        # Modules draw their weights from torch's global generator, whose state is put back.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            module = self.factory(self.n_inputs, self.n_outputs)
        if not isinstance(module, torch.nn.Module):
            raise TypeError(f"{self.factory!r} must make a torch.nn.Module, got {module!r}.")
        return module

    def __getstate__(self):
        return {**self.__dict__, "_module": None}

    def __repr__(self):
        return f"ModuleForm({self._built()!r})"


def module_network(factory, n_inputs, n_outputs, generator):
    """A network with fresh weights from a factory of modules."""
    form = ModuleForm(factory, n_inputs, n_outputs)
    return Network(form, form.init(generator))


@contextmanager
def own_generator(is_needed, seed):
    """While modules draw from torch's global generators, give them a seed of ours.

    What the generators were before is put back afterwards.
    """
    if not is_needed:
        yield
        return
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield


def _state(module):
    """Parameters and then buffers, by name, as the module would look them up."""
    yield from module.named_parameters()
    yield from module.named_buffers()
