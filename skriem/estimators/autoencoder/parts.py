"""What a variational autoencoder is made of before and after training, as plain functions.

Principal components and k-means centres come from scikit-learn, the networks from
:mod:`skriem.nn`.
"""

import math
import numbers

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import check_scalar

from ...nn.image_precision import fit_image_weights
from ...nn.likelihoods import LIKELIHOODS, known_average
from ...nn.module import module_network
from ...nn.network import ACTIVATIONS, convolutional, layered_network, perceptron
from ...nn.precision import bandwidth_rates, fit_rbf_weights, rbf_features, usual_n_centers
from ...nn.variance import fit_variance
from ...support.rows import check_number

# Neighbours are looked for along as many principal components at most.
MAX_SEARCHED = 50


def check_parameters(vae):
    """Raise for parameters of a VAETransformer that cannot work."""
    check_scalar(vae.n_components, "n_components", numbers.Integral, min_val=1)
    for size in vae.hidden_layer_sizes:
        check_scalar(size, "hidden_layer_sizes", numbers.Integral, min_val=1)
    if not len(vae.hidden_layer_sizes):
        raise ValueError("hidden_layer_sizes must name at least one layer, such as (64,).")
    for name, allowed in (
        ("activation", sorted(ACTIVATIONS)),
        ("likelihood", sorted(LIKELIHOODS)),
        ("geometry", ["auto", "expected", "fisher_rao"]),
        ("precision", ["constant", "mlp", "rbf"]),
    ):
        if getattr(vae, name) not in allowed:
            raise ValueError(f"{name} must be one of {allowed}, got {getattr(vae, name)!r}.")
    if not LIKELIHOODS[vae.likelihood].is_location_scale:
        if vae.geometry == "expected":
            raise ValueError(
                f"geometry='expected' needs a standard deviation beside the mean; "
                f"likelihood={vae.likelihood!r} has none. Use geometry='fisher_rao'."
            )
        if vae.precision == "mlp":
            raise ValueError(
                "precision='mlp' is a network for standard deviations; "
                f"likelihood={vae.likelihood!r} has none. Use precision='rbf'."
            )
    if vae.image_shape is not None:
        shape = tuple(vae.image_shape)
        if len(shape) not in (2, 3) or not all(
            isinstance(side, numbers.Integral) and side > 0 for side in shape
        ):
            raise ValueError(
                "image_shape must be (height, width) or (channels, height, width), got "
                f"{vae.image_shape!r}."
            )
        if vae.likelihood == "categorical":
            raise ValueError("image_shape does not go together with likelihood='categorical'.")
    for name in ("encoder", "decoder"):
        factory = getattr(vae, name)
        if isinstance(factory, torch.nn.Module):
            raise TypeError(
                f"{name} must be a function or class that makes a module, so that every fit "
                f"starts afresh; got a module. Pass {name}=lambda n_in, n_out: ... ."
            )
        if factory is not None and not callable(factory):
            raise TypeError(f"{name} must be a function that makes a module, got {factory!r}.")
    for name in ("n_centers", "batch_size"):
        if getattr(vae, name) != "auto":
            check_scalar(getattr(vae, name), name, numbers.Integral, min_val=1)
    for name, low in (("bandwidth", 0), ("learning_rate_init", 0), ("contrast", 1)):
        check_number(getattr(vae, name), name, min_val=low, include_boundaries="neither")
    check_scalar(vae.n_neighbors, "n_neighbors", numbers.Integral, min_val=0)
    if vae.attraction > 0 and not vae.n_neighbors:
        raise ValueError("attraction draws neighbours together: set n_neighbors, such as 15.")
    for name in ("alpha", "attraction", "flatness", "tol"):
        check_number(getattr(vae, name), name, min_val=0)
    for name in ("mixed_precision", "residual", "skip"):
        check_scalar(getattr(vae, name), name, (bool, np.bool_))
    for name in ("max_iter", "n_iter_no_change", "n_importance_samples", "n_decoders"):
        check_scalar(getattr(vae, name), name, numbers.Integral, min_val=1)
    fraction = vae.validation_fraction
    check_number(fraction, "validation_fraction", 0, 1, include_boundaries="neither")


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
        Root of the mean variance of the features that vary.
    n_varying : int
    """
    center, variance, varying = feature_moments(X, weights)
    unit = float(np.sqrt(variance[varying].mean())) if varying.any() else 1.0
    return center, unit, max(1, int(varying.sum()))


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
    forms = network_forms(vae, n_inputs, n_outputs)
    if vae.encoder is not None:
        encoder = module_network(vae.encoder, n_inputs, 2 * d, generator)
    else:
        log_variance = np.concatenate([np.zeros(d), np.full(d, -2.0)])
        encoder = layered_network(forms[0], (encode_skip, log_variance), generator)
    decoders = []
    for _ in range(vae.n_decoders):
        if vae.decoder is not None:
            decoders.append(module_network(vae.decoder, d, n_outputs, generator))
        else:
            skip = decode_skip * slope[:, None], bias
            decoders.append(layered_network(forms[1], skip, generator))
    return encoder.stored(), [decoder.stored() for decoder in decoders]


def with_channels(image_shape):
    """(channels, height, width), of grey images too."""
    return (1, *image_shape) if len(image_shape) == 2 else tuple(image_shape)


def network_forms(vae, n_inputs, n_outputs):
    """Forms of the networks that a VAETransformer makes itself."""
    d, hidden = vae.n_components, list(vae.hidden_layer_sizes)
    options = vae.activation, vae.residual, vae.skip
    if vae.image_shape is None:
        return (
            perceptron([n_inputs, *hidden, 2 * d], *options),
            perceptron([d, *hidden[::-1], n_outputs], *options),
        )
    shape = with_channels(vae.image_shape)
    if math.prod(shape) != n_outputs:
        raise ValueError(
            f"image_shape={vae.image_shape!r} has {math.prod(shape)} pixels, but X has "
            f"{n_outputs} features."
        )
    # Which pixels are missing is an image too.
    seen = (shape[0] * n_inputs // n_outputs, *shape[1:])
    encoder, _ = convolutional(seen, hidden, (2 * d, d), *options)
    _, decoder = convolutional(shape, hidden, (2 * d, d), *options)
    return encoder, decoder


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


def place_bumps(codes, sample_weight, n_centers, bandwidth, rng):
    """Centres of a precision network, by k-means on the codes, and their rates.

    Parameters
    ----------
    codes : Tensor of shape (n, d)
    sample_weight : Tensor of shape (n,)
    n_centers : int or "auto"
        At most; never more than there are distinct codes.
    bandwidth : float
    rng : RandomState

    Returns
    -------
    centers : Tensor of shape (K, d)
    rates : Tensor of shape (K,)
    """
    if n_centers == "auto":
        n_centers = usual_n_centers(len(codes))
    n_centers = min(n_centers, len(np.unique(codes.numpy(), axis=0)))
    kmeans = KMeans(n_centers, n_init=1, random_state=rng.randint(2**31 - 1))
    kmeans.fit(codes.numpy(), sample_weight=sample_weight.numpy())
    centers = torch.as_tensor(kmeans.cluster_centers_)
    labels = torch.as_tensor(kmeans.labels_, dtype=torch.long)
    return centers, bandwidth_rates(codes, sample_weight, labels, centers, bandwidth)


def fit_precision(bumps, z, noise, sample_weight, contrast, image=None):
    """Precision network around bumps.

    Parameters
    ----------
    bumps : pair of Tensor
        Centres and rates; see :func:`place_bumps`.
    z : Tensor of shape (n, d)
        Codes at which the noise was observed.
    noise : Tensor of shape (n, m)
        Squared errors of the decoder's mean at `z`.
    sample_weight : Tensor of shape (n,)
    contrast : float
    image : tuple or None
        Shape of the images that outputs are the pixels of, and a torch generator; see
        :mod:`skriem.nn.image_precision`.

    Returns
    -------
    dict of ndarray
        ``centers, rates, weights, floor``.
    """
    centers, rates = bumps
    features = rbf_features(z, centers, rates)
    if image is None:
        weights, floor = fit_rbf_weights(features, noise, sample_weight, contrast)
    else:
        weights, floor = fit_image_weights(features, noise, sample_weight, contrast, *image)
    found = {"centers": centers, "rates": rates, "weights": weights, "floor": floor}
    return {name: value.numpy() for name, value in found.items()}


def fit_variance_network(z, noise, sample_weight, hidden, generator):
    """A standard variance network; see :mod:`skriem.nn.variance`.

    Returns
    -------
    dict of ndarray
        ``floor``, then weights and biases.
    """
    floor, *parts = fit_variance(z, noise, sample_weight, hidden, generator)
    names = ["floor", *(f"part_{i}" for i in range(len(parts)))]
    return {name: value.numpy() for name, value in zip(names, [floor, *parts])}


def torch_generator(rng, device="cpu"):
    """A torch generator seeded from a NumPy one."""
    return torch.Generator(device=device).manual_seed(int(rng.randint(2**31 - 1)))
