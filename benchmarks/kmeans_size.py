"""Riemannian k-means on up to 60,000 codes of MNIST: time, memory, growth, agreement.

python benchmarks/kmeans_size.py --mnist mnist.npz

Ten clusters of the codes, of dimension 2, of 1,000 to 60,000 images; the table of the metric and
the graph are part of every time. Labels of 2,000 of the largest set are compared with exact
geodesics to all centres. Each size runs in a process of its own, for its own peak of memory.
"""

import argparse
import time

import numpy as np
from _shared import alone, load_mnist, peak_megabytes
from sklearn.cluster import KMeans

from skriem import RiemannianKMeans, VAETransformer

SIZES, N_CLUSTERS = (1000, 4000, 16_000, 60_000), 10
N_CHECKED, N_PREDICTED, TOL = 2000, 10_000, 1e-3


def fit(codes):
    """Seconds, peak, seconds of k-means on the same codes, and the fitted estimator."""
    started = time.perf_counter()
    model = RiemannianKMeans(N_CLUSTERS, n_init=1, random_state=0).fit(codes)
    seconds, peak = time.perf_counter() - started, peak_megabytes()
    started = time.perf_counter()
    KMeans(N_CLUSTERS, n_init=1, random_state=0).fit(np.asarray(codes))
    return seconds, peak, time.perf_counter() - started, model


def main():
    parser = argparse.ArgumentParser(description="Riemannian k-means by number of codes")
    parser.add_argument("--mnist", help="archive of the images; OpenML without it")
    options = parser.parse_args()
    X, _ = load_mnist(options.mnist)
    vae = VAETransformer(max_iter=12, random_state=0).fit(X)
    codes, new = vae.transform(X), vae.transform(load_mnist(options.mnist, "test")[0])
    print(f"{'codes':>7} {'seconds':>8} {'peak MB':>8} {'KMeans':>7}")
    seconds = []
    for n in SIZES:
        found, peak, other, model = alone(fit, codes[:n])
        seconds.append(found)
        print(f"{n:7} {found:8.1f} {peak:8.0f} {other:7.2f}", flush=True)
    growth = np.log(seconds[-1] / seconds[1]) / np.log(SIZES[-1] / SIZES[1])
    print(f"from {SIZES[1]} to {SIZES[-1]}: time grows with the power {growth:.2f}")

    model.predict(new[:10])
    started = time.perf_counter()
    model.predict(new[:N_PREDICTED])
    print(f"predict, {N_PREDICTED} codes: {time.perf_counter() - started:.2f} s")

    rows = np.random.default_rng(0).choice(len(codes), N_CHECKED, replace=False)
    to_centers = np.stack(
        [
            model.metric_.geodesic(codes[rows], np.tile(center, (N_CHECKED, 1)), tol=TOL).length
            for center in model.cluster_centers_
        ],
        axis=1,
    )
    agree = model.labels_[rows] == to_centers.argmin(1)
    ordered = np.sort(to_centers, axis=1)
    ties = (ordered[:, 1] / ordered[:, 0] - 1.0)[~agree]
    print(
        f"labels that agree with exact geodesics to the same centres: {agree.mean():.2%} of "
        f"{N_CHECKED}; of the others the second centre is at most {max(ties, default=0):.2%} "
        "further"
    )


if __name__ == "__main__":
    main()
