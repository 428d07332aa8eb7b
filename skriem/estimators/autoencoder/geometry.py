"""From a trained autoencoder to the geometry of its decoder."""

from functools import partial

import torch

from ...decoders.fisher_rao import StabilisedEmbedding
from ...decoders.gaussian import DecoderEmbedding
from ...decoders.uncertainty import fit_precision, fit_walls, place_bumps
from ...geometry import PullbackMetric, location_scale_metric
from ...geometry.maps.ensemble import EnsembleEmbedding
from ...nn.likelihoods.base import NOISE_FLOOR, known_average
from ...nn.precision import RBFNoise
from ...nn.variance import fit_variance
from .parts import torch_generator, with_channels

# Rounds of weighing outliers down when the precision is fitted to errors with heavy tails.
N_ROUNDS = 5


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
    if len(vae._decoders) == 1:
        return make(vae, vae._decoders[0], vae.precision, codes, z, targets, weights, rng)
    # Disagreement says where the data are in place of a network.
    return EnsembleEmbedding(
        [
            make(vae, decoder, "constant", codes, z, targets, weights, rng)
            for decoder in vae._decoders
        ]
    )


def location_scale_decoder(vae, decoder, precision, codes, z, targets, weights, rng):
    """A decoder whose distributions have a mean and a standard deviation."""
    likelihood = vae._likelihood
    squares = (targets - decoder.on()(z)).square() + NOISE_FLOOR**2
    # A missing error is as large as those of its column that are known.
    typical = torch.as_tensor(known_average(squares.numpy(), weights.numpy()))
    squares = torch.where(squares.isnan(), typical, squares)
    noise = likelihood.typical_noise(squares, weights, vae._likelihood_parts)
    spread = None
    if precision == "mlp":
        hidden = list(vae.hidden_layer_sizes)[::-1]
        spread = fit_variance(z, squares, weights, hidden, torch_generator(rng)).stored()
    elif precision == "rbf":
        bumps = bumps_of(vae, codes, weights, rng)
        image = None
        if vae.image_shape is not None:
            image = with_channels(vae.image_shape), torch_generator(rng)
        fit = partial(
            fit_precision, bumps, z, sample_weight=weights, contrast=vae.contrast, image=image
        )
        spread = RBFNoise(fit_robust_precision(fit, z, squares, noise, likelihood).parts)
    return DecoderEmbedding(decoder, vae._center, vae._scale, noise, spread, likelihood)


def bumps_of(vae, codes, weights, rng):
    """Centres and rates of the bumps that a VAETransformer asks for."""
    return place_bumps(codes, weights, vae.n_centers, vae.bandwidth, rng.randint(2**31 - 1))


def fit_robust_precision(fit, z, squares, noise, likelihood):
    """Precision network for errors (n, m) from a distribution that may have heavy tails."""
    precision = torch.full_like(squares, noise**-2)
    for _ in range(N_ROUNDS if likelihood.is_heavy_tailed else 1):
        network = fit(noise=likelihood.robust_squares(squares, precision))
        precision = network.on()(z)
    return network


def natural_decoder(vae, decoder, precision, codes, z, targets, weights, rng):
    """A decoder whose distributions have one parameter."""
    walls = None
    if precision == "rbf":
        walls = fit_walls(bumps_of(vae, codes, weights, rng), z, weights, vae.contrast)
    return StabilisedEmbedding(decoder, vae._likelihood, vae._likelihood_parts, walls)


def metric_of(vae, embedding, points):
    """The metric of the decoder that was asked for."""
    likelihood = vae._likelihood
    if vae.geometry != "fisher_rao" or not likelihood.is_location_scale:
        return PullbackMetric(embedding, points.shape[1], points)
    weights = likelihood.location_weight, likelihood.scale_weight
    if vae.precision == "constant" or vae.n_decoders > 1:
        # What never changes can be divided by.
        return PullbackMetric(embedding.in_noises(weights[0]), points.shape[1], points)
    return location_scale_metric(embedding, points.shape[1], *weights, points)
