"""What a decoder's mean leaves unsaid, and the noise that is fitted to it."""

from typing import NamedTuple

import numpy as np
import torch

from ...nn.common_noise import common_noise
from ...nn.likelihoods.base import NOISE_FLOOR, LocationScale, known_average


class Errors(NamedTuple):
    """What a decoder's mean leaves unsaid, where noise is fitted to it."""

    codes: torch.Tensor  # (n, d): where bumps are put
    z: torch.Tensor  # (n, d): where errors are observed
    squares: torch.Tensor  # (n, m)
    weights: torch.Tensor  # (n,)
    std: float | np.ndarray  # one for all, or (m,)
    likelihood: LocationScale


def spread(vae, likelihood, parts, decoder, codes, z, targets, weights, rng):
    """Standard deviations around a decoder's mean.

    Parameters
    ----------
    vae : VAETransformer
    likelihood : LocationScale
    parts : list of ndarray
        Further parameters of the likelihood.
    decoder : Network
        The mean, with arrays for weights.
    codes, z, targets, weights, rng
        See :func:`.geometry.embedding_of`.

    Returns
    -------
    std : float or ndarray of shape (m,)
        Constant ones.
    noise : Noise or None
        How they depend on the code.
    common : ndarray of shape (m, m) or None
        Covariance of errors in standard deviations, for a likelihood that has one.
    """
    off = targets - decoder.on()(z)
    squares = off.square() + NOISE_FLOOR**2
    # A missing error is as large as those of its column that are known.
    typical = torch.as_tensor(known_average(squares.numpy(), weights.numpy()))
    squares = torch.where(squares.isnan(), typical, squares)
    std = likelihood.typical_noise(squares, weights, parts)
    errors = Errors(codes, z, squares, weights, std, likelihood)
    noise = vae._noise._spread(errors, vae._network, rng)
    if not likelihood.has_common_noise:
        return std, noise, None
    unit = torch.as_tensor(std).expand_as(off) if noise is None else noise.on()(z)
    floor = (NOISE_FLOOR / unit).square().mean(0)
    common = common_noise(off / unit, weights, floor)
    return std, noise, None if common is None else common.float().numpy()
