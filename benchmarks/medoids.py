"""Centres among the points of a nearest-neighbour metric: seconds, inertia, agreement with labels.

python benchmarks/medoids.py --sizes 1500 6000 20000 100000
"""

import argparse
import time

import numpy as np
from sklearn.datasets import make_blobs, make_swiss_roll
from sklearn.metrics import adjusted_rand_score

from skriem import RiemannianKMeans
from skriem.geometry import NearestNeighborMetric

SEEDS = 2


def data(n):
    """Sets by name: samples, labels, number of clusters."""
    roll, along = make_swiss_roll(n, noise=0.4, random_state=0)
    return {
        "blobs": (*make_blobs(n, centers=8, cluster_std=1.5, random_state=2), 8),
        "roll": (roll, (1.2 * along).astype(int) % 6, 6),
        "blobs in 10": (
            *make_blobs(n, centers=8, n_features=10, cluster_std=3, random_state=2),
            8,
        ),
    }


def main():
    parser = argparse.ArgumentParser(description="k-medoids by paths through the points")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1500, 6000, 20000])
    for n in parser.parse_args().sizes:
        for name, (X, y, k) in data(n).items():
            started = time.perf_counter()
            metric = NearestNeighborMetric(X)
            n_edges = metric.graph.weights.nnz
            graph = time.perf_counter() - started
            fits = []
            for seed in range(SEEDS):
                started = time.perf_counter()
                kmeans = RiemannianKMeans(k, metric=metric, random_state=seed).fit(X)
                seconds = time.perf_counter() - started
                fits.append((kmeans.inertia_, adjusted_rand_score(y, kmeans.labels_), seconds))
            inertia, score, seconds = np.mean(fits, axis=0)
            print(
                f"{n:7} {name:12} {n_edges} edges in {graph:.1f} s, then {seconds:.1f} s: inertia "
                f"{inertia:.5g}, adjusted Rand index {score:.3f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
