"""Mixture priors and missing entries beside what else there is for them.

python benchmarks/structured_priors.py [--part pinwheel ...] [--mnist mnist.npz] [--tables folder]
    [--motion cmu_mocap_train.npz]

`pinwheel`: five arms of 200 rows each, of which five seeds are drawn, and what mixtures of the data
and of codes find of them. `groups`: made groups in ten dimensions. `mnist`: clusters of 10,000
training images without labels, in three seeds. `speed`: seconds per pass with a mixture prior and
with a normal one. `missing`: root mean squared errors, in standard deviations, of entries that were
taken away at random from tables, the `X` in every .npz of the folder. `walking`: root mean squared
errors, in radians, of the middle second of recordings that is taken away, and of forecasts of the
next half second; half of the recordings are learned from, and settings are chosen there.
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
from _groups import print_groups
from _shared import load_mnist
from _walking import print_walking
from scipy.optimize import linear_sum_assignment
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture

from skriem import MixturePrior, VAETransformer
from skriem.nn import train

PARTS = "pinwheel", "groups", "mnist", "speed", "missing", "walking"
SHARES = 0.1, 0.3


def pinwheel(seed, n=200):
    """Johnson et al., *Composing graphical models with neural networks*, NeurIPS 2016."""
    rng, labels = np.random.RandomState(seed), np.repeat(np.arange(5), n)
    arms = rng.randn(5 * n, 2) * [0.3, 0.05] + [1.0, 0.0]
    angle = 2.0 * np.pi * labels / 5.0 + 0.25 * np.exp(arms[:, 0])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return 10.0 * np.einsum("nj,jin->ni", arms, turn), labels


def grouped(n_components, component, seed):
    return VAETransformer(
        prior=MixturePrior(n_components, component=component),
        noise="constant",
        learning_rate_init=1e-2,
        max_iter=300,
        n_iter_no_change=300,
        random_state=seed,
    )


def print_pinwheel():
    models = {
        "GaussianMixture(5)": lambda seed: GaussianMixture(5, random_state=seed),
        "GaussianMixture(10)": lambda seed: GaussianMixture(10, random_state=seed),
        "BayesianGaussianMixture(10)": lambda seed: BayesianGaussianMixture(
            n_components=10, weight_concentration_prior=0.005, max_iter=500, random_state=seed
        ),
        "codes, 5 normal": lambda seed: grouped(5, "normal", seed),
        "codes, 10 normal": lambda seed: grouped(10, "normal", seed),
        "codes, 10 Student's t": lambda seed: grouped(10, "student_t", seed),
    }
    for name, make in models.items():
        indices, alive = [], []
        for seed in range(5):
            X, y = pinwheel(seed)
            model = make(seed).fit(X)
            indices.append(adjusted_rand_score(y, model.predict(X)))
            alive.append(int((model.weights_ > 0.02).sum()))
        print(f"| {name} | {' '.join(f'{x:.3f}' for x in indices)} | {alive} |", flush=True)


def accuracy(y, labels):
    """Share of rows that have the label that their cluster stands for, one to one."""
    counts = np.zeros((10, labels.max() + 1))
    np.add.at(counts, (y, labels), 1)
    return counts[linear_sum_assignment(-counts)].sum() / len(y)


def print_mnist(path):
    X, y = load_mnist(path)
    X, y = X[:10_000], y[:10_000]
    for seed in range(3):
        start = time.perf_counter()
        vae = VAETransformer(
            10,
            likelihood="bernoulli",
            prior="mixture",
            noise="constant",
            max_iter=60,
            tol=0.0,
            random_state=seed,
        ).fit(X)
        labels = vae.predict(X)
        print(
            f"seed {seed}: adjusted Rand index {adjusted_rand_score(y, labels):.3f}, "
            f"accuracy {accuracy(y, labels):.3f}, {time.perf_counter() - start:.0f} s",
            flush=True,
        )


def print_speed(path):
    data = {"pinwheel, d=2": (pinwheel(0)[0], 2, "gaussian", 40)}
    if path is not None:
        X = load_mnist(path)[0][:10_000]
        data |= {f"MNIST, d={d}": (X, d, "bernoulli", 20) for d in (2, 10)}
    for name, (X, d, likelihood, n) in data.items():
        for prior in ("normal", "mixture"):
            vae = VAETransformer(
                d, likelihood=likelihood, prior=prior, noise="constant", random_state=0, tol=0
            )
            seconds = []
            # What is not training, moves of components too, is done as often in the last two.
            for max_iter in (1, n, 3 * n):
                start = time.perf_counter()
                vae.set_params(max_iter=max_iter, n_iter_no_change=max_iter).fit(X)
                seconds.append(time.perf_counter() - start)
            print(f"| {name} | {prior} | {(seconds[2] - seconds[1]) / (2 * n):.4f} s |", flush=True)


def imputers(p):
    d = min(10, max(2, p // 2))
    vae = VAETransformer(d, n_importance_samples=5, max_iter=100, noise="constant", random_state=0)
    return {
        "mean": SimpleImputer(),
        "IterativeImputer": IterativeImputer(random_state=0),
        "KNNImputer": KNNImputer(),
        "normal prior": vae,
    }


def print_missing(folder):
    for path in sorted(Path(folder).glob("*.npz")):
        with np.load(path) as stored:
            X = stored["X"].astype(float)
        for share in SHARES:
            missing = np.random.RandomState(0).uniform(size=X.shape) < share
            gone = np.where(missing, np.nan, X)
            spread = np.nanstd(gone, axis=0)
            kept = spread > 0.0
            center, spread = np.nanmean(gone[:, kept], axis=0), spread[kept]
            gone, truth = (gone[:, kept] - center) / spread, (X[:, kept] - center) / spread
            asked, errors = missing[:, kept], {}
            for name, imputer in imputers(gone.shape[1]).items():
                imputer.fit(gone)
                filled = (
                    imputer.impute(gone, 300)
                    if hasattr(imputer, "impute")
                    else imputer.transform(gone)
                )
                errors[name] = np.sqrt(np.mean((filled - truth)[asked] ** 2))
            told = " | ".join(f"{name} {error:.3f}" for name, error in errors.items())
            print(f"| {path.stem} | {share:.0%} | {told} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--mnist")
    parser.add_argument("--tables")
    parser.add_argument("--motion")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--no-moves", action="store_true", help="no splits and merges")
    options = parser.parse_args()
    if options.no_moves:
        train.MOVES = ()
    # What did not converge is compared as far as it got.
    warnings.simplefilter("ignore")
    if "pinwheel" in options.part:
        print_pinwheel()
    if "groups" in options.part:
        print_groups(options.seeds)
    if "speed" in options.part:
        print_speed(options.mnist)
    if "missing" in options.part and options.tables is not None:
        print_missing(options.tables)
    if "walking" in options.part and options.motion is not None:
        print_walking(options.motion, options.seeds)
    if "mnist" in options.part:
        print_mnist(options.mnist)


if __name__ == "__main__":
    main()
