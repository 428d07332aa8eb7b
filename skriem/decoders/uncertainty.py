"""Where a decoder is sure: bumps around the codes of data."""

import numpy as np
import torch
from sklearn.cluster import KMeans

from ..nn.image_precision import fit_image_weights
from ..nn.precision import (
    RBFPrecision,
    bandwidth_rates,
    fit_rbf_weights,
    rbf_features,
    usual_n_centers,
)
from .fisher_rao import wall_contrast


def place_bumps(codes, sample_weight, n_centers, bandwidth, seed):
    """Centres of a precision network, by k-means on the codes, and their rates.

    Parameters
    ----------
    codes : Tensor of shape (n, d)
    sample_weight : Tensor of shape (n,)
    n_centers : int or "auto"
        At most; never more than there are distinct codes.
    bandwidth : float
    seed : int

    Returns
    -------
    centers : Tensor of shape (K, d)
    rates : Tensor of shape (K,)
    """
    if n_centers == "auto":
        n_centers = usual_n_centers(len(codes))
    n_centers = min(n_centers, len(np.unique(codes.numpy(), axis=0)))
    kmeans = KMeans(n_centers, n_init=1, random_state=seed)
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
    RBFPrecision
        With arrays for weights.
    """
    features = rbf_features(z, *bumps)
    if image is None:
        weights, floor = fit_rbf_weights(features, noise, sample_weight, contrast)
    else:
        weights, floor = fit_image_weights(features, noise, sample_weight, contrast, *image)
    return RBFPrecision([*bumps, weights, floor]).stored()


def fit_walls(bumps, z, sample_weight, contrast):
    """A precision that is about one wherever there are data; see :func:`fit_precision`.

    Away from them standard deviations are `contrast` times as large.
    """
    ones = torch.ones(len(z), 1).to(z)
    return fit_precision(bumps, z, ones, sample_weight, wall_contrast(contrast))
