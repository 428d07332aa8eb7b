"""
One density, two measures
=========================

A mixture of two normal distributions on half moons: along straight lines, along geodesics by
Lebesgue measure, and the same by Riemannian volume. Written to ``doc/guide/densities.png`` or the
path given as argument. Prints how mixtures of one to three explain points that were held out.
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_moons
from sklearn.mixture import GaussianMixture

from skriem import RiemannianNormal
from skriem.geometry import local_metric

POINTS, DRAWN = "#3f90da", "#ffa90e"
N, N_DRAWN, DEPTH = 70, 40, 8.0

X, _ = make_moons(200, noise=0.06, random_state=0)
held_out, _ = make_moons(1000, noise=0.06, random_state=1)
metric = local_metric(X, bandwidth=0.2)
fitted = {}
for k in (1, 2, 3):
    for model in (
        GaussianMixture(k, random_state=0),
        RiemannianNormal(k, metric=metric, random_state=0),
    ):
        fitted[k, type(model).__name__] = model.fit(X)
        print(f"{k} {type(model).__name__:17} {model.score(held_out):.3f} {model.bic(X):.0f}")
straight, curved = fitted[2, "GaussianMixture"], fitted[2, "RiemannianNormal"]

low, high = X.min(axis=0) - 0.25, X.max(axis=0) + 0.25
sides = [np.linspace(low[c], high[c], N) for c in range(2)]
grid = np.stack(np.meshgrid(*sides), axis=-1).reshape(-1, 2)
panels = {
    "GaussianMixture": (straight.score_samples(grid), straight.sample(N_DRAWN)[0]),
    "RiemannianNormal, Lebesgue measure": (
        curved.score_samples(grid),
        curved.sample(N_DRAWN, random_state=0)[0],
    ),
    "by Riemannian volume": (curved.score_samples(grid, measure="riemannian"), None),
}
figure, axes = plt.subplots(1, 3, figsize=(9.6, 2.7), layout="constrained", sharey=True)
cell = np.prod((high - low) / (N - 1))
for ax, (title, (log_density, drawn)) in zip(axes, panels.items()):
    levels = log_density.max() + np.linspace(-DEPTH, 0.0, 13)
    ax.contourf(
        *sides, log_density.reshape(N, N), levels, cmap="Greys", extend="min", zorder=0, alpha=0.8
    )
    ax.scatter(*X.T, s=3, color=POINTS, linewidth=0, label="data")
    if drawn is not None:
        ax.scatter(*drawn.T, s=14, color=DRAWN, edgecolor="black", linewidth=0.5, label="drawn")
    ax.set_title(title, fontsize=10)
    ax.set(xticks=[], yticks=[], xlim=sides[0][[0, -1]], ylim=sides[1][[0, -1]])
    volume = curved.metric_.log_volume(grid) if "volume" in title else 0.0
    print(
        f"{title:35} {np.exp(log_density + volume).sum() * cell:.3f} of the mass is in the picture"
    )
axes[1].legend(loc="lower left", fontsize=7)
figure.savefig((sys.argv[1:] or [Path(__file__).parents[1] / "densities.png"])[0], dpi=90)
