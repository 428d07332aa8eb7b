"""From a trained autoencoder to the geometry of its decoder."""

from ...decoders.fisher_rao import StabilisedEmbedding
from ...decoders.gaussian import DecoderEmbedding
from ...geometry import PullbackMetric, location_scale_metric
from ...geometry.maps.ensemble import EnsembleEmbedding
from .composite import composite_decoder, composite_metric
from .errors import spread


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
    DecoderEmbedding, StabilisedEmbedding, CompositeEmbedding or EnsembleEmbedding
    """
    make = location_scale_decoder if vae._likelihood.is_location_scale else natural_decoder
    make = composite_decoder if vae._likelihood.is_mixed else make
    made = [make(vae, decoder, codes, z, targets, weights, rng) for decoder in vae._decoders]
    # Disagreement says where the data are in place of a network.
    return made[0] if len(made) == 1 else EnsembleEmbedding(made)


def location_scale_decoder(vae, decoder, codes, z, targets, weights, rng):
    """A decoder whose distributions have a mean and a standard deviation."""
    likelihood, parts = vae._likelihood, vae._likelihood_parts
    std, noise, common = spread(vae, likelihood, parts, decoder, codes, z, targets, weights, rng)
    return DecoderEmbedding(decoder, vae._center, vae._scale, std, noise, likelihood, common)


def natural_decoder(vae, decoder, codes, z, targets, weights, rng):
    """A decoder whose distributions have one parameter."""
    walls = vae._noise._walls(codes, z, weights, rng)
    return StabilisedEmbedding(decoder, vae._likelihood, vae._likelihood_parts, walls)


def metric_of(vae, embedding, points):
    """The metric of the decoder that was asked for."""
    likelihood = vae._likelihood
    if likelihood.is_mixed:
        return composite_metric(vae, embedding, points)
    if vae.geometry != "fisher_rao" or not likelihood.is_location_scale:
        return PullbackMetric(embedding, points.shape[1], points)
    weights = likelihood.location_weight, likelihood.scale_weight
    if vae._noise._is_constant:
        # What never changes can be divided by.
        return PullbackMetric(embedding.in_noises(weights[0]), points.shape[1], points)
    return location_scale_metric(embedding, points.shape[1], *weights, points)
