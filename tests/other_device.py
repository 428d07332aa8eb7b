"""A pretended accelerator, so that tensors left on the processor are found on any machine.

    with other_device() as device:
        z = torch.as_tensor(codes, device=device)

All memory is the processor's and results are its results to the last bit. What is pretended is
where tensors live: what is made on or moved to `device` says so, and so does everything computed
from it. An operation that mixes them with other tensors raises as it would on CUDA, and so do
matrix products of integers.
"""

from contextlib import ExitStack, contextmanager
from unittest import mock

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

# No backend goes by this name unless one is registered: a call that escapes the pretence fails.
DEVICE = torch.device("privateuseone:0")
# What tensors there say of themselves.
ANSWERS = {
    torch.Tensor.device.__get__: DEVICE,
    torch.Tensor.is_cpu.__get__: False,
    torch.Tensor.get_device: DEVICE.index,
}
TO_NUMPY = torch.Tensor.numpy, torch.Tensor.__array__
# Calls whose result is a device, the second on behalf of torch.nn.Module.to.
GIVING_DEVICES = "device", "_parse_to"
# What these make lives where their data do.
FROM_DATA = torch.tensor, torch.as_tensor, torch.asarray
LIKE_DATA = torch.Tensor.new_tensor, torch.Tensor.__deepcopy__
# Products that accelerators have for floating point numbers only.
PRODUCTS = "mm", "mv", "addmv", "addmm", "bmm", "baddbmm", "dot"
# Tensors there may be indexed by tensors on the processor.
INDEXING = "index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index"


class Generator(torch.Generator):
    """A random generator that says that it is there."""

    def __new__(cls, device="cpu"):
        if not is_there(device):
            return torch.Generator.__base__.__new__(torch.Generator.__base__, device)
        return super().__new__(cls)

    @property
    def device(self):
        return DEVICE


class Autocast(torch.autocast):
    """There, numbers are rounded as on the processor."""

    def __init__(self, device_type, *args, **options):
        super().__init__("cpu" if is_there(device_type) else device_type, *args, **options)


@contextmanager
def other_device():
    """Pretend, while the context lasts, that there is another device, and give it."""
    operations = Operations()
    with ExitStack() as stack:
        for patch in (
            mock.patch.object(torch, "Generator", Generator),
            mock.patch.object(torch, "autocast", Autocast),
            operations,
            Calls(operations),
        ):
            stack.enter_context(patch)
        yield DEVICE


class Operations(TorchDispatchMode):
    """Knows which tensors are there, and sees every operation, those of derivatives too.

    What is there is a storage, so that views and what is changed in place are as well. They are
    held by weak references, which keep an address from being used again.
    """

    def __init__(self):
        super().__init__()
        self.there = set()
        # Whether what is made out of nothing, and what is copied, is to be there.
        self.making, self.moving = False, None
        self.last_seen = False

    def has(self, tensor):
        """Whether a tensor is there."""
        try:
            return StorageWeakRef(tensor.untyped_storage()) in self.there
        except NotImplementedError:
            # Tensors inside torch.func have no storage: look at what an operation is given.
            tensor.detach()
            return self.last_seen

    def put(self, tensor, there):
        """A tensor as it is where it should be, or a copy there."""
        if self.has(tensor) == there:
            return tensor
        self.moving, before = there, self.moving
        try:
            moved = tensor.clone()
        finally:
            self.moving = before
        if moved.requires_grad:
            moved.register_hook(lambda gradient: self.put(gradient, not there))
        return moved

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        given = list(tensors_in((args, kwargs)))
        there = [self.has(tensor) for tensor in given]
        self.last_seen = any(there)
        name = str(operation).split(".")[1]
        if any(there) and not all(there) and name != "copy_":
            self._check(name, args, kwargs)
        whole = name in PRODUCTS and not (given[-1].is_floating_point() or given[-1].is_complex())
        if any(there) and whole:
            raise NotImplementedError(f"{name} of integers is not implemented on {DEVICE}.")
        result = operation(*args, **kwargs)
        if self.moving is not None:
            marked = self.moving
        elif given:
            marked = any(there) and name != "copy_"
        else:
            marked = self.making
        if marked:
            self.there.update(
                StorageWeakRef(tensor.untyped_storage()) for tensor in tensors_in(result)
            )
        return result

    def _check(self, name, args, kwargs):
        """Raise RuntimeError unless tensors from both sides may meet here."""
        if name in INDEXING and self.has(args[0]):
            args = args[0], *args[2:]
        # Numbers may come from the processor, but not to be changed or to be joined.
        strangers = [
            tensor
            for k, part in enumerate((*args, *kwargs.values()))
            for tensor in tensors_in(part)
            if not self.has(tensor)
            and (tensor.dim() or isinstance(part, (list, tuple)) or (not k and name[-1] == "_"))
        ]
        if strangers:
            shapes = ", ".join(str(tuple(tensor.shape)) for tensor in strangers)
            raise RuntimeError(
                f"Expected all tensors to be on the same device, but {name} got tensors of shape "
                f"{shapes} on cpu beside others on {DEVICE}."
            )


class Calls(TorchFunctionMode):
    """Sees every call from Python: what is asked of tensors, and what names a device."""

    def __init__(self, operations):
        super().__init__()
        self.operations = operations

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if getattr(function, "__name__", None) in GIVING_DEVICES:
            return function(*args, **kwargs)
        has = self.operations.has
        if function in ANSWERS and has(args[0]):
            return ANSWERS[function]
        if function in TO_NUMPY and has(args[0]):
            raise TypeError(
                f"can't convert {DEVICE} device type tensor to numpy. Use Tensor.cpu() to copy "
                "the tensor to host memory first."
            )
        given = list(tensors_in((args, kwargs)))
        target = self._target(function, args, kwargs)
        expected = any(map(has, given)) if target is None else target
        generator = kwargs.get("generator")
        if generator is not None and is_there(generator.device) != expected:
            raise RuntimeError(f"A generator on {generator.device} draws for another device.")
        args = tuple(map(on_processor, args))
        kwargs = {name: on_processor(value) for name, value in kwargs.items()}
        self.operations.making, before = expected, self.operations.making
        try:
            result = function(*args, **kwargs)
            if target is None:
                return result
            if result.requires_grad and result.is_leaf and not any(result is x for x in given):
                # A copy would be no leaf.
                result.data = self.operations.put(result.detach(), target)
                return result
            return self.operations.put(result, target)
        finally:
            self.operations.making = before

    def _target(self, function, args, kwargs):
        """Whether the result is asked to be there, or None if nothing is said of it."""
        has = self.operations.has
        if function == torch.Tensor.cpu:
            return False
        if function in (torch.Tensor.to, torch.Tensor.type_as):
            other = kwargs.get("other", args[1] if len(args) > 1 else None)
            if isinstance(other, torch.Tensor):
                return has(other)
        named = [value for value in (kwargs.get("device"), *args) if is_device(value)]
        if named:
            return is_there(named[0])
        if function in FROM_DATA:
            return isinstance(args[0], torch.Tensor) and has(args[0])
        return has(args[0]) if function in LIKE_DATA else None


def tensors_in(value):
    """All tensors in nested lists, tuples and dictionaries."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple, dict)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from tensors_in(part)


def is_device(value):
    """Whether an argument of a call says where its result is to be."""
    return isinstance(value, torch.device) or (
        isinstance(value, str) and value.split(":")[0] in ("cpu", "cuda", DEVICE.type)
    )


def is_there(device):
    """Whether a device, or what is short for one, is the pretended one."""
    return torch.device(device).type == DEVICE.type


def on_processor(value):
    """An argument that torch can do with, in place of the pretended device."""
    return torch.device("cpu") if is_device(value) and is_there(value) else value
