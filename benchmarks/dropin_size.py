"""Seconds and memory of the drop-in on plain data, beside HDBSCAN and KMeans.

python benchmarks/dropin_size.py [--large]

Five blobs in two dimensions, a curved sheet in 20 and, with --large, up to a million samples, one
run each, after a first one that is not counted. Each size runs in a process of its own, for its
own peak of memory. HDBSCAN is left out where it takes minutes.
"""

import argparse
import time

import numpy as np
from _shared import alone, peak_megabytes
from sklearn.cluster import HDBSCAN, KMeans
from sklearn.datasets import make_blobs, make_moons

from skriem import RiemannianKMeans

SIZES = {2: (1000, 4000, 16_000, 100_000), 20: (1000, 4000, 16_000), 50: (50_000,)}
LARGE, MOST_FOR_HDBSCAN = 1_000_000, 20_000


def data(n, n_features):
    """Blobs in the plane, or a curved sheet with noise in more dimensions."""
    if n_features == 2:
        return make_blobs(n, 2, centers=5, random_state=0)[0]
    rng = np.random.default_rng(0)
    u = rng.uniform(size=(n, 2))
    sheet = np.stack([np.sin(4 * u[:, 0]), np.cos(4 * u[:, 0]), u[:, 1]], axis=1)
    return sheet @ rng.normal(size=(3, n_features)) + 0.05 * rng.normal(size=(n, n_features))


def seconds_of(fit):
    started = time.perf_counter()
    fit()
    return time.perf_counter() - started


def measure(n, n_features):
    """Seconds of the three, and the peak in megabytes of the first."""
    X = data(n, n_features)
    RiemannianKMeans(2, random_state=0).fit(make_moons(50)[0])
    ours = seconds_of(lambda: RiemannianKMeans(5, random_state=0).fit(X))
    peak = peak_megabytes()
    kmeans = seconds_of(lambda: KMeans(5, n_init=10, random_state=0).fit(X))
    hdbscan = np.nan
    if n <= MOST_FOR_HDBSCAN:
        hdbscan = seconds_of(lambda: HDBSCAN(copy=True).fit(X))
    return ours, kmeans, hdbscan, peak


def main():
    parser = argparse.ArgumentParser(description="The drop-in by number of samples")
    parser.add_argument("--large", action="store_true", help="a million samples besides")
    sizes = dict(SIZES)
    if parser.parse_args().large:
        sizes[2] = (*sizes[2], LARGE)
    print(
        f"{'features':>8} {'samples':>9} {'skriem':>8} {'KMeans':>8} {'HDBSCAN':>8} {'peak MB':>8}"
    )
    for n_features, numbers in sizes.items():
        seconds = []
        for n in numbers:
            ours, kmeans, hdbscan, peak = alone(measure, n, n_features)
            seconds.append(ours)
            line = f"{ours:9.2f} {kmeans:9.2f} {hdbscan:9.2f} {peak:9.0f}"
            print(f"{n_features:9} {n:9} {line}", flush=True)
        if len(numbers) > 1:
            growth = np.log(seconds[-1] / seconds[1]) / np.log(numbers[-1] / numbers[1])
            print(f"from {numbers[1]} samples on: time grows with the power {growth:.2f}")


if __name__ == "__main__":
    main()
