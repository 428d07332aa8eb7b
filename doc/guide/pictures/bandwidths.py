"""
How wide the walls' gaps are
============================

The magnification factor of one set of codes for several bandwidths, and how the search for
geodesics fares. Encoder and decoder are the same; only the noise differs. Written to
``doc/guide/bandwidths.png`` or the path given as argument.
"""

import sys
import time
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skriem import GeodesicDistance, RBFNoise, VAETransformer

POINTS, GEODESIC = "#3f90da", "#bd1f01"
BANDWIDTHS, SHOWN, N_PAIRS, N = (0.5, 1.0, 1.5, 2.0), (0.5, 1.0, 2.0), 200, 160

X, _ = load_digits(n_class=3, return_X_y=True)
rng = np.random.default_rng(0)
i, j = rng.integers(len(X), size=(2, N_PAIRS))
t = np.linspace(0.0, 1.0, 201)

figure, axes = plt.subplots(1, len(SHOWN), figsize=(9.6, 3.4), layout="constrained", sharey=True)
panels = dict(zip(SHOWN, axes))
print("bandwidth  converged  straight  error, median  and 99 %  seconds")
for bandwidth in BANDWIDTHS:
    vae = VAETransformer(noise=RBFNoise(bandwidth=bandwidth), random_state=0).fit(X)
    codes, metric = vae.transform(X), vae.metric_
    metric.geodesic(codes[:1], codes[1:2])
    started = time.process_time()
    found = metric.geodesic(codes[i], codes[j])
    seconds = time.process_time() - started
    plain = np.asarray(codes)
    lines = plain[i][:, None] + t[:, None] * (plain[j] - plain[i])[:, None]
    straight = np.linalg.norm(
        np.diff(metric.embed(lines.reshape(-1, 2)).reshape(N_PAIRS, len(t), -1), axis=1), axis=2
    ).sum(axis=1)
    error = GeodesicDistance(random_state=0).fit(codes).error_estimate_
    print(
        f"{bandwidth:9} {found.converged.mean():10.0%} {np.median(straight / found.length):9.2f} "
        f"{error['median']:14.1%} {error['quantile_99']:9.1%} {seconds:8.1f}"
    )
    if bandwidth not in panels:
        continue
    ax, low, high = panels[bandwidth], plain.min(axis=0) - 0.4, plain.max(axis=0) + 0.4
    sides = [np.linspace(low[c], high[c], N) for c in range(2)]
    grid = np.stack(np.meshgrid(*sides), axis=-1).reshape(-1, 2)
    shade = metric.log_volume(grid).reshape(N, N) / np.log(10.0)
    ax.contourf(*sides, shade, np.linspace(2.0, 6.5, 31), cmap="gray_r", extend="both")
    ax.scatter(*plain.T, s=3, color=POINTS, linewidth=0)
    for curve in found.points[:6]:
        ax.plot(*curve.T, color="white", linewidth=2.5)
        ax.plot(*curve.T, color=GEODESIC, linewidth=1.3)
    ax.set(title=f"bandwidth={bandwidth}", xlabel="code 0", xticks=[], yticks=[])
axes[0].set_ylabel("code 1")
figure.savefig((sys.argv[1:] or [Path(__file__).parents[1] / "bandwidths.png"])[0], dpi=80)
