"""Ten clusters of MNIST images, without labels.

python benchmarks/images.py [--mnist mnist.npz] [--part test] [--seeds 3]

`--part test` takes the 10,000 test images, `train` the 60,000 others, `all` the 70,000. The
first rows see the pixels, and "told of images" knows that they are images; those after
RiemannianKMeans see the same codes as it does. UMAP needs the package umap-learn and EVoC the
package evoc. Of the layers of EVoC that with the number of clusters nearest to ten counts, and
what it calls noise belongs to the cluster of the nearest image.
"""

import argparse
import time
import warnings

import numpy as np
from _shared import load_mnist
from scipy.optimize import linear_sum_assignment
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from sklearn.metrics.cluster import contingency_matrix
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KNeighborsClassifier

from skriem import NeighborEncoder, RiemannianKMeans

try:
    from umap import UMAP
except ImportError:
    UMAP = None
try:
    from evoc import EVoC
except ImportError:
    EVoC = None


class OneLayer(BaseEstimator, ClusterMixin):
    """EVoC as a clustering of all samples into about so many clusters."""

    def __init__(self, n_clusters, random_state):
        self.n_clusters, self.random_state = n_clusters, random_state

    def fit(self, X, y=None):
        layers = EVoC(random_state=self.random_state).fit(X).cluster_layers_
        labels = min(layers, key=lambda layer: abs(layer.max() + 1 - self.n_clusters)).copy()
        known = labels >= 0
        nearest = KNeighborsClassifier(1).fit(X[known], labels[known])
        if not known.all():
            labels[~known] = nearest.predict(X[~known])
        self.labels_ = labels
        return self


def scores(y, labels):
    """Adjusted Rand index, normalised mutual information, accuracy of the best matching."""
    table = contingency_matrix(y, labels)
    matched = table[linear_sum_assignment(-table)].sum() / len(y)
    return adjusted_rand_score(y, labels), normalized_mutual_info_score(y, labels), matched


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--mnist")
parser.add_argument("--part", choices=["test", "train", "all"], default="test")
parser.add_argument("--seeds", type=int, default=3)
arguments = parser.parse_args()
warnings.filterwarnings("ignore")
parts = ["train", "test"] if arguments.part == "all" else [arguments.part]
X, y = map(np.concatenate, zip(*(load_mnist(arguments.mnist, part) for part in parts)))
X = X.astype(np.float32)

found = {}


def record(name, seed, estimator, data):
    started = time.perf_counter()
    labels = estimator.fit_predict(data)
    seconds = time.perf_counter() - started
    row = [*scores(y, labels), seconds]
    found.setdefault(name, []).append(row)
    print(f"{seed:4} {name:40}" + "".join(f"{value:8.3f}" for value in row[:3]), end="")
    print(f"{seconds:9.1f}", flush=True)


print(f"{len(X)} images")
print(f"seed {'':40}{'ARI':>8}{'NMI':>8}{'matched':>8}{'seconds':>9}")
for seed in range(arguments.seeds):
    record("KMeans on pixels", seed, KMeans(10, random_state=seed), X)
    if UMAP is not None:
        started = time.perf_counter()
        placed = UMAP(random_state=seed, n_jobs=1).fit_transform(X)
        print(f"     UMAP took {time.perf_counter() - started:.1f} s")
        record("UMAP + KMeans", seed, KMeans(10, random_state=seed), placed)
        record("UMAP + GaussianMixture", seed, GaussianMixture(10, random_state=seed), placed)
    if EVoC is not None:
        record("EVoC", seed, OneLayer(10, seed), X)
    told = NeighborEncoder(image_shape=(28, 28))
    record("told of images", seed, RiemannianKMeans(10, metric=told, random_state=seed), X)
    model = RiemannianKMeans(10, random_state=seed)
    record("RiemannianKMeans", seed, model, X)
    codes = np.asarray(model.encoder_.transform(X), dtype=np.float64)
    for n in (1, 10):
        straight = KMeans(10, n_init=n, random_state=seed)
        record(f"KMeans(n_init={n}) on its codes", seed, straight, codes)
        mixture = GaussianMixture(10, n_init=n, random_state=seed)
        record(f"GaussianMixture(n_init={n}) on its codes", seed, mixture, codes)
print("\nmean")
for name, rows in found.items():
    mean = np.mean(rows, axis=0)
    print(f"     {name:40}" + "".join(f"{v:8.3f}" for v in mean[:3]) + f"{mean[3]:9.1f}")
