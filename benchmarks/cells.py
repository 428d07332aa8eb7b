"""Types of 700 blood cells from counts of RNA: geodesic k-means against k-means, over seeds.

python benchmarks/cells.py --cells pbmc68k_reduced.npz [--n-seeds 5] [--picture cells.png]

Prints the adjusted Rand index with the ten cell types for k-means on 20 principal components of
the scaled genes, and for k-means, a Gaussian mixture and geodesic k-means on the codes of one
autoencoder of the counts, whose decoder says Poisson distributions: per seed, and the mean.

The file is that of scanpy's ``pbmc68k_reduced``: ``X``, log-normalised expression (cells,
genes), ``X_scaled``, the same centred and scaled, and ``y``, the type as a number.
"""

import argparse
import time

import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

from skriem import RBFNoise, RiemannianKMeans, VAETransformer

N_TYPES, N_INIT = 10, 5


def load_cells(path):
    """Counts, scaled genes and types."""
    with np.load(path) as data:
        normalised, scaled, y = np.expm1(data["X"].astype(float)), data["X_scaled"], data["y"]
    # All counts of a cell were multiplied by one factor; the smallest that occurs was one.
    least = np.where(normalised > 0.0, normalised, np.inf).min(axis=1, keepdims=True)
    return np.round(normalised / least), scaled.astype(float), y


def clusterings(seed):
    """Estimators and what they see, by name."""
    return {
        "components, KMeans(n_init=1)": (KMeans(N_TYPES, n_init=1, random_state=seed), "pca"),
        "components, KMeans(n_init=10)": (KMeans(N_TYPES, n_init=10, random_state=seed), "pca"),
        "codes, KMeans(n_init=10)": (KMeans(N_TYPES, n_init=10, random_state=seed), "straight"),
        "codes, GaussianMixture(n_init=10)": (
            GaussianMixture(N_TYPES, n_init=10, random_state=seed),
            "straight",
        ),
        f"codes, RiemannianKMeans(n_init={N_INIT})": (
            RiemannianKMeans(N_TYPES, n_init=N_INIT, random_state=seed),
            "codes",
        ),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", required=True)
    parser.add_argument("--n-seeds", type=int, default=5)
    parser.add_argument("--picture")
    options = parser.parse_args()
    counts, scaled, y = load_cells(options.cells)
    found = {}
    print(f"seed {'':34} {'ARI':>6} {'seconds':>8}")
    for seed in range(options.n_seeds):
        started = time.perf_counter()
        vae = VAETransformer(
            likelihood="poisson", neighbors=15, noise=RBFNoise(bandwidth=1.5), random_state=seed
        ).fit(counts)
        codes = vae.transform(counts)
        print(f"{seed:4} {'(training)':34} {'':6} {time.perf_counter() - started:8.1f}")
        if options.picture and seed == 0:
            from skriem.inspection import LatentSpaceDisplay

            shown = LatentSpaceDisplay.from_estimator(vae, counts, y, n_geodesics=0)
            shown.figure_.savefig(options.picture, dpi=90)
        components = PCA(20, random_state=seed).fit_transform(scaled)
        data = {"pca": components, "straight": np.asarray(codes), "codes": codes}
        for name, (estimator, seen) in clusterings(seed).items():
            started = time.perf_counter()
            score = adjusted_rand_score(y, estimator.fit_predict(data[seen]))
            seconds = time.perf_counter() - started
            found.setdefault(name, []).append((score, seconds))
            print(f"{seed:4} {name:34} {score:6.3f} {seconds:8.1f}", flush=True)
    for name, rows in found.items():
        print("mean {:34} {:6.3f} {:8.1f}".format(name, *np.mean(rows, axis=0)))


if __name__ == "__main__":
    main()
