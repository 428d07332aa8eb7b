"""From a trained autoencoder to the geometry of its decoder."""

from functools import partial

import torch

from ...decoders.fisher_rao import fisher_rao_embedding, wall_contrast
from ...decoders.gaussian import DecoderEmbedding
from ...geometry import PullbackMetric, location_scale_metric
from ...geometry.maps.ensemble import EnsembleEmbedding
from ...nn.likelihoods import NOISE_FLOOR, Gaussian, known_average
from ...nn.precision import rbf_precision
from .parts import (
    fit_precision,
    fit_variance_network,
    place_bumps,
    torch_generator,
    with_channels,
)

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
    network = None
    if precision == "mlp":
        hidden = list(vae.hidden_layer_sizes)[::-1]
        network = fit_variance_network(z, squares, weights, hidden, torch_generator(rng))
    elif precision == "rbf":
        bumps = place_bumps(codes, weights, vae.n_centers, vae.bandwidth, rng)
        image = None
        if vae.image_shape is not None:
            image = with_channels(vae.image_shape), torch_generator(rng)
        fit = partial(
            fit_precision, bumps, z, sample_weight=weights, contrast=vae.contrast, image=image
        )
        network = fit_robust_precision(fit, z, squares, noise, likelihood)
    return DecoderEmbedding(decoder, vae._center, vae._scale, noise, network, likelihood)


def fit_robust_precision(fit, z, squares, noise, likelihood):
    """Precision network for errors (n, m) from a distribution that may have heavy tails."""
    if type(likelihood) is Gaussian:
        return fit(noise=squares)
    precision = torch.full_like(squares, noise**-2)
    for _ in range(N_ROUNDS):
        network = fit(noise=likelihood.robust_squares(squares, precision))
        precision = rbf_precision(z, *map(torch.as_tensor, network.values()))
    return network


def natural_decoder(vae, decoder, precision, codes, z, targets, weights, rng):
    """A decoder whose distributions have one parameter."""
    walls = None
    if precision == "rbf":
        bumps = place_bumps(codes, weights, vae.n_centers, vae.bandwidth, rng)
        # The precision of errors that are one wherever there are data.
        ones = torch.ones(len(z), 1).to(z)
        walls = fit_precision(bumps, z, ones, weights, wall_contrast(vae.contrast))
    return fisher_rao_embedding(decoder, vae._likelihood, vae._likelihood_parts, walls)


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
