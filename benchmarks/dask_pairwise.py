"""All distances between codes of MNIST on a Dask cluster of one and of two worker processes.

python benchmarks/dask_pairwise.py --mnist mnist.npz

Workers have one thread each and run on this machine. A small job runs before the one that is
timed, so that the workers have imported what they need. Asked for one job at a time, joblib does
not use a cluster of one worker at all; here it is made to, and one process without a cluster is
timed beside.
"""

import argparse
import time

import numpy as np
from _shared import load_mnist
from distributed import Client, LocalCluster
from joblib import parallel_config

from skriem import GeodesicDistance, VAETransformer


def main():
    parser = argparse.ArgumentParser(description="pairwise distances on a Dask cluster")
    parser.add_argument("--mnist", help="archive of the images; OpenML without it")
    parser.add_argument("--n-codes", type=int, default=5000)
    options = parser.parse_args()
    X, _ = load_mnist(options.mnist, "test")
    codes = VAETransformer(max_iter=30, random_state=0).fit_transform(X)[: options.n_codes]
    distance = GeodesicDistance(random_state=0).fit(codes)
    started = time.perf_counter()
    expected, seconds = distance.pairwise(codes), {}
    print(f"one process: {time.perf_counter() - started:.1f} s")
    for n_workers in (1, 2):
        with (
            LocalCluster(n_workers, threads_per_worker=1, dashboard_address=None) as cluster,
            Client(cluster),
            parallel_config(backend="dask", n_jobs=2),
        ):
            distance.pairwise(codes[:600])
            started = time.perf_counter()
            found = distance.pairwise(codes)
            seconds[n_workers] = time.perf_counter() - started
        print(
            f"{n_workers} worker(s): {seconds[n_workers]:.1f} s, equal to one process: "
            f"{np.array_equal(found, expected)} (largest relative difference "
            f"{np.max(np.abs(found - expected) / np.maximum(expected, 1e-300)):.1e})",
            flush=True,
        )
    print(f"two workers are {seconds[1] / seconds[2]:.2f} times as fast as one")


if __name__ == "__main__":
    main()
