"""
Uncertainty makes walls
=======================

One set of points, three autoencoders that differ in how unsure they are away from the data, and
the shortest way between the two ends of the data under each. Written to ``doc/guide/walls.png`` or
the path given as argument.
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from skriem import RBFNoise, VAETransformer

POINTS, GEODESIC = "#3f90da", "#bd1f01"
N = 160

rng = np.random.default_rng(0)
angle = np.sort(rng.uniform(0.0, 1.35 * np.pi, 400))
X = np.stack([np.cos(angle), np.sin(angle)], axis=1) + rng.normal(0.0, 0.06, (400, 2))

figure, axes = plt.subplots(1, 3, figsize=(9.6, 3.7), layout="constrained", sharey=True)
for ax, (title, noise) in zip(
    axes,
    {
        "no noise in the metric": "constant",
        "low walls, contrast=3": RBFNoise(bandwidth=2.0, contrast=3.0),
        "high walls, contrast=30": RBFNoise(bandwidth=2.0),
    }.items(),
):
    vae = VAETransformer(noise=noise, max_iter=100, random_state=0).fit(X)
    codes, metric = vae.transform(X), vae.metric_
    way = metric.geodesic(codes[10:11], codes[-10:-9])
    low, high = (-2.1, -2.6), (2.3, 2.1)
    sides = [np.linspace(low[k], high[k], N) for k in range(2)]
    grid = np.stack(np.meshgrid(*sides), axis=-1).reshape(-1, 2)
    # The metric embeds a code as the decoder's mean and, for each feature, its noise.
    noise = metric.embed(grid)[:, X.shape[1] :]
    if noise.size:
        shade = np.log10(noise.mean(axis=1)).reshape(N, N)
        shades = ax.pcolormesh(*sides, shade, cmap="gray_r", vmin=-1.5, vmax=0.7, shading="gouraud")
    ax.scatter(*np.asarray(codes).T, s=4, color=POINTS, linewidth=0)
    ax.plot(*way.points[0].T, color="white", linewidth=4)
    ax.plot(*way.points[0].T, color=GEODESIC, linewidth=2)
    ax.set(title=f"{title}\nlength {way.length[0]:.2f}", xlim=sides[0][[0, -1]], xticks=[])
    ax.set(ylim=sides[1][[0, -1]], yticks=[], xlabel="code 0")
    print(f"{title:26} length {way.length[0]:.2f}, {'converged' if way.converged[0] else 'not'}")
axes[0].set_ylabel("code 1")
figure.colorbar(shades, ax=axes, label="noise, log10", shrink=0.9)
figure.savefig((sys.argv[1:] or [Path(__file__).parents[1] / "walls.png"])[0], dpi=90)
