"""What a variational autoencoder is made of before and after training, as plain functions.

Principal components and k-means centres come from scikit-learn, the networks from
:mod:`skriem.nn`.
"""

import numbers

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import check_scalar

from .nn.mlp import ACTIVATIONS, init_mlp
from .nn.precision import bandwidth_rates, fit_rbf_weights, rbf_features
from .nn.variance import fit_variance

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
        ("likelihood", ["gaussian"]),
        ("precision", ["constant", "mlp", "rbf"]),
    ):
        if getattr(vae, name) not in allowed:
            raise ValueError(f"{name} must be one of {allowed}, got {getattr(vae, name)!r}.")
    for name in ("n_centers", "batch_size"):
        if getattr(vae, name) != "auto":
            check_scalar(getattr(vae, name), name, numbers.Integral, min_val=1)
    for name, low in (("bandwidth", 0), ("learning_rate_init", 0), ("contrast", 1)):
        check_scalar(
            getattr(vae, name), name, numbers.Real, min_val=low, include_boundaries="neither"
        )
    check_scalar(vae.n_neighbors, "n_neighbors", numbers.Integral, min_val=0)
    if vae.attraction > 0 and not vae.n_neighbors:
        raise ValueError("attraction draws neighbours together: set n_neighbors, such as 15.")
    for name in ("alpha", "attraction", "flatness", "tol"):
        check_scalar(getattr(vae, name), name, numbers.Real, min_val=0)
    check_scalar(vae.mixed_precision, "mixed_precision", (bool, np.bool_))
    for name in ("max_iter", "n_iter_no_change"):
        check_scalar(getattr(vae, name), name, numbers.Integral, min_val=1)
    check_scalar(
        vae.validation_fraction,
        "validation_fraction",
        numbers.Real,
        min_val=0,
        max_val=1,
        include_boundaries="neither",
    )


def feature_moments(X, weights):
    """Mean and variance of every feature, and whether it varies, three (n_features,) arrays."""
    X = X.astype(np.float64)
    center = np.average(X, axis=0, weights=weights)
    variance = np.average((X - center) ** 2, axis=0, weights=weights)
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


def pca_networks(x, weights, n_components, hidden, rng):
    """Encoder and decoder that start as principal component analysis with codes of variance 1.

    Parameters
    ----------
    x : ndarray of shape (n, n_features)
        Scaled data.
    weights : ndarray of shape (n,)
    n_components : int
    hidden : list of int
        Widths of the encoder's hidden layers.
    rng : RandomState

    Returns
    -------
    encoder, decoder : list of (ndarray, ndarray)
    """
    d, n_features = n_components, x.shape[1]
    weighted = x * np.sqrt(weights / weights.mean())[:, None]
    pca = PCA(n_components=min(d, *x.shape), random_state=rng.randint(2**31 - 1)).fit(weighted)
    std = np.sqrt(pca.explained_variance_)
    used = std > 1e-6
    components, std = pca.components_[used], std[used]
    encode_skip, decode_skip = np.zeros((2 * d, n_features)), np.zeros((n_features, d))
    encode_skip[: len(std)] = components / std[:, None]
    decode_skip[:, : len(std)] = components.T * std
    log_variance = np.concatenate([np.zeros(d), np.full(d, -2.0)])
    generator = torch_generator(rng)
    encoder = init_mlp([n_features, *hidden, 2 * d], (encode_skip, log_variance), generator)
    bias = np.zeros(n_features)
    decoder = init_mlp([d, *hidden[::-1], n_features], (decode_skip, bias), generator)
    return arrays(encoder), arrays(decoder)


def fit_precision(codes, z, noise, sample_weight, n_centers, bandwidth, contrast, rng):
    """Precision network around k-means centres of the codes.

    Parameters
    ----------
    codes : Tensor of shape (n, d)
        Where centres and widths are taken from.
    z : Tensor of shape (n, d)
        Codes at which the noise was observed.
    noise : Tensor of shape (n, m)
        Squared errors of the decoder's mean at `z`.
    sample_weight : Tensor of shape (n,)
    n_centers : int
        At most; never more than there are distinct codes.
    bandwidth, contrast : float
    rng : RandomState

    Returns
    -------
    dict of ndarray
        ``centers, rates, weights, floor``.
    """
    n_centers = min(n_centers, len(np.unique(codes.numpy(), axis=0)))
    kmeans = KMeans(n_centers, n_init=1, random_state=rng.randint(2**31 - 1))
    kmeans.fit(codes.numpy(), sample_weight=sample_weight.numpy())
    centers = torch.as_tensor(kmeans.cluster_centers_)
    labels = torch.as_tensor(kmeans.labels_, dtype=torch.long)
    rates = bandwidth_rates(codes, sample_weight, labels, centers, bandwidth)
    features = rbf_features(z, centers, rates)
    weights, floor = fit_rbf_weights(features, noise, sample_weight, contrast)
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


def tensors(layers, dtype=torch.float64, device=None):
    """The weights of a network as new tensors."""
    return [
        tuple(torch.tensor(part, dtype=dtype, device=device) for part in pair) for pair in layers
    ]


def arrays(layers):
    """The weights of a network as arrays."""
    return [tuple(part.detach().cpu().numpy() for part in pair) for pair in layers]
