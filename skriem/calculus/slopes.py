"""Derivatives of row-wise maps along directions, by reverse differentiation alone.

Forward differentiation in torch has levels that belong to the whole process: two threads that use
it at the same time get in each other's way. The transpose of a transpose costs no more for
networks, and everything in torch that has gradients has it.
"""

from contextlib import contextmanager

import torch


@contextmanager
def gradients():
    """Derivatives can be taken here, whatever mode of torch the caller is in."""
    with torch.inference_mode(False), torch.enable_grad():
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
        pulled = gradient((weights * value).sum(), at)
        derivatives = [gradient((pulled * v).sum(), weights) for v in map(usable, directions)]
    return value, torch.stack(derivatives, dim=1)


def jacobian(function, z):
    """The same along all coordinates: (n, m) and (n, d, m)."""
    return along(function, z, [*torch.eye(z.shape[1], dtype=z.dtype, device=z.device)])


def gradient(scalar, at):
    """Derivative of a scalar by a tensor, zero where it does not depend on it."""
    if not scalar.requires_grad:
        return torch.zeros_like(at)
    found = torch.autograd.grad(scalar, at, create_graph=True, allow_unused=True)[0]
    return torch.zeros_like(at) if found is None else found
