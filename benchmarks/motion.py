"""
Geodesic against straight length
================================

The comparison of Chen et al., *Metrics for deep generative models* (AISTATS 2018): codes of
dimension 2 by importance weighted training, the metric J'J of the decoder's mean alone, and the
length of geodesics between random codes over that of straight lines between them. Human walking
(published: 2.57 against 2.89, a ratio of 0.889) and binarised MNIST digits (62.9 against 74.3,
0.847), the digits with a Bernoulli and with a Gaussian decoder and, for the former, under the
Fisher-Rao metric too.

Prints, for every seed: mean lengths; the ratio of the means, the mean of the ratios, and the
former for the quarter of pairs whose codes are farthest apart; geodesics whose length is not
known to a tenth of a per cent; seconds. ``--picture`` draws geodesics and straight lines of
motion, and the velocity sqrt(g' G g') along the pair that differs most of those drawn.

Walking is not the published recordings, one subject's, but all of the archive's without jumps of
an exponential map; the poses, without the root, are repeated four times with noise of 0.03 as
published. Networks are narrower, digits and importance samples fewer (5 and 15 in place of 15 and
50) and training shorter than published.
"""

import argparse
import time

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from _shared import load_mnist
from paper_data import COLORS

from skriem import Perceptron, VAETransformer
from skriem.geometry import PullbackMetric
from skriem.inspection import LatentSpaceDisplay

N_PAIRS, N_POINTS, N_STEPS, N_SHOWN = 200, 500, 500, 8
N_IMAGES, N_REPEATS, NOISE, JUMP = 5000, 4, 0.03, 1.0
PUBLISHED = {"motion": 0.889, "bernoulli": 0.847, "gaussian": 0.847}
# As many hidden layers as published; the residual ones are those of the published decoder.
POSES = {"network": (256,) * 3, "batch_size": 150, "learning_rate_init": 1e-3}
DIGITS = {"network": Perceptron((128,) * 7, residual=True), "max_iter": 60}
SETTINGS = {
    "motion": {**POSES, "max_iter": 50, "n_importance_samples": 5},
    "bernoulli": {**DIGITS, "likelihood": "bernoulli", "n_importance_samples": 15},
    "gaussian": {**DIGITS, "n_importance_samples": 15},
}


def load_recordings(path):
    """Poses of walking: joint rotations that vary, of recordings without jumps, one by one."""
    with np.load(path) as data:
        X, action, sequence = data["X"], data["action"], data["sequence"]
        walking = np.unique(sequence[action == list(data["action_names"]).index("walking")])
    recordings = [X[sequence == k, 6:].astype(float).reshape(-1, 37, 3) for k in walking]
    steps = [np.linalg.norm(np.diff(one, axis=0), axis=2).max() for one in recordings]
    smooth = [one for one, step in zip(recordings, steps) if step < JUMP]
    poses = [one.reshape(-1, 111) for one in smooth]
    varying = np.concatenate(poses).std(axis=0) > 1e-6
    return [one[:, varying] for one in poses]


def load_walking(path):
    """The same in one table."""
    return np.concatenate(load_recordings(path))


def load(name, options, seed):
    """Rows to train with, and rows whose codes are joined."""
    rng = np.random.default_rng(seed)
    if name == "motion":
        X = load_walking(options.motion)
        repeated = np.tile(X, (N_REPEATS, 1))
        return repeated + NOISE * rng.standard_normal(repeated.shape), X
    X, _ = load_mnist(options.mnist)
    X = X[rng.choice(len(X), N_IMAGES, replace=False)]
    X = (X > 0.5).astype(float) if name == "bernoulli" else X
    return X, X


def straight_lengths(metric, a, b):
    t = np.linspace(0.0, 1.0, N_STEPS + 1)[:, None]
    values = (metric.embed(start + t * (end - start)) for start, end in zip(a, b))
    return np.array([np.linalg.norm(np.diff(one, axis=0), axis=1).sum() for one in values])


def compare(label, seed, metric, a, b, seconds):
    """Print lengths of geodesics and of straight lines between rows, and return the ratio."""
    straight, started = straight_lengths(metric, a, b), time.perf_counter()
    found = metric.geodesic(a, b)
    spent = time.perf_counter() - started
    apart = np.linalg.norm(a - b, axis=1)
    far = apart >= np.quantile(apart, 0.75)
    ratio = found.length.mean() / straight.mean()
    print(
        f"{label:24} {seed:4} {straight.mean():8.3f} {found.length.mean():8.3f} {ratio:6.3f} "
        f"{(found.length / straight).mean():6.3f} "
        f"{found.length[far].mean() / straight[far].mean():6.3f} "
        f"{(~found.converged).sum():10} {seconds:6.0f} {spent:5.0f}",
        flush=True,
    )
    return ratio


def run(name, options, seed, picture):
    """Train and compare under each metric; ratios by name."""
    X, joined = load(name, options, seed)
    vae = VAETransformer(random_state=seed, noise="constant", **SETTINGS[name])
    started = time.perf_counter()
    codes = np.asarray(vae.fit(X).transform(joined))
    seconds = time.perf_counter() - started
    rng = np.random.default_rng(seed)
    pairs = rng.choice(len(codes), (N_PAIRS, 2))
    a, b = codes[pairs[pairs[:, 0] != pairs[:, 1]].T]
    points = codes[rng.choice(len(codes), N_POINTS, replace=False)]
    metrics = {name: vae.metric_.with_points(points)}
    if name == "bernoulli":
        mean = PullbackMetric(vae._embedding.mean, 2, points)
        metrics = {name: mean, f"{name}, Fisher-Rao": metrics[name]}
    found = {key: compare(key, seed, metric, a, b, seconds) for key, metric in metrics.items()}
    if picture and name == "motion":
        draw(metrics[name], codes, a[:N_SHOWN], b[:N_SHOWN], picture)
    return found


def draw(metric, codes, a, b, path):
    """Curves over the magnification factor, and velocities along the pair that differs most."""
    t = np.linspace(0.0, 1.0, N_STEPS + 1)
    curves = {
        "straight": a[:, None] + t[:, None] * (b - a)[:, None],
        "geodesic": metric.geodesic(a, b).curve(t),
    }
    phi = {way: velocities(metric, paths) for way, paths in curves.items()}
    shown = (phi["geodesic"].mean(axis=1) / phi["straight"].mean(axis=1)).argmin()
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 5), layout="constrained")
    LatentSpaceDisplay.from_metric(metric, codes, n_geodesics=0, ax=left)
    for (way, paths), color in zip(curves.items(), COLORS[1:]):
        left.plot(*paths.T, color=color, linewidth=1.2)
        left.plot(*paths[shown].T, color=color, linewidth=3.0, label=f"{way}, as on the right")
        along = phi[way][shown]
        right.plot(t[1:], along, color=color, label=f"{way}, length {along.mean():.2f}")
    right.set(xlabel="share of the way", ylabel="velocity", ylim=(0.0, None))
    for ax in (left, right):
        ax.legend()
    figure.savefig(path, dpi=110)


def velocities(metric, paths):
    """sqrt(g' G g') between successive points of paths (n, t, 2)."""
    steps = np.diff(paths, axis=1) * N_STEPS
    middles = 0.5 * (paths[:, 1:] + paths[:, :-1])
    return metric.norm(middles.reshape(-1, 2), steps.reshape(-1, 2)).reshape(steps.shape[:2])


def main():
    parser = argparse.ArgumentParser(description="geodesic against straight length")
    parser.add_argument("--motion", help="archive of motion capture recordings")
    parser.add_argument("--mnist", help="archive of MNIST, else from OpenML")
    parser.add_argument("--data", nargs="+", choices=[*SETTINGS], default=[*SETTINGS])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--picture", help="where to draw the first seed of motion")
    options = parser.parse_args()
    if options.motion is None and "motion" in options.data:
        parser.error("--motion must name an archive, or --data other data")
    print(
        f"{'':32} {'mean length':^16}  {'geodesic / straight':^20} {'':>10} {'seconds':^11}\n"
        f"{'':24} {'seed':>4} {'straight':>8} {'geodesic':>8} {'means':>6} {'mean':>6} {'far':>6} "
        f"{'unresolved':>10} {'train':>5} {'solve':>5}"
    )
    for name in options.data:
        ratios = {}
        for seed in options.seeds:
            picture = options.picture if seed == options.seeds[0] else None
            for label, ratio in run(name, options, seed, picture).items():
                ratios.setdefault(label, []).append(ratio)
        for label, found in ratios.items():
            print(f"{label:24} mean ratio {np.mean(found):.3f}, published {PUBLISHED[name]}")


if __name__ == "__main__":
    main()
