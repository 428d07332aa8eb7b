"""
Distances of models trained again
=================================

How much geodesic distances change when the autoencoder is trained again with another seed: the
coefficient of variation over trainings of the distance between fixed pairs of MNIST test images,
under the mean metric of ten decoders, under one decoder with a precision network, and straight
between codes (Syrota, Moreno-Muñoz and Hauberg, *Decoder ensembling for learned latent
geometries*, GRaM 2024). Prints mean and median over the pairs, and t statistics of the paired
differences between the ensemble and the others.

MNIST comes from the file that ``--mnist`` names, or from OpenML.
"""

import argparse
import time
import warnings

import numpy as np
from _shared import load_mnist
from scipy.stats import ttest_rel

from skriem import DecoderEnsemble, Perceptron, VAETransformer
from skriem.geometry import ConvergenceWarning

N_TRAIN, N_PAIRS = 5000, 100


def distances(vae, X, pairs):
    """Geodesic distances, and straight ones between codes, of pairs of rows."""
    codes = vae.transform(X)
    a, b = (np.asarray(codes)[side] for side in pairs.T)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return vae.metric_.distance(a, b, tol=1e-2), np.linalg.norm(a - b, axis=1)


def variation(lengths):
    """Coefficients of variation over trainings (n_trainings, n_pairs), (n_pairs,)."""
    return lengths.std(0, ddof=1) / lengths.mean(0)


def main():
    parser = argparse.ArgumentParser(description="distances of models trained again")
    parser.add_argument("--mnist")
    parser.add_argument("--n-trainings", type=int, default=10)
    parser.add_argument("--n-decoders", type=int, default=10)
    parser.add_argument("--max-iter", type=int, default=100)
    parser.add_argument("--no-skip", action="store_true", help="start from random weights")
    options = parser.parse_args()
    shared = {"max_iter": options.max_iter, "network": Perceptron(skip=not options.no_skip)}
    rng = np.random.default_rng(0)
    X = load_mnist(options.mnist)[0]
    X = X[rng.choice(len(X), N_TRAIN, replace=False)]
    new = load_mnist(options.mnist, "test")[0]
    pairs = rng.choice(len(new), (N_PAIRS, 2), replace=False)
    models = {
        "ensemble": {"noise": DecoderEnsemble(options.n_decoders), **shared},
        "precision": shared,
    }
    lengths = {}
    for name, parameters in models.items():
        start = time.perf_counter()
        found = [
            distances(VAETransformer(random_state=seed, **parameters).fit(X), new, pairs)
            for seed in range(options.n_trainings)
        ]
        lengths[name], lengths[f"straight, {name}"] = np.array(found).transpose(1, 0, 2)
        print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)
    for name, found in lengths.items():
        cv = variation(found)
        print(f"{name:20} mean {cv.mean():.3f}  median {np.median(cv):.3f}", end="")
        if name != "ensemble":
            test = ttest_rel(variation(lengths["ensemble"]), cv)
            print(f"  ensemble less this: t = {test.statistic:.2f}", end="")
        print()


if __name__ == "__main__":
    main()
