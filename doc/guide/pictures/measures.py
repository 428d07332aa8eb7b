"""
Distances, means and volumes
============================

What the metric of an autoencoder says of an arc of points, against straight lines. Written to
``doc/guide/measures.png`` or the path given as argument.
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from skriem import RBFNoise, VAETransformer

POINTS, STRAIGHT, GEODESIC = "#3f90da", "#ffa90e", "#bd1f01"
N = 90

rng = np.random.default_rng(0)
angle = np.sort(rng.uniform(0.0, 1.35 * np.pi, 400))
X = np.stack([np.cos(angle), np.sin(angle)], axis=1) + rng.normal(0.0, 0.06, (400, 2))

vae = VAETransformer(noise=RBFNoise(bandwidth=2.0), max_iter=100, random_state=0).fit(X)
codes, metric = vae.transform(X), vae.metric_
plain = np.asarray(codes)
sides = [np.linspace(*ends, N) for ends in ((-2.1, 2.3), (-2.6, 2.1))]
grid = np.stack(np.meshgrid(*sides), axis=-1).reshape(-1, 2)

figure, axes = plt.subplots(1, 3, figsize=(9.6, 3.4), layout="constrained", sharey=True)
distances, volume, mean = axes

# How far everything is from one end of the data.
far = metric.approximate_pairwise(codes[10:11], grid)[0].reshape(N, N)
levels = np.arange(0.5, 4.1, 0.5)
distances.contour(*sides, far, levels=levels, colors=GEODESIC, linewidths=1.0)
distances.plot(*plain[10], "o", color="black")
distances.set_title("equally far from the dot")

shades = volume.pcolormesh(
    *sides, metric.log_volume(grid).reshape(N, N) / np.log(10.0), cmap="gray_r", shading="gouraud"
)
figure.colorbar(shades, ax=volume, label="log10 √det M", shrink=0.9)
volume.set_title("magnification factor")

average, frechet = plain.mean(axis=0), metric.frechet_mean(codes, tol=1e-3)
some = codes[::20]
spokes = metric.geodesic(np.tile(frechet, (len(some), 1)), some, tol=1e-2)
for spoke in spokes.points:
    mean.plot(*spoke.T, color=GEODESIC, linewidth=1.0, alpha=0.8)
mean.plot(*average, "X", color=STRAIGHT, markersize=10, markeredgecolor="black", label="average")
mean.plot(
    *frechet, "*", color="white", markersize=14, markeredgecolor="black", label="Fréchet mean"
)
mean.legend(loc="lower center", fontsize=8)
mean.set_title("centres of the data")
for ax in axes:
    ax.scatter(*plain.T, s=4, color=POINTS, linewidth=0, zorder=1 if ax is distances else 2)
    ax.set(xlim=sides[0][[0, -1]], ylim=sides[1][[0, -1]], xticks=[], yticks=[], xlabel="code 0")
distances.set_ylabel("code 1")
for name, center in (("average", average), ("Fréchet mean", frechet)):
    squares = metric.approximate_pairwise(center[None], codes)[0] ** 2
    print(f"{name:13} {np.sqrt(squares.mean()):.2f} from the data, root mean square")
print(f"geodesics {spokes.converged.sum()} of {len(some)} converged")
figure.savefig((sys.argv[1:] or [Path(__file__).parents[1] / "measures.png"])[0], dpi=90)
