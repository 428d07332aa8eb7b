"""The pretended accelerator itself."""

import copy
import gc
import weakref

import numpy as np
import pytest
import torch
from other_device import DEVICE, other_device


def not_there():
    return torch.arange(6.0).reshape(3, 2)


def there():
    return not_there().to(DEVICE)


MIXED = {
    "sum": lambda: there() + not_there(),
    "product": lambda: not_there() @ there().mT,
    "number from there": lambda: not_there() * there().sum(),
    "numbers side by side": lambda: torch.stack([there().sum(), not_there().sum()]),
    "number changed": lambda: not_there().sum().add_(there().sum()),
    "in place": lambda: there().mul_(not_there()),
    "index": lambda: not_there()[there()[:, 0] > 0],
    "values": lambda: there().index_put_((torch.arange(3),), not_there()),
    "jvp": lambda: torch.func.jvp(lambda z: z * not_there(), (there(),), (there(),)),
    "jacfwd": lambda: torch.func.jacfwd(lambda z: z * not_there())(there()),
    "vmap": lambda: torch.func.vmap(lambda z: z + not_there()[0])(there()),
    "backward": lambda: there().requires_grad_().sin().backward(not_there()),
    "module": lambda: torch.nn.Linear(2, 1)(there()),
    "generator": lambda: torch.randn(3, device=DEVICE, generator=torch.Generator()),
    "generator there": lambda: torch.randn(3, generator=torch.Generator(DEVICE)),
}


@pytest.mark.parametrize("name", MIXED)
def test_tensors_do_not_mix(name):
    with other_device(), pytest.raises(RuntimeError, match="same device|another device"):
        MIXED[name]()


def test_there_are_no_matrix_products_of_integers():
    with other_device():
        for other in (there()[0].long(), there().mT.long()):
            with pytest.raises(NotImplementedError, match="of integers"):
                there().long() @ other


@pytest.mark.parametrize("read", [torch.Tensor.numpy, np.asarray])
def test_arrays_are_made_on_the_processor_only(read):
    with other_device(), pytest.raises(TypeError, match=r"Use Tensor.cpu\(\)"):
        read(there())


FOUND_THERE = {
    "made": lambda: torch.zeros(2, device=DEVICE),
    "made from an array": lambda: torch.as_tensor(np.ones(2), device=str(DEVICE)),
    "made by default": lambda: made_by_default(),
    "moved to a tensor": lambda: not_there().to(there()),
    "view": lambda: there()[1:].mT,
    "in place": lambda: torch.zeros(3, 2, device=DEVICE).add_(there()),
    "like it": lambda: there().new_tensor([1.0]),
    "with a number": lambda: there() + not_there().sum(),
    "indexed": lambda: there()[not_there()[:, 0] > 0],
    "made on the way": lambda: torch.nn.functional.one_hot(there().long()),
    "copied": lambda: copy.deepcopy(there()),
    "drawn": lambda: torch.randperm(3, device=DEVICE, generator=torch.Generator(DEVICE)),
    "weights": lambda: next(torch.nn.Linear(2, 1).to(DEVICE).parameters()),
    "copied weights": lambda: next(copy.deepcopy(torch.nn.Linear(2, 1).to(DEVICE)).parameters()),
    "jacfwd": lambda: torch.func.jacfwd(lambda z: z.sin() * there()[0])(there()),
    "jacrev": lambda: torch.func.jacrev(torch.sin)(there()),
    "vmap": lambda: torch.func.vmap(lambda z: z + torch.ones(2, device=z.device))(there()),
    "gradient": lambda: gradient_at(there().requires_grad_()),
    "gradient at a leaf": lambda: gradient_at(torch.ones(3, 2, device=DEVICE, requires_grad=True)),
}
NOT_FOUND_THERE = {
    "moved back": lambda: there().cpu(),
    "moved by name": lambda: there().to("cpu", torch.float64),
    "moved to a tensor": lambda: there().to(not_there()),
    "made like it": lambda: torch.zeros_like(there(), device="cpu"),
    "of numbers": lambda: torch.tensor([there().sum().item(), there().tolist()[0][0]]),
    "module": lambda: next(torch.nn.Linear(2, 1).to(DEVICE).cpu().parameters()),
    "gradient of what was moved": lambda: gradient_at(not_there().requires_grad_()),
}


def made_by_default():
    with DEVICE:
        return torch.ones(2)


def gradient_at(x):
    (x.to(DEVICE).square() * there()).sum().backward()
    return x.grad


@pytest.mark.parametrize(
    ("make", "expected"),
    [(make, DEVICE.type) for make in FOUND_THERE.values()]
    + [(make, "cpu") for make in NOT_FOUND_THERE.values()],
    ids=[*FOUND_THERE, *NOT_FOUND_THERE],
)
def test_where_tensors_are(make, expected):
    with other_device():
        found = make()
        assert found.device.type == expected
        assert found.is_cpu == (expected == "cpu")
    assert found.device.type == "cpu"


def test_a_copy_is_a_copy():
    array = np.zeros(3)
    with other_device():
        here = torch.as_tensor(array)
        for moved in (torch.as_tensor(array, device=DEVICE), here.to(DEVICE)):
            moved += 1.0
            there_and_back = moved.cpu()
            there_and_back += 1.0
            assert moved.tolist() == [1.0] * 3
    assert array.tolist() == [0.0] * 3


def test_tensors_are_not_kept_alive():
    with other_device():
        tensor = there()
        gone = weakref.ref(tensor.untyped_storage())
        del tensor
        gc.collect()
        assert gone() is None


def test_the_pretence_ends():
    with other_device():
        assert torch.Generator(DEVICE).device == DEVICE
        tensor = there()
    assert (tensor + not_there()).numpy().sum() == 30.0
    assert type(torch.Generator()) is torch.Generator
