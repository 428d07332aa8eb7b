"""What a variational autoencoder is made of before and after training, as plain functions.

Principal components come from scikit-learn, the networks from :mod:`skriem.nn`.
"""

import numbers
from collections.abc import Mapping

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import check_scalar

from ...nn.likelihoods import LIKELIHOODS
from ...nn.likelihoods.base import known_average
from ...nn.module import module_network
from ...nn.network import layered_network
from ...support.rows import check_number
from .columns import AUTO, check_likelihoods

# Neighbours are looked for along as many principal components at most.
MAX_SEARCHED = 50


def check_parameters(vae):
    """Raise for parameters of a VAETransformer that cannot work."""
    check_scalar(vae.n_components, "n_components", numbers.Integral, min_val=1)
    check_likelihood(vae)
    for settings in (vae._network, vae._noise, vae._neighbors):
        if settings is not None:
            settings._check()
    check_combination(vae)
    if vae.batch_size != "auto":
        check_scalar(vae.batch_size, "batch_size", numbers.Integral, min_val=1)
    rate = vae.learning_rate_init
    check_number(rate, "learning_rate_init", min_val=0, include_boundaries="neither")
    for name in ("alpha", "flatness", "tol"):
        check_number(getattr(vae, name), name, min_val=0)
    check_scalar(vae.mixed_precision, "mixed_precision", (bool, np.bool_))
    for name in ("max_iter", "n_iter_no_change", "n_importance_samples"):
        check_scalar(getattr(vae, name), name, numbers.Integral, min_val=1)
    fraction = vae.validation_fraction
    check_number(fraction, "validation_fraction", 0, 1, include_boundaries="neither")


def check_likelihood(vae):
    """Raise for a likelihood or a geometry that does not exist."""
    if isinstance(vae.likelihood, Mapping):
        check_likelihoods(vae.likelihood, sorted(LIKELIHOODS))
    elif vae.likelihood not in [*LIKELIHOODS, AUTO]:
        raise ValueError(
            f"likelihood must be one of {sorted([*LIKELIHOODS, AUTO])} or a dict of these by "
            f"column, got {vae.likelihood!r}."
        )
    allowed = ["auto", "expected", "fisher_rao"]
    if vae.geometry not in allowed:
        raise ValueError(f"geometry must be one of {allowed}, got {vae.geometry!r}.")


def check_combination(vae):
    """Raise for a likelihood that does not go together with other parameters."""
    if not vae._is_mixed and LIKELIHOODS[vae.likelihood].is_location_scale:
        return
    if vae.geometry == "expected" and not vae._is_mixed:
        raise ValueError(
            f"geometry='expected' needs a standard deviation beside the mean; "
            f"likelihood={vae.likelihood!r} has none. Use geometry='fisher_rao'."
        )
    if vae.noise == "mlp":
        raise ValueError(
            "noise='mlp' is a network for standard deviations; "
            f"likelihood={vae.likelihood!r} has none. Use noise='rbf'."
        )
    if vae._network._image_shape is not None and (vae._is_mixed or vae.likelihood == "categorical"):
        raise ValueError(f"Convolutional does not go together with likelihood={vae.likelihood!r}.")


def feature_moments(X, weights):
    """Mean and variance of every feature, and whether it varies, three (n_features,) arrays."""
    X = X.astype(np.float64)
    center = known_average(X, weights)
    variance = known_average((X - center) ** 2, weights)
    # What rounding alone makes of a constant column is not variance.
    varying = variance > (4 * np.finfo(X.dtype).eps * np.abs(center)) ** 2
    return center, variance, varying


def data_scale(X, weights):
    """Centre of the data and one common unit, so that distances keep their proportions.

    Returns
    -------
    center : ndarray of shape (n_features,)
    unit : float
        See :func:`common_unit`.
    n_varying : int
    """
    center, variance, varying = feature_moments(X, weights)
    return center, common_unit(variance, varying), max(1, int(varying.sum()))


def common_unit(variance, varying):
    """Root of the mean variance of the features that vary, one if none does."""
    return float(np.sqrt(variance[varying].mean())) if varying.any() else 1.0


def nearest_rows(x, n_neighbors):
    """The other rows that are nearest to each, (n, n_neighbors) int, or all if fewer."""
    if x.shape[1] > MAX_SEARCHED:
        # The random numbers of the solver decide nothing that matters here.
        x = PCA(MAX_SEARCHED, random_state=0).fit_transform(x) if len(x) > MAX_SEARCHED else x
    search = NearestNeighbors(n_neighbors=min(n_neighbors, len(x) - 1)).fit(x)
    return search.kneighbors(return_distance=False)


def make_networks(vae, x, weights, bias, slope, rng):
    """Encoder and decoders of a VAETransformer with fresh weights.

    Ours start as principal component analysis with codes of variance 1; modules of the user's
    as their factories make them.

    Parameters
    ----------
    vae : VAETransformer
        Says what networks are asked for.
    x : ndarray of shape (n, p)
        What the encoder sees; more than there are outputs where it sees what is missing.
    weights : ndarray of shape (n,)
    bias : ndarray of shape (m,)
        What the decoder says of the mean of the data.
    slope : ndarray of shape (m,)
        How much more it says of data one unit beyond.
    rng : RandomState

    Returns
    -------
    encoder : Network
    decoders : list of Network
    """
    d, n_inputs, n_outputs = vae.n_components, x.shape[1], len(bias)
    seed = rng.randint(2**31 - 1)
    encode_skip, decode_skip = principal_maps(x[:, :n_outputs], weights, d, seed)
    encode_skip = np.pad(encode_skip, ((0, 0), (0, n_inputs - n_outputs)))
    generator = torch_generator(rng)
    forms = vae._network._forms(n_inputs, d, n_outputs)
    make_encoder, make_decoder = vae._network._factories
    if make_encoder is not None:
        encoder = module_network(make_encoder, n_inputs, 2 * d, generator)
    else:
        log_variance = np.concatenate([np.zeros(d), np.full(d, -2.0)])
        encoder = layered_network(forms[0], (encode_skip, log_variance), generator)
    decoders = []
    for _ in range(vae._noise._n_decoders):
        if make_decoder is not None:
            decoders.append(module_network(make_decoder, d, n_outputs, generator))
        else:
            skip = decode_skip * slope[:, None], bias
            decoders.append(layered_network(forms[1], skip, generator))
    return encoder.stored(), [decoder.stored() for decoder in decoders]


def principal_maps(x, weights, n_components, seed):
    """Weights of principal component analysis both ways, with codes of variance 1.

    Returns
    -------
    encode : ndarray of shape (2 * n_components, p)
        The second half is zero.
    decode : ndarray of shape (p, n_components)
    """
    d, n_features = n_components, x.shape[1]
    weighted = x * np.sqrt(weights / weights.mean())[:, None]
    pca = PCA(n_components=min(d, *x.shape), random_state=seed).fit(weighted)
    std = np.sqrt(pca.explained_variance_)
    used = std > 1e-6
    components, std = pca.components_[used], std[used]
    encode, decode = np.zeros((2 * d, n_features)), np.zeros((n_features, d))
    encode[: len(std)] = components / std[:, None]
    decode[:, : len(std)] = components.T * std
    return encode, decode


def torch_generator(rng, device="cpu"):
    """A torch generator seeded from a NumPy one."""
    return torch.Generator(device=device).manual_seed(int(rng.randint(2**31 - 1)))
