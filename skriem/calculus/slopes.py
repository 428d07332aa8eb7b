"""Derivatives of row-wise maps along directions, by reverse differentiation alone.

Forward differentiation in torch has levels that belong to the whole process: two threads that use
it at the same time get in each other's way. The transpose of a transpose costs no more for
networks, and everything in torch that has gradients has it.
"""

from contextlib import ExitStack, contextmanager

import torch


@contextmanager
def gradients():
    """Derivatives can be taken here, whatever mode of torch the caller is in."""
    with torch.inference_mode(False), torch.enable_grad(), all_digits():
        yield


@contextmanager
def no_gradients():
    """No derivatives are kept here, whatever mode of torch the caller is in."""
    with torch.no_grad(), all_digits():
        yield


@contextmanager
def all_digits():
    """Matrix products are not rounded here because the caller's are (autocast)."""
    with ExitStack() as stack:
        for kind in filter(torch.is_autocast_enabled, ("cpu", "cuda")):
            stack.enter_context(torch.autocast(kind, enabled=False))
        yield


def usable(x):
    """A tensor as one that derivatives can be taken with: those of inference mode are not."""
    return x.clone() if x.is_inference() else x


def along(function, z, directions):
    """Value of a row-wise map and its derivatives along directions; gradients flow through all.

    Parameters
    ----------
    function : callable
        Maps (n, d) to (n, m), each row on its own.
    z : Tensor of shape (n, d)
    directions : sequence of Tensor of shape (n, d) or (d,)

    Returns
    -------
    value : Tensor of shape (n, m)
    derivatives : Tensor of shape (n, k, m)
        For each of the k directions.
    """
    with gradients():
        at = z if z.requires_grad else usable(z).detach().requires_grad_()
        value = function(at)
        # Linear in these weights, whatever they are.
        weights = torch.zeros_like(value, requires_grad=True)
        pulled = gradient(value, at, weights)
        derivatives = [gradient(pulled, weights, usable(v).expand_as(pulled)) for v in directions]
    return value, torch.stack(derivatives, dim=1)


def jacobian(function, z):
    """The same along all coordinates: (n, m) and (n, d, m)."""
    return along(function, z, [*torch.eye(z.shape[1], dtype=z.dtype, device=z.device)])


def bent_jacobian(function, z, direction):
    """The derivatives along all coordinates, (n, d, m), and the second along a direction, (n, m).

    From one evaluation, where :func:`jacobian` and two times :func:`along` take three.
    """
    with gradients():
        at, direction = usable(z).detach().requires_grad_(), usable(direction)
        value = function(at)
        weights, others = (torch.zeros_like(value, requires_grad=True) for _ in range(2))
        pulled = gradient(value, at, weights)
        coordinates = torch.eye(z.shape[1], dtype=z.dtype, device=z.device)[:, None]
        slopes = [gradient(pulled, weights, part.expand_as(at)).detach() for part in coordinates]
        slope = gradient(pulled, weights, direction)
        bent = gradient(gradient(slope, at, others), others, direction)
    return torch.stack(slopes, dim=1), bent.detach()


def gradient(value, at, weights=None):
    """Derivative of a scalar, or of a weighted sum, zero where it does not depend on `at`."""
    if not value.requires_grad:
        return torch.zeros_like(at)
    (found,) = torch.autograd.grad(value, at, weights, create_graph=True, allow_unused=True)
    return torch.zeros_like(at) if found is None else found
