"""
Straight and geodesic interpolation
===================================

What lies between two handwritten digits: drawn from the decoder along the straight line between
their codes and along the geodesic, with the decoder's noise on both ways. The pair is, of those of
different digits among 200 drawn at random, the one whose straight line is longest compared with
its geodesic, so the picture shows a clear case and not a typical one; the median is printed.
Written to ``doc/guide/images.png`` or the path given as argument.
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skriem import VAETransformer

COLORS = np.array(["#94a4a2", "#832db6", "#ffa90e"])
STRAIGHT, GEODESIC = "#3f90da", "#bd1f01"
CLASSES, N_PAIRS, N_FRAMES, N = (0, 1, 6), 200, 9, 160

X, y = load_digits(return_X_y=True)
X, y = X[np.isin(y, CLASSES)], y[np.isin(y, CLASSES)]
vae = VAETransformer(random_state=0).fit(X)
codes, metric = vae.transform(X), vae.metric_

rng = np.random.default_rng(0)
i, j = rng.integers(len(X), size=(2, N_PAIRS))
i, j = i[y[i] != y[j]], j[y[i] != y[j]]
found = metric.geodesic(codes[i], codes[j])
t = np.linspace(0.0, 1.0, 201)
curves, plain = found.curve(t), np.asarray(codes)
lines = plain[i][:, None] + t[:, None] * (plain[j] - plain[i])[:, None]
measured = np.array(
    [np.linalg.norm(np.diff(metric.embed(line), axis=0), axis=1).sum() for line in lines]
)
ratio = measured / found.length
k = int(ratio.argmax())
print(f"{found.converged.sum()} of {len(i)} geodesics converged")
print(f"straight lines are longer by a factor of {np.median(ratio):.2f} in the median")
print(f"this one: {measured[k]:.0f} instead of {found.length[k]:.0f}, {ratio[k]:.1f} times as long")

figure = plt.figure(figsize=(9.6, 4.2), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=(1.0, 1.35))
ax = left.subplots()
low, high = plain.min(axis=0) - 0.3, plain.max(axis=0) + 0.3
sides = [np.linspace(low[c], high[c], N) for c in range(2)]
grid = np.stack(np.meshgrid(*sides), axis=-1).reshape(-1, 2)
ax.pcolormesh(*sides, metric.log_volume(grid).reshape(N, N), cmap="gray_r", shading="gouraud")
for color, digit in zip(COLORS, CLASSES):
    ax.scatter(*plain[y == digit].T, s=5, color=color, linewidth=0, label=f"digit {digit}")
ways = {"straight line": (lines[k], STRAIGHT, "--"), "geodesic": (curves[k], GEODESIC, "-")}
for name, (way, color, style) in ways.items():
    ax.plot(*way.T, color="white", linewidth=4)
    ax.plot(*way.T, style, color=color, linewidth=2, label=name)
ax.set(xlabel="code 0", ylabel="code 1", xticks=[], yticks=[])
ax.legend(loc="upper left", fontsize=7, markerscale=2.5)

draw = rng.standard_normal(X.shape[1])
above, below, noise = right.subplots(3, 1, height_ratios=(1.0, 1.0, 1.7))
for ax, (name, (way, color, style)) in zip((above, below), ways.items()):
    # One draw of the noise for all frames: what differs is how large it is.
    shown = metric.embed(way[:: (len(t) - 1) // (N_FRAMES - 1)])
    frames = shown[:, : X.shape[1]] + shown[:, X.shape[1] :] * draw
    frames = frames.reshape(-1, 8, 8)
    ax.imshow(np.hstack(np.pad(frames, ((0, 0), (0, 0), (0, 1)))), cmap="gray_r", vmin=0, vmax=16)
    ax.set(xticks=[], yticks=[])
    ax.set_title(f"drawn along the {name}", fontsize=10)
    sigma = metric.embed(way)[:, X.shape[1] :]
    noise.plot(t, np.sqrt((sigma**2).mean(axis=1)), style, color=color, linewidth=2, label=name)
noise.set(xlabel="share of the way", ylabel="decoder's noise", xlim=(0.0, 1.0), ylim=(0.0, None))
noise.legend(fontsize=8)
figure.savefig((sys.argv[1:] or [Path(__file__).parents[1] / "images.png"])[0], dpi=90)
