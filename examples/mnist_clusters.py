"""
Clusters of MNIST
=================

The digits example on 10,000 images of MNIST. Reads a local ``.npz`` file with the arrays
``X_test`` and ``y_test`` if the environment variable ``SKRIEM_MNIST`` names one, and downloads
the data from OpenML otherwise. The picture is written to ``mnist_clusters.png`` or the path
given as argument.
"""

import os
import sys

import numpy as np
from clustering_report import compare
from sklearn.datasets import fetch_openml

from skriem import VAETransformer


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
compare(X, y, VAETransformer(random_state=0), (sys.argv[1:] or ["mnist_clusters.png"])[0])
