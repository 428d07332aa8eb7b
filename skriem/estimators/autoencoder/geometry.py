"""From a trained autoencoder to the geometry of its decoder."""

from typing import NamedTuple

import torch

from ...decoders.fisher_rao import StabilisedEmbedding
from ...decoders.gaussian import DecoderEmbedding
from ...geometry import PullbackMetric, location_scale_metric
from ...geometry.maps.ensemble import EnsembleEmbedding
from ...nn.likelihoods.base import NOISE_FLOOR, LocationScale, known_average


class Errors(NamedTuple):
    """What a decoder's mean leaves unsaid, where noise is fitted to it."""

    codes: torch.Tensor  # (n, d): where bumps are put
    z: torch.Tensor  # (n, d): where errors are observed
    squares: torch.Tensor  # (n, m)
    weights: torch.Tensor  # (n,)
    std: float  # one for all
    likelihood: LocationScale


def embedding_of(vae, codes, z, targets, weights, rng):
    """The decoder with its uncertainty, as a map.

    Parameters
    ----------
    vae : VAETransformer
        Trained, and says what is asked for.
    codes, z : Tensor of shape (n, d)
        Codes of the data, where bumps are put, and draws from their posteriors, where errors
        are observed.
    targets : Tensor of shape (n, m)
    weights : Tensor of shape (n,)
    rng : RandomState

    Returns
    -------
    DecoderEmbedding, StabilisedEmbedding or EnsembleEmbedding
    """
    make = location_scale_decoder if vae._likelihood.is_location_scale else natural_decoder
    made = [make(vae, decoder, codes, z, targets, weights, rng) for decoder in vae._decoders]
    # Disagreement says where the data are in place of a network.
    return made[0] if len(made) == 1 else EnsembleEmbedding(made)


def location_scale_decoder(vae, decoder, codes, z, targets, weights, rng):
    """A decoder whose distributions have a mean and a standard deviation."""
    likelihood = vae._likelihood
    squares = (targets - decoder.on()(z)).square() + NOISE_FLOOR**2
    # A missing error is as large as those of its column that are known.
    typical = torch.as_tensor(known_average(squares.numpy(), weights.numpy()))
    squares = torch.where(squares.isnan(), typical, squares)
    std = likelihood.typical_noise(squares, weights, vae._likelihood_parts)
    errors = Errors(codes, z, squares, weights, std, likelihood)
    noise = vae._noise._spread(errors, vae._network, rng)
    return DecoderEmbedding(decoder, vae._center, vae._scale, std, noise, likelihood)


def natural_decoder(vae, decoder, codes, z, targets, weights, rng):
    """A decoder whose distributions have one parameter."""
    walls = vae._noise._walls(codes, z, weights, rng)
    return StabilisedEmbedding(decoder, vae._likelihood, vae._likelihood_parts, walls)


def metric_of(vae, embedding, points):
    """The metric of the decoder that was asked for."""
    likelihood = vae._likelihood
    if vae.geometry != "fisher_rao" or not likelihood.is_location_scale:
        return PullbackMetric(embedding, points.shape[1], points)
    weights = likelihood.location_weight, likelihood.scale_weight
    if vae._noise._is_constant:
        # What never changes can be divided by.
        return PullbackMetric(embedding.in_noises(weights[0]), points.shape[1], points)
    return location_scale_metric(embedding, points.shape[1], *weights, points)
