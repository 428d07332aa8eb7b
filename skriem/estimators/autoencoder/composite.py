"""From a trained autoencoder of columns of different kinds to the geometry of its decoder."""

import numpy as np

from ...decoders.composite import CompositeEmbedding, CompositeInformation
from ...decoders.fisher_rao import StabilisedEmbedding
from ...decoders.gaussian import DecoderEmbedding
from ...geometry import PullbackMetric, ambient_metric
from .errors import spread


def composite_decoder(vae, decoder, codes, z, targets, weights, rng):
    """A decoder whose outputs have likelihoods of their own.

    Lengths of real numbers are in units of their columns' typical noise, so that they can be added
    to Fisher-Rao lengths: in either unit what is one apart is hard to tell by a single draw.
    """
    likelihood, members, scales, features = vae._likelihood, [], [], []
    of_data = vae._places[likelihood.features]
    walls = None
    for block in likelihood.blocks:
        network = decoder.some_outputs(np.arange(block.outputs.start, block.outputs.stop))
        parts = vae._likelihood_parts[block.parts]
        if block.likelihood.is_location_scale:
            of_block = targets[:, block.outputs]
            std, noise, common = spread(
                vae, block.likelihood, parts, network, codes, z, of_block, weights, rng
            )
            members.append(
                DecoderEmbedding(
                    network, np.zeros(block.n_outputs), 1.0, std, noise, block.likelihood, common
                )
            )
            scales.append(np.tile(_per_noise(vae, block, std), 1 if noise is None else 2))
        else:
            if walls is None:
                walls = vae._noise._walls(codes, z, weights, rng)
            members.append(StabilisedEmbedding(network, block.likelihood, parts, walls))
            scales.append(np.ones(block.n_outputs))
        features.append(of_data[block.outputs])
    return CompositeEmbedding(members, scales, features, vae.n_features_in_)


def _per_noise(vae, block, std):
    """What changes of means count per unit."""
    if vae.geometry == "fisher_rao" and vae._noise._is_constant:
        return np.sqrt(block.likelihood.location_weight) / std
    return 1.0 / std


def composite_metric(vae, embedding, points):
    """The metric of decoders like that: the sum of those of their blocks."""
    blocks = [
        (block.n_outputs, (block.likelihood.location_weight, block.likelihood.scale_weight))
        if block.likelihood.is_location_scale
        else (block.n_outputs, None)
        for block in vae._likelihood.blocks
    ]
    varies = vae.geometry == "fisher_rao" and not vae._noise._is_constant
    if varies and any(weights is not None for _, weights in blocks):
        return ambient_metric(embedding, CompositeInformation(blocks), points.shape[1], points)
    return PullbackMetric(embedding, points.shape[1], points)
