"""What a decoder's mean leaves unsaid, and the noise that is fitted to it."""

from typing import NamedTuple

import numpy as np
import torch

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
    """
    squares = (targets - decoder.on()(z)).square() + NOISE_FLOOR**2
    # A missing error is as large as those of its column that are known.
    typical = torch.as_tensor(known_average(squares.numpy(), weights.numpy()))
    squares = torch.where(squares.isnan(), typical, squares)
    std = likelihood.typical_noise(squares, weights, parts)
    errors = Errors(codes, z, squares, weights, std, likelihood)
    return std, vae._noise._spread(errors, vae._network, rng)
