"""First and second derivatives of an embedding at many points."""

import torch
from torch.autograd import forward_ad


def linearise(embed, z):
    """Evaluate a row-wise map and its derivatives.

    An embedding that knows its own derivatives says so with a method of the same name; any
    other is differentiated automatically: forward for the Jacobian, twice in reverse for the
    curvature.

    Parameters
    ----------
    embed : callable
        Maps (n, d) to (n, m), each row on its own.
    z : Tensor of shape (n, d)

    Returns
    -------
    value : Tensor of shape (n, m)
    jacobian : Tensor of shape (n, d, m)
        Entry [i, k] is the derivative of the value at point i along coordinate k.
    curvature : callable
        Maps weights (n, m) to the weighted sums over outputs of the Hessians, (n, d, d).
    """
    if hasattr(embed, "linearise"):
        return embed.linearise(z)
    columns, z = [], z.contiguous()
    for k in range(z.shape[-1]):
        direction = torch.zeros_like(z)
        direction[:, k] = 1.0
        with forward_ad.dual_level():
            value, column = forward_ad.unpack_dual(embed(forward_ad.make_dual(z, direction)))
        columns.append(torch.zeros_like(value) if column is None else column)

    def curvature(weights):
        with torch.enable_grad():
            at = z.detach().requires_grad_()
            gradient = _gradient((weights * embed(at)).sum(), at)
            rows = [_gradient(gradient[:, k].sum(), at) for k in range(z.shape[-1])]
        return torch.stack(rows, dim=1).detach()

    return value, torch.stack(columns, dim=1), curvature


def bend(embed, z, direction):
    """Second derivative of a row-wise map along a direction at every point, (n, m).

    As with :func:`linearise`, a map may have a method of the same name.
    """
    if hasattr(embed, "bend"):
        return embed.bend(z, direction)

    with torch.enable_grad():
        at = z.detach().requires_grad_()
        once = _along(embed(at), at, direction)
        return _along(once, at, direction).detach()


def _along(value, at, direction):
    """Derivative of a value along a direction, as the transpose of a transpose.

    Reverse twice is several times faster than a forward derivative of a forward derivative.
    """
    weights = torch.zeros_like(value, requires_grad=True)
    return _gradient((_gradient((weights * value).sum(), at) * direction).sum(), weights)


def _gradient(scalar, at):
    if not scalar.requires_grad:
        return torch.zeros_like(at)
    found = torch.autograd.grad(scalar, at, create_graph=True, allow_unused=True)[0]
    return torch.zeros_like(at) if found is None else found
