"""RiemannianNormal beside GaussianMixture and other densities, on plain data and with defaults.

    python benchmarks/densities.py            # three seeds of every set
    python benchmarks/densities.py --seeds 1

First the mean log density of 1,000 points that were held out, with as many components each, and
the seconds of a fit and of scoring these points. Then how well densities tell the points from
uniform ones around them: area under the curve, with the number of components that has the lowest
BIC for either mixture.
"""

import argparse
import time
import warnings

import numpy as np
from sklearn.datasets import make_circles, make_moons
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import roc_auc_score
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity, LocalOutlierFactor

from skriem import RiemannianNormal

N_HELD_OUT = 1000


def moons(n, seed):
    return make_moons(n, noise=0.1, random_state=seed)[0]


def rings(n, seed):
    return make_circles(n, noise=0.06, factor=0.45, random_state=seed)[0]


def pinwheel(n, seed):
    """Five arms."""
    rng = np.random.default_rng(seed)
    arm = rng.integers(5, size=n)
    x = rng.normal(size=(n, 2)) * [0.3, 0.05] + [1.0, 0.0]
    angle = 2.0 * np.pi * arm / 5 + 0.25 * np.exp(x[:, 0])
    turn = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], axis=1)
    return np.einsum("ni,nij->nj", x, turn.reshape(-1, 2, 2))


# Sets, and components of the mixtures on them.
SETS = {"moons": (moons, (2, 4)), "rings": (rings, (2, 4)), "pinwheel": (pinwheel, (5, 10))}


def held_out(seeds):
    print(f"{'':16} held-out log density (GaussianMixture)   fit    score 1,000")
    for name, (make, components) in SETS.items():
        for k in components:
            rows = []
            for seed in seeds:
                X, other = make(300, seed), make(N_HELD_OUT, 1000 + seed)
                started = time.perf_counter()
                ours = RiemannianNormal(k, random_state=seed).fit(X)
                fitted = time.perf_counter()
                score = ours.score(other)
                scored = time.perf_counter()
                theirs = GaussianMixture(k, n_init=100, random_state=seed).fit(X).score(other)
                falls = -min(0.0, *np.diff(ours.lower_bounds_), 0.0)
                rows.append((score, theirs, fitted - started, scored - fitted, falls))
            mean, theirs, fit, scored, falls = np.mean(rows, axis=0)
            print(
                f"{name:10} k = {k:2} {mean:8.3f} ({theirs:.3f}) {fit:22.1f} s {scored:6.1f} s"
                f"{'' if falls == 0 else f'  bound fell by {falls}'}",
                flush=True,
            )


def outliers(seeds):
    print("\narea under the curve, half moons among as many uniform points, 300 to fit")
    rows = []
    for seed in seeds:
        X, inside = moons(300, seed), moons(N_HELD_OUT, 1000 + seed)
        rng = np.random.default_rng(seed)
        low, high = X.min(0) - 0.3, X.max(0) + 0.3
        tried = np.concatenate([inside, rng.uniform(low, high, size=(N_HELD_OUT, 2))])
        truth = np.repeat([1, 0], N_HELD_OUT)
        mixtures = {
            "RiemannianNormal": [RiemannianNormal(k, random_state=seed) for k in range(1, 7)],
            "GaussianMixture": [
                GaussianMixture(k, n_init=10, random_state=seed) for k in range(1, 13)
            ],
        }
        best = {
            name: min((model.fit(X) for model in models), key=lambda model: model.bic(X))
            for name, models in mixtures.items()
        }
        best["IsolationForest"] = IsolationForest(random_state=seed).fit(X)
        best["LocalOutlierFactor"] = LocalOutlierFactor(novelty=True).fit(X)
        best["KernelDensity"] = KernelDensity(bandwidth="scott").fit(X)
        rows.append(
            {name: roc_auc_score(truth, model.score_samples(tried)) for name, model in best.items()}
        )
        print({name: getattr(model, "n_components", "") for name, model in best.items()})
    for name in rows[0]:
        print(f"{name:20} {np.mean([row[name] for row in rows]):.4f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    seeds = range(parser.parse_args().seeds)
    warnings.simplefilter("ignore", ConvergenceWarning)
    held_out(seeds)
    outliers(seeds)


if __name__ == "__main__":
    main()
