"""From the regressions of a trained network to the geometry of its codes."""

import numpy as np

from ...decoders.fisher_rao import fisher_rao_embedding
from ...decoders.gaussian import DecoderEmbedding
from ...geometry import PullbackMetric
from ...nn.likelihoods import Bernoulli
from ...nn.network import LayeredNetwork, perceptron


def metric_of(network, codes):
    """Fisher-Rao metric of the data's distributions, pulled back to relaxed units on top.

    Parameters
    ----------
    network : RegressionNetwork
        All of whose data are zeros and ones, or all normal distributed.
    codes : ndarray of shape (n_codes, n_top)
        Codes of data.
    """
    n_top = len(network.prior)
    return PullbackMetric(embedding_of(network), n_top, codes if len(codes) > 1 else None)


def embedding_of(network):
    """The map whose Euclidean lengths are Fisher-Rao lengths of the data's distributions.

    Normal distributions of constant noise are as far apart as their means in units of it.
    """
    noise = network.noise.numpy()
    if not len(noise):
        return fisher_rao_embedding(decoder_of(network), Bernoulli(), [], None)
    decoder = decoder_of(network, noise)
    return DecoderEmbedding(decoder, np.zeros(len(noise)), 1.0, 1.0)


def decoder_of(network, noise=1.0):
    """The regressions as a perceptron from the top to the data, divided by the noise."""
    weights, biases = (
        [part.numpy() for part in reversed(parts)] for parts in (network.weights, network.biases)
    )
    weights[-1], biases[-1] = (weights[-1].T / noise).T, biases[-1] / noise
    sizes = [weights[0].shape[1], *(len(weight) for weight in weights)]
    form = perceptron(sizes, "logistic", skip=False)
    nothing = np.zeros((sizes[-1], sizes[0])), np.zeros(sizes[-1])
    layers = [part for pair in zip(weights, biases) for part in pair]
    return LayeredNetwork(form, [*nothing, *layers])
