"""Few samples of many features: images, objects turned all the way round, and round clusters.

python benchmarks/few.py [--seeds 3]

Ten digits of scikit-learn each from 10 images of a kind to 80; twenty digits turned through 72
angles; round clusters in 60 to 200 dimensions, where k-means is right, and how new samples of them
are told apart. "images" is told that digits are images of 8 x 8 pixels. UMAP needs the package
umap-learn.
"""

import argparse
import warnings

import numpy as np
from scipy.ndimage import rotate
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.metrics import adjusted_rand_score

from skriem import NeighborEncoder, RiemannianKMeans

try:
    from umap import UMAP
except ImportError:
    UMAP = None


def few_digits(n, rng):
    X, y = load_digits(return_X_y=True)
    rows = [rng.choice(np.flatnonzero(y == digit), n, replace=False) for digit in range(10)]
    return X[np.concatenate(rows)], np.repeat(np.arange(10), n)


def turned_digits(n_objects, n_angles, rng):
    images = load_digits().images
    images = images[rng.choice(len(images), n_objects, replace=False)]
    angles = np.arange(n_angles) * 360.0 / n_angles
    X = [rotate(x, angle, reshape=False, order=1).ravel() for x in images for angle in angles]
    return np.array(X), np.repeat(np.arange(n_objects), n_angles)


def round_clusters(n, n_features, n_clusters, distance, rng):
    """Samples, their clusters, and as many again of the same clusters."""
    centers = rng.normal(size=(n_clusters, n_features)) * distance / np.sqrt(n_features)
    y = rng.integers(0, n_clusters, 2 * n)
    X = centers[y] + rng.normal(size=(2 * n, n_features))
    return X[:n], y[:n], X[n:], y[n:]


FAMILIES = {
    **{f"digits, {n} of each": lambda rng, n=n: few_digits(n, rng) for n in (10, 30, 80)},
    "digits, all": lambda rng: load_digits(return_X_y=True),
    "20 digits turned": lambda rng: turned_digits(20, 72, rng),
    "300 round, 60 features": lambda rng: round_clusters(300, 60, 5, 3.5, rng),
    "200 round, 200 features": lambda rng: round_clusters(200, 200, 4, 5.0, rng),
    "900 round, 64 features": lambda rng: round_clusters(900, 64, 8, 4.0, rng),
}

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--seeds", type=int, default=3)
arguments = parser.parse_args()
warnings.filterwarnings("ignore")
print(f"{'':26}{'KMeans':>8}{'UMAP':>8}{'ours':>8}{'images':>8}{'new: KMeans':>14}{'ours':>8}")
for name, make in FAMILIES.items():
    rows = []
    for seed in range(arguments.seeds):
        X, y, *new = make(np.random.default_rng(seed))
        k = len(np.unique(y))
        straight = KMeans(k, n_init=10, random_state=seed).fit(X)
        ours = RiemannianKMeans(k, random_state=seed).fit(X)
        laid_out = np.nan
        if UMAP is not None:
            codes = UMAP(random_state=seed, n_jobs=1).fit_transform(X)
            found = KMeans(k, n_init=10, random_state=seed).fit_predict(codes)
            laid_out = adjusted_rand_score(y, found)
        told = np.nan
        if "digits" in name:
            encoder = NeighborEncoder(image_shape=(8, 8))
            found = RiemannianKMeans(k, metric=encoder, random_state=seed).fit_predict(X)
            told = adjusted_rand_score(y, found)
        row = [adjusted_rand_score(y, straight.labels_), laid_out]
        row += [adjusted_rand_score(y, ours.labels_), told]
        for model in (straight, ours):
            row.append(adjusted_rand_score(new[1], model.predict(new[0])) if new else np.nan)
        rows.append(row)
    mean = np.mean(rows, axis=0)
    cells = (f"{value:{width}.3f}" for value, width in zip(mean, (8, 8, 8, 8, 14, 8)))
    print(f"{name:26}" + "".join(cells).replace("nan", "   "), flush=True)
