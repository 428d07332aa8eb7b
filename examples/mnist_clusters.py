"""
Clusters of MNIST
=================

The digits example on 10,000 images of MNIST. Reads a local ``.npz`` file with the arrays
``X_test`` and ``y_test`` if the environment variable ``SKRIEM_MNIST`` names one, and downloads
the data from OpenML otherwise.
"""

import os
import sys
import time

import numpy as np
from clustering_report import plot_clusters, print_table
from sklearn.cluster import KMeans
from sklearn.datasets import fetch_openml

from skriem import RiemannianKMeans, VAETransformer


def load_mnist():
    """The 10,000 test images as rows of numbers between 0 and 1, and their labels."""
    path = os.environ.get("SKRIEM_MNIST")
    if path:
        with np.load(path) as data:
            X, y = data["X_test"], data["y_test"]
    else:
        X, y = fetch_openml("mnist_784", version=1, as_frame=False, return_X_y=True)
        X, y = X[60000:], y[60000:].astype(int)
    return X.reshape(len(X), -1) / 255.0, y


X, y = load_mnist()

started = time.perf_counter()
vae = VAETransformer(hidden_layer_sizes=(128, 64), random_state=0)
codes = vae.fit_transform(X)
print(f"trained the autoencoder on {len(X)} images in {time.perf_counter() - started:.1f} s")

started = time.perf_counter()
kmeans = RiemannianKMeans(n_clusters=10, random_state=0).fit(codes)
print(f"clustered them by geodesic distance in {time.perf_counter() - started:.1f} s\n")

print_table(
    y,
    {
        "k-means on pixels": KMeans(n_clusters=10, random_state=0).fit_predict(X),
        "k-means on codes": KMeans(n_clusters=10, random_state=0).fit_predict(codes),
        "Riemannian k-means on codes": kmeans.labels_,
    },
)
plot_clusters(vae.metric_, codes, kmeans, sys.argv[1] if sys.argv[1:] else "mnist_clusters.png")
