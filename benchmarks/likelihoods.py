"""
Speed of the geometry of other likelihoods
==========================================

Geodesics a second under the Fisher-Rao metric of every likelihood, next to the expected metric of
a Gaussian decoder of the same size, on the same images of MNIST digits 0, 1 and 2: as shares for
"bernoulli", in 256 levels of grey as counts, in four levels as counts and as categories, with
noise of heavy tails for "student_t". Prints geodesics a second over random pairs of codes, the
ratio of the times to that of the Gaussian, and the share that converged.

MNIST comes from the file that the environment variable ``SKRIEM_MNIST`` names, or from OpenML.
"""

import argparse
import time

import numpy as np
from paper_data import load_digits

from skriem import VAETransformer


def measure(parameters, X, options):
    """Seconds for the first call, and per geodesic afterwards; share converged."""
    vae = VAETransformer(random_state=0, max_iter=options.max_iter, **parameters).fit(X)
    codes, metric = np.asarray(vae.transform(X)), vae.metric_
    pairs = np.random.default_rng(0).choice(len(codes), (options.n_pairs, 2))
    start = time.perf_counter()
    metric.geodesic(codes[:2], codes[2:4], tol=options.tol)
    first = time.perf_counter() - start
    times = []
    for _ in range(options.n_repeats):
        start = time.perf_counter()
        found = metric.geodesic(*(codes[side] for side in pairs.T), tol=options.tol)
        times.append(time.perf_counter() - start)
    return first, min(times) / len(pairs), found.converged.mean()


def main():
    parser = argparse.ArgumentParser(description="speed of the geometry of other likelihoods")
    parser.add_argument("--n-components", type=int, default=2)
    parser.add_argument("--n-pairs", type=int, default=200)
    parser.add_argument("--n-repeats", type=int, default=2)
    parser.add_argument("--max-iter", type=int, default=100)
    parser.add_argument("--tol", type=float, default=1e-3)
    parser.add_argument("--only", nargs="*", help="likelihoods to compare with the Gaussian")
    options = parser.parse_args()
    X, _ = load_digits((0, 1, 2), 1000, seed=0)
    counts, levels = np.round(255.0 * X), np.floor(3.99 * X)
    noisy = X + 0.1 * np.random.default_rng(0).standard_t(3.0, X.shape)
    runs = {
        "gaussian, expected": ({}, X),
        "gaussian, fisher_rao": ({"geometry": "fisher_rao"}, X),
        "bernoulli": ({}, X),
        "poisson": ({}, counts),
        "poisson, of levels": ({}, levels),
        "negative_binomial": ({}, counts),
        "categorical": ({}, levels),
        "student_t, expected": ({}, noisy),
        "student_t, fisher_rao": ({"geometry": "fisher_rao"}, noisy),
    }
    baseline = None
    print(f"{'':22} first call   a second   time ratio   converged")
    for name, (parameters, data) in runs.items():
        likelihood = name.split(",")[0]
        if baseline is not None and options.only and likelihood not in options.only:
            continue
        parameters = {"likelihood": likelihood, "n_components": options.n_components, **parameters}
        first, each, converged = measure(parameters, data, options)
        baseline = each if baseline is None else baseline
        row = f"{first:8.1f} s {1.0 / each:10.0f} {each / baseline:12.2f} {converged:11.1%}"
        print(f"{name:22} {row}", flush=True)


if __name__ == "__main__":
    main()
