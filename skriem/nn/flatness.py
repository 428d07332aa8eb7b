"""How far a decoder is from keeping distances, as a penalty on its training."""

import torch

from ..calculus.slopes import jacobian

# Points of the penalty lie on lines through two codes, up to this share of their distance
# beyond them.
BEYOND = 0.2


def distortion(z, decoder, generator):
    """Mean squared difference between the mean's metric and its best multiple of the identity.

    The metric J'J is taken at points between random pairs of codes and divided by c^2, the
    average of its eigenvalues: the penalty has no unit, and is zero for an isometry up to scale
    (Chen, Klushyn, Ferroni, Bayer and van der Smagt, *Learning flat latent manifolds with
    VAEs*, ICML 2020, equations 8 to 10).

    Parameters
    ----------
    z : Tensor of shape (n, d)
        Codes; half as many points are tried.
    decoder : Network
    generator : torch.Generator

    Returns
    -------
    Tensor of shape ()
    """
    n, d = z.shape
    a, b = z[: (n + 1) // 2], z[n // 2 :]
    share = torch.rand(len(a), 1, generator=generator, dtype=z.dtype, device=z.device)
    points = a + ((1.0 + 2.0 * BEYOND) * share - BEYOND) * (b - a)
    slopes = jacobian(decoder, points)[1]
    metric = slopes @ slopes.mT
    identity = torch.eye(d, dtype=z.dtype, device=z.device)
    scale = metric.diagonal(dim1=1, dim2=2).mean().clamp(min=torch.finfo(z.dtype).tiny)
    return (metric / scale - identity).square().sum((1, 2)).mean()
