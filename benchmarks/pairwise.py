"""All distances between 1,000 codes of MNIST, approximate against exact.

python benchmarks/pairwise.py --mnist mnist.npz

Codes of 1,000 test images, in 2 and in 8 dimensions. Exact geodesics are solved for between
randomly drawn pairs, other than those that the approximation was corrected with; their rate
says what all pairs would take.
"""

import argparse
import time

import numpy as np
from _shared import alone, load_mnist, peak_megabytes

from skriem import GeodesicDistance, VAETransformer

N_CODES, N_PAIRS, TOL = 1000, 500, 1e-3


def approximate(codes):
    """The fitted estimator, all distances, seconds for either, and the peak of memory."""
    started = time.perf_counter()
    distance = GeodesicDistance(random_state=0).fit(codes)
    fitted = time.perf_counter()
    D = distance.pairwise(codes)
    done = time.perf_counter()
    return distance, D, fitted - started, done - fitted, peak_megabytes()


def main():
    parser = argparse.ArgumentParser(description="approximate against exact pairwise distances")
    parser.add_argument("--mnist", help="archive of the images; OpenML without it")
    parser.add_argument("--dims", type=int, nargs="+", default=[2, 8])
    options = parser.parse_args()
    X, _ = load_mnist(options.mnist, "test")
    i, j = np.random.default_rng(1).choice(N_CODES, (2, N_PAIRS))
    i, j = i[i != j], j[i != j]
    for d in options.dims:
        codes = VAETransformer(n_components=d, max_iter=60, random_state=0).fit_transform(X)
        codes = codes[:N_CODES]
        distance, D, fitted, seconds, peak = alone(approximate, codes)
        started = time.perf_counter()
        geodesics = distance.metric_.geodesic(codes[i], codes[j], tol=TOL)
        rate = len(i) / (time.perf_counter() - started)
        good = geodesics.converged
        errors = np.abs(D[i, j] / geodesics.length - 1.0)[good]
        n_pairs = N_CODES * (N_CODES - 1) // 2
        print(
            f"{d} dimensions, method {distance.method_}: fit {fitted:.1f} s, pairwise "
            f"{seconds:.1f} s; exact {n_pairs / rate:.0f} s at {rate:.0f} a second, ratio "
            f"{n_pairs / rate / (fitted + seconds):.0f}\n"
            f"  relative error against {good.sum()} of {len(good)} converged geodesics: median "
            f"{np.median(errors):.2%}, 99th percentile {np.quantile(errors, 0.99):.2%}, largest "
            f"{errors.max():.2%}; said to be {distance.error_estimate_['median']:.2%} and "
            f"{distance.error_estimate_['quantile_99']:.2%}\n"
            f"  symmetric {np.array_equal(D, D.T)}, zero diagonal {not D.diagonal().any()}, "
            f"peak {peak:.0f} MB",
            flush=True,
        )


if __name__ == "__main__":
    main()
