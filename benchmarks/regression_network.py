"""Deep regression Bayesian networks of MNIST beside other models of zeros and ones.

python benchmarks/regression_network.py [--mnist mnist.npz] [--part likelihood ...]

Binarised at one half: 10,000 training images, 1,000 test images (--n-test). `likelihood` prints
held-out log probabilities, `restoration` what is wrong after 30 % of the pixels are flipped or a
square is missing, `classification` accuracies, `digits` those on scikit-learn's digits. Restoring,
the network is told the share of flips, and where the square is; others see the mean there. The
partition function of the restricted Boltzmann machine is estimated by annealed importance sampling
from independent pixels (Salakhutdinov and Murray, *On the quantitative analysis of deep belief
networks*, ICML 2008).
"""

import argparse
import time
import warnings

import numpy as np
from _shared import load_mnist
from scipy.special import expit, logsumexp
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import BernoulliRBM

from skriem import DeepRegressionClassifier, DeepRegressionTransformer, VAETransformer

PARTS = "likelihood", "restoration", "classification", "digits"
N_TRAIN, SIZES, PASSES = 10_000, (200, 100), 25


def softplus(x):
    return np.logaddexp(0.0, x)


def fit_mixture(X, n_components, rng, n_iter=60):
    """Mixture of Bernoullis by expectation maximisation: logits of pixels, logs of weights."""
    shares = rng.dirichlet(np.full(n_components, 0.1), len(X))
    for _ in range(n_iter):
        counts = shares.sum(0)
        p = (shares.T @ X + 1.0) / (counts[:, None] + 2.0)
        log_weights = np.log((counts + 1e-9) / counts.sum())
        joint = of_mixture(X, p, log_weights)
        shares = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
    return p, log_weights


def of_mixture(X, p, log_weights):
    """Joint log probabilities of rows and components."""
    return X @ np.log(p).T + (1.0 - X) @ np.log1p(-p).T + log_weights


def log_partition(rbm, base, rng, n_steps=2000, n_chains=100):
    """Annealed importance sampling from pixels with logits `base`: estimate and its error."""
    weights, visible, hidden = rbm.components_, rbm.intercept_visible_, rbm.intercept_hidden_
    v = (rng.random((n_chains, len(base))) < expit(base)).astype(float)
    log_w = np.zeros(n_chains)
    betas = np.linspace(0.0, 1.0, n_steps + 1)
    for low, high in zip(betas, betas[1:]):
        into = v @ weights.T + hidden
        log_w += (high - low) * (v @ (visible - base))
        log_w += (softplus(high * into) - softplus(low * into)).sum(1)
        h = (rng.random(into.shape) < expit(high * into)).astype(float)
        back = (1.0 - high) * base + high * (h @ weights + visible)
        v = (rng.random(v.shape) < expit(back)).astype(float)
    estimate = logsumexp(log_w) - np.log(n_chains)
    error = np.exp(log_w - estimate).std() / np.sqrt(n_chains)
    return estimate + softplus(base).sum() + len(hidden) * np.log(2.0), error


def fit(name, estimator, *data):
    started = time.perf_counter()
    estimator.fit(*data)
    print(f"{name:44} fitted in {time.perf_counter() - started:6.1f} s", flush=True)
    return estimator


def likelihood(network, rbm, X, X_test, rng):
    started = time.perf_counter()
    found, error = network.score_samples(X_test, n_samples=100, return_std=True)
    seconds = time.perf_counter() - started
    print(f"regression network, importance sampling  {found.mean():9.2f}", end="")
    print(f"  (mean error of a row {error.mean():.2f}, {seconds:.0f} s)")
    p, log_weights = fit_mixture(X, 100, rng)
    held_out = logsumexp(of_mixture(X_test, p, log_weights), axis=1).mean()
    print(f"mixture of 100 Bernoullis, exact         {held_out:9.2f}")
    mean = X.mean(0).clip(1e-4, 1.0 - 1e-4)
    log_z, error = log_partition(rbm, np.log(mean / (1.0 - mean)), rng)
    free = X_test @ rbm.intercept_visible_
    free = free + softplus(X_test @ rbm.components_.T + rbm.intercept_hidden_).sum(1)
    print(f"BernoulliRBM, annealed estimate          {free.mean() - log_z:9.2f}", end="")
    print(f"  (error of log Z {error:.2f})", flush=True)


def restoration(network, rbm, X, X_test, rng):
    flipped = np.abs(X_test - (rng.random(X_test.shape) < 0.3))
    missing = np.zeros((len(X_test), 28, 28), dtype=bool)
    for square, (row, column) in zip(missing, rng.integers(4, 14, size=(len(X_test), 2))):
        square[row : row + 10, column : column + 10] = True
    missing = missing.reshape(X_test.shape)
    filled = np.where(missing, X.mean(0), X_test)
    vae = VAETransformer(
        20, network=(256, 128), likelihood="bernoulli", noise="constant", max_iter=50
    )
    vae = fit("VAETransformer, 20 components", vae.set_params(random_state=0), X)
    ways = {
        "BernoulliRBM": lambda Z: expit(
            rbm.transform(Z) @ rbm.components_ + rbm.intercept_visible_
        ),
        "VAETransformer": lambda Z: vae.inverse_transform(vae.transform(Z)),
    }
    for n in (10, 20, 50, 100):
        pca = PCA(n, random_state=0).fit(X)
        ways[f"PCA, {n} components"] = lambda Z, pca=pca: pca.inverse_transform(pca.transform(Z))
    started = time.perf_counter()
    found = {
        "nothing done": (flipped, filled),
        "regression network": (
            network.restore(flipped, flip_rate=0.3),
            network.restore(np.where(missing, np.nan, X_test)),
        ),
    }
    print(f"restored {2 * len(X_test)} images in {time.perf_counter() - started:.0f} s")
    found |= {name: (way(flipped), way(filled)) for name, way in ways.items()}
    # Without the noise's mean and scale, of which PCA can be told as well.
    told = ways["PCA, 20 components"]((flipped - 0.3) / 0.4)
    found["PCA, 20 components, told"] = told, found["PCA, 20 components"][1]
    print(f"{'':32}  flipped: wrong, squared   in the square: wrong, squared")
    everywhere = np.ones_like(missing)
    for name, restored in found.items():
        row = []
        for image, where in zip(restored, (everywhere, missing)):
            wrong, squared = (image > 0.5) != X_test, np.square(image - X_test)
            row += [100.0 * wrong[where].mean(), squared[where].mean()]
        print("{:32}  {:6.2f} %  {:.4f}         {:6.2f} %  {:.4f}".format(name, *row), flush=True)


def classification(sets, sizes, passes):
    X, y, X_test, y_test = sets
    plain = fit("logistic regression", LogisticRegression(max_iter=1000), X, y)
    print(f"logistic regression        {plain.score(X_test, y_test):.4f}", flush=True)
    for objective in ("generative", "discriminative"):
        network = DeepRegressionClassifier(
            sizes, likelihood="bernoulli", objective=objective, max_iter=passes, random_state=0
        )
        fit(f"regression network {sizes}, {objective}", network, X, y)
        print(f"{objective:26} {network.score(X_test, y_test):.4f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mnist")
    parser.add_argument("--part", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--n-test", type=int, default=1000)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    rng = np.random.default_rng(0)
    X, y = load_mnist(arguments.mnist)
    X_test, y_test = load_mnist(arguments.mnist, "test")
    rows = rng.permutation(len(X))[:N_TRAIN]
    X, y = (X[rows] > 0.5).astype(float), y[rows]
    rows = rng.permutation(len(X_test))[: arguments.n_test]
    X_test, y_test = (X_test[rows] > 0.5).astype(float), y_test[rows]
    if {"likelihood", "restoration"} & set(arguments.part):
        network = DeepRegressionTransformer(
            SIZES, likelihood="bernoulli", max_iter=PASSES, random_state=0
        )
        network = fit(f"DeepRegressionTransformer({SIZES})", network, X)
        # Of the rates 0.1, 0.05 and 0.01 the best on other training images.
        rbm = BernoulliRBM(200, learning_rate=0.01, n_iter=20, random_state=0)
        rbm = fit("BernoulliRBM, 200 components", rbm, X)
    if "likelihood" in arguments.part:
        likelihood(network, rbm, X, X_test, rng)
    if "restoration" in arguments.part:
        restoration(network, rbm, X, X_test, rng)
    if "classification" in arguments.part:
        classification((X, y, X_test, y_test), (100,), 6)
    if "digits" in arguments.part:
        X, y = load_digits(return_X_y=True)
        rows = np.random.default_rng(0).permutation(len(X))
        X, y = X[rows] / 16.0, y[rows]
        # Settings were chosen on the rows between.
        classification((X[:900], y[:900], X[1350:], y[1350:]), (128,), 60)


if __name__ == "__main__":
    main()
