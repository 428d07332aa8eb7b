"""First and second derivatives of an embedding at many points."""

import torch

from .slopes import along, gradient, gradients, jacobian, usable


def linearise(embed, z):
    """Evaluate a row-wise map and its derivatives.

    An embedding that knows its own derivatives says so with a method of the same name; any
    other is differentiated automatically.

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

    def curvature(weights):
        with gradients():
            at = usable(z).detach().requires_grad_()
            slope = gradient((usable(weights) * embed(at)).sum(), at)
            rows = [gradient(slope[:, k].sum(), at) for k in range(z.shape[-1])]
        return torch.stack(rows, dim=1).detach()

    value, slopes = jacobian(embed, z)
    if not z.requires_grad:
        value, slopes = value.detach(), slopes.detach()
    return value, slopes, curvature


def bend(embed, z, direction):
    """Second derivative of a row-wise map along a direction at every point, (n, m).

    As with :func:`linearise`, a map may have a method of the same name.
    """
    if hasattr(embed, "bend"):
        return embed.bend(z, direction)

    def slope(at):
        return along(embed, at, [direction])[1][:, 0]

    return along(slope, z.detach(), [direction])[1][:, 0].detach()
