"""What the paper's experiments share: data, scores, grids and colours."""

import os

import numpy as np
from sklearn.datasets import fetch_openml
from sklearn.metrics.cluster import contingency_matrix

from skriem import Convolutional

# Ten colours that stay apart for colour-blind readers (Petroff, arXiv 2107.02270).
COLORS = [
    *("#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6"),
    *("#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd"),
]


def load_digits(digits, n_per_digit, seed):
    """Random MNIST images of some digits as rows of numbers between 0 and 1, and their labels.

    From the file with the arrays ``X_train``, ``y_train``, ``X_test`` and ``y_test`` that the
    environment variable ``SKRIEM_MNIST`` names, or else from OpenML.
    """
    path = os.environ.get("SKRIEM_MNIST")
    if path:
        with np.load(path) as data:
            X = np.concatenate([data["X_train"], data["X_test"]])
            y = np.concatenate([data["y_train"], data["y_test"]])
    else:
        X, y = fetch_openml("mnist_784", version=1, as_frame=False, return_X_y=True)
        y = y.astype(int)
    rng = np.random.default_rng(seed)
    rows = [rng.choice(np.flatnonzero(y == one), n_per_digit, replace=False) for one in digits]
    rows = rng.permutation(np.concatenate(rows))
    return X[rows].reshape(len(rows), -1) / 255.0, y[rows]


def load_faces(path):
    """Frames of the Frey faces, (1965, 28, 20) bytes as ``X`` in an archive, as rows."""
    with np.load(path) as data:
        return data["X"].reshape(len(data["X"]), -1) / 255.0


# Parameters of the autoencoders of the faces.
OF_FACES = {
    "Frey faces": {},
    "the same, convolutional": {"network": Convolutional((28, 20), (8, 16))},
}


def grid_around(codes, side, margin=0.1):
    """Points of a grid around codes, (side * side, 2), and its extent for ``imshow``."""
    pad = margin * np.ptp(codes, axis=0)
    low, high = codes.min(axis=0) - pad, codes.max(axis=0) + pad
    grid = np.meshgrid(*(np.linspace(a, b, side) for a, b in zip(low, high)))
    return np.stack(grid, axis=-1).reshape(-1, 2), (low[0], high[0], low[1], high[1])


def noise_level(vae, codes):
    """Root mean square of the decoder's standard deviations at codes, (n,)."""
    n_features = vae.n_features_in_
    return np.sqrt((vae.metric_.embed(codes)[:, n_features:] ** 2).mean(axis=1))


def f_measure(classes, clusters):
    """Mean over classes, weighted by size, of the best F-measure of any cluster."""
    counts = contingency_matrix(classes, clusters)
    of_class, of_cluster = counts.sum(1, keepdims=True), counts.sum(0, keepdims=True)
    best = (2.0 * counts / (of_class + of_cluster)).max(axis=1)
    return float(np.average(best, weights=of_class[:, 0]))
