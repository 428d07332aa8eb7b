"""All distances between codes of MNIST: in one process, and on a Dask cluster of two.

python benchmarks/dask_pairwise.py --mnist mnist.npz

The cluster's two worker processes have one thread each and run on this machine, as does the one
process (set ``OMP_NUM_THREADS=1``). A small job runs before the one that is timed, so that the
workers have imported what they need. Dask tells its workers' allocator to give memory back at
once, which costs numerical work with large temporaries half its speed or more; here they keep
it. A cluster of one worker would be no other row: joblib then
works in the calling process.
"""

import argparse
import time

import dask
import numpy as np
from _shared import load_mnist
from distributed import Client, LocalCluster
from joblib import parallel_config

from skriem import GeodesicDistance, VAETransformer

# Of glibc: blocks up to 32 MiB come from the heap, and it keeps 256 MiB for later.
ALLOCATOR = {
    "distributed.nanny.pre-spawn-environ.MALLOC_MMAP_THRESHOLD_": 2**25,
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": 2**28,
}


def timed(distance, codes):
    started = time.perf_counter()
    return distance.pairwise(codes), time.perf_counter() - started


def main():
    parser = argparse.ArgumentParser(description="pairwise distances on a Dask cluster")
    parser.add_argument("--mnist", help="archive of the images; OpenML without it")
    parser.add_argument("--n-codes", type=int, default=6000)
    parser.add_argument("--dims", type=int, default=2)
    options = parser.parse_args()
    X, _ = load_mnist(options.mnist, "test")
    vae = VAETransformer(options.dims, max_iter=30, random_state=0)
    codes = vae.fit_transform(X)[: options.n_codes]
    distance = GeodesicDistance(random_state=0).fit(codes)
    expected, alone = timed(distance, codes)
    with (
        dask.config.set(ALLOCATOR),
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster),
        parallel_config(backend="dask"),
    ):
        distance.pairwise(codes[:600])
        found, together = timed(distance, codes)
    print(
        f"{options.n_codes} codes in {options.dims} dimensions: one process {alone:.1f} s, two "
        f"workers {together:.1f} s, {alone / together:.2f} times as fast; results equal: "
        f"{np.array_equal(found, expected)}"
    )


if __name__ == "__main__":
    main()
