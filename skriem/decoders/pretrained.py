"""Decoders that were trained elsewhere as embeddings, and what their uncertainty is to be."""

import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from scipy.cluster.vq import kmeans2

from ..geometry.maps.frozen import frozen, kinks_of
from ..nn.likelihoods import NOISE_FLOOR
from ..nn.precision import bandwidth_rates, fit_rbf_weights, rbf_features, usual_n_centers
from .fisher_rao import fisher_rao_embedding, wall_contrast
from .gaussian import DecoderEmbedding
from .outputs import AdoptedDecoder, base_of, decoded, mean_of, reading_of, rows, targets_of
from .pretrained_checks import (
    check_features,
    check_noise,
    check_options,
    check_values,
    checked_codes,
    checked_data,
    try_out,
)

# Codes that a metric keeps for its graph.
MAX_POINTS = 1000
# Without data the noise is this share of the standard deviation of what is decoded.
NOISE_SHARE = 0.1
# Codes at which a decoder is tried out.
N_TRIED = 16


class Adopted(NamedTuple):
    """What a metric is made of, and what to warn of."""

    embed: Callable
    points: np.ndarray
    warning: str | None


def adopt(
    decoder,
    codes,
    data,
    likelihood,
    output,
    features,
    noise,
    n_centers,
    bandwidth,
    contrast,
    random_state,
):
    """The embedding of a trained decoder; see :meth:`.PullbackMetric.from_decoder`."""
    check_options(decoder, likelihood, output, features, n_centers, bandwidth, contrast)
    z, rng = checked_codes(codes), generator(random_state)
    plain = AdoptedDecoder(frozen(decoder), frozen(output))
    tried = z[np.linspace(0, len(z) - 1, min(len(z), N_TRIED)).astype(int)]
    found = try_out(plain, tried)
    reading = reading_of(found, likelihood, features)
    check_noise(noise, data, reading)
    check_features(features, reading)
    network = plain.reading(reading.read, frozen(features))
    values = decoded(network, z)
    check_values(values, plain, z, reading)
    data = None if data is None else checked_data(data, len(z), mean_of(found).shape[1:])
    if reading.likelihood is not None:
        walls = None
        if contrast > 1:
            # The precision of errors that are one wherever there are data.
            ones, contrast = z.new_ones(len(z), 1), wall_contrast(contrast)
            walls = walls_around(z, ones, n_centers, bandwidth, contrast, rng)
        likelihood, parts = further_parameters(base_of(found), reading)
        embed = fisher_rao_embedding(network, likelihood, parts, walls)
    elif reading.name == "gaussian":
        targets = None if data is None else targets_of(data, network)
        squares, std = squared_errors(values, targets, noise)
        walls = None
        if contrast > 1:
            walls = walls_around(z, squares, n_centers, bandwidth, contrast, rng)
            if data is None:
                # One noise for all outputs.
                for name in ("weights", "floor"):
                    walls[name] = np.repeat(walls[name], values.shape[1], axis=0)
        embed = DecoderEmbedding(network, np.zeros(values.shape[1]), 1.0, std, walls)
    else:
        embed = network
    points = z[np.sort(rng.permutation(len(z))[:MAX_POINTS])]
    what = "decoder" if features is None else "decoder with its features"
    smooth = network if reading.likelihood is None else plain
    return Adopted(embed, points.numpy(), kinks_of(smooth.on(), z, f"The {what}"))


def further_parameters(base, reading):
    """The likelihood, and what of it does not depend on the code: Likelihood, list of ndarray.

    Parameters
    ----------
    base : Distribution or Tensor
        What the decoder returns at some codes.
    reading : Reading
    """
    likelihood = reading.likelihood()
    if reading.name == "categorical":
        n_categories = base.logits.shape[-1]
        likelihood.n_categories = [n_categories] * (base.logits[0].numel() // n_categories)
    if reading.name != "negative binomial":
        return likelihood, []
    size = rows(base.total_count.expand(base.logits.shape)).detach()
    if ((size - size[0]).abs() > 1e-6 * size[0]).any():
        raise ValueError(
            "The total_count of the decoder's NegativeBinomial depends on the code; its geometry "
            "is that of the mean for a constant one. Say likelihood='poisson' to use the mean "
            "alone."
        )
    return likelihood, [size[0].double().log().numpy()]


def squared_errors(values, targets, noise):
    """Squared errors that a precision is fitted to, and one standard deviation for all.

    Parameters
    ----------
    values : Tensor of shape (n, m)
        What is decoded.
    targets : Tensor of shape (n, m) or None
        What it should have been.
    noise : float or None

    Returns
    -------
    squares : Tensor of shape (n, m), or (n, 1) without targets
    std : float
    """
    variance = (values if targets is None else targets).var(0, correction=0)
    varying = variance[variance > 0]
    scale = float(varying.mean().sqrt()) if len(varying) else 0.0
    if noise is None and not scale > 0:
        raise ValueError(
            "All codes are decoded to the same, which leaves no scale for the noise: pass noise, "
            "or likelihood=None for a metric without."
        )
    if targets is not None:
        squares = (targets - values).square() + (NOISE_FLOOR * scale) ** 2
        return squares, float(squares.mean().sqrt())
    std = NOISE_SHARE * scale if noise is None else float(noise)
    return torch.full_like(values[:, :1], std**2), std


def walls_around(z, squares, n_centers, bandwidth, contrast, rng):
    """Precision network around codes for squared errors (n, m), dict of ndarray."""
    centers, rates = place_bumps(z, n_centers, bandwidth, rng)
    features = rbf_features(z, centers, rates)
    weights, floor = fit_rbf_weights(features, squares, z.new_ones(len(z)), contrast)
    found = {"centers": centers, "rates": rates, "weights": weights, "floor": floor}
    return {name: value.numpy() for name, value in found.items()}


def place_bumps(z, n_centers, bandwidth, rng):
    """Centres by k-means on codes (n, d), and their rates: Tensors (K, d) and (K,)."""
    if n_centers == "auto":
        n_centers = usual_n_centers(len(z))
    codes = z.numpy()
    n_centers = min(n_centers, len(np.unique(codes, axis=0)))
    with warnings.catch_warnings():
        # A centre may lose its codes on the way, and is left out then.
        warnings.simplefilter("ignore", UserWarning)
        centers, labels = kmeans2(codes, n_centers, iter=30, minit="++", seed=rng)
    used, labels = np.unique(labels, return_inverse=True)
    centers, labels = torch.as_tensor(centers[used]), torch.as_tensor(labels)
    return centers, bandwidth_rates(z, z.new_ones(len(z)), labels, centers, bandwidth)


def generator(random_state):
    """A generator of our own from anything that scikit-learn takes for a seed."""
    if isinstance(random_state, np.random.RandomState):
        random_state = random_state.randint(2**31 - 1)
    return np.random.default_rng(random_state)
