"""
The k-means table of Latent Space Oddity
========================================

Three sets of three MNIST digits, 1,000 random images of each; one autoencoder with codes of
dimension 2 per set; ten disjoint subsets of 300 codes, each clustered into three with geodesic
and with straight distances. Prints the F-measure, the best over clusters for every class,
weighted by size, in per cent: mean and standard deviation over subsets, for several seeds of
images and training.

The images come from the file that the environment variable ``SKRIEM_MNIST`` names, or from
OpenML. Takes two to three minutes per set and seed.
"""

import argparse

import numpy as np
from paper_data import f_measure, load_digits
from sklearn.cluster import KMeans

from skriem import RBFNoise, RiemannianKMeans, VAETransformer

SETS = ((0, 1, 2), (3, 4, 7), (5, 6, 9))
PUBLISHED = {"geodesic": (94.28, 89.54, 81.13), "straight": (77.57, 77.80, 64.93)}
N_PER_DIGIT, N_SUBSETS, N_INIT = 1000, 10, 10


def scores(digits, seed):
    """F-measures in every subset, in per cent: arrays by name."""
    X, y = load_digits(digits, N_PER_DIGIT, seed)
    vae = VAETransformer(noise=RBFNoise(64), flatness=30.0, random_state=seed)
    codes = vae.fit_transform(X)
    clusterings = {
        "geodesic": RiemannianKMeans(3, n_init=N_INIT, random_state=seed),
        "straight": KMeans(3, n_init=N_INIT, random_state=seed),
    }
    # Slices of codes carry their metric, so that both are asked in the same way.
    subsets = [slice(k, None, N_SUBSETS) for k in range(N_SUBSETS)]
    return {
        name: np.array([
            100.0 * f_measure(y[part], model.fit_predict(codes[part])) for part in subsets
        ])
        for name, model in clusterings.items()
    }  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description="the k-means table of Latent Space Oddity")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    print(f"{'digits':10} {'seed':>4} {'geodesic':>15} {'straight':>15}")
    for i, digits in enumerate(SETS):
        means = {name: [] for name in PUBLISHED}
        for seed in options.seeds:
            found = scores(digits, seed)
            cells = [f"{found[name].mean():7.2f} ± {found[name].std():5.2f}" for name in PUBLISHED]
            print(f"{digits!s:10} {seed:4} {cells[0]:>15} {cells[1]:>15}", flush=True)
            for name in means:
                means[name].append(found[name].mean())
        cells = [f"{np.mean(means[name]):15.2f} {PUBLISHED[name][i]:7.2f}" for name in PUBLISHED]
        print(f"{digits!s:10} mean, and published: geodesic {cells[0]}, straight {cells[1]}\n")


if __name__ == "__main__":
    main()
