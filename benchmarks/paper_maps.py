"""
Where the decoder is sure, and how it stretches
===============================================

Uncertainty and magnification factor over the codes of MNIST digits 0 and 1, for a standard
variance network and for the network of radial basis functions (*Latent Space Oddity*, figures
on generator variance). Only the second is unsure away from the data, so that the magnification
factor follows them. Prints both maps' contrast between the data and the corners of the map;
the picture is written to ``paper_maps.png`` or the path given as argument.

The images come from the file that the environment variable ``SKRIEM_MNIST`` names, or from
OpenML.
"""

import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from paper_data import COLORS, grid_around, load_digits, noise_level

from skriem import RBFNoise, VAETransformer

SIDE = 150

X, y = load_digits((0, 1), 1000, seed=0)
figure, panels = plt.subplots(2, 2, figsize=(10, 8.4), layout="constrained")
print(f"{'median of':18} {'noise on data':>14} {'off':>9} {'volume on data':>15} {'off':>9}")
for row, (precision, name) in zip(panels, (("mlp", "standard"), ("rbf", "radial basis"))):
    vae = VAETransformer(noise=RBFNoise(64), random_state=0).fit(X)
    codes = np.asarray(vae.transform(X))
    grid, extent = grid_around(codes, SIDE, margin=0.35)
    # Off the data is further from every code than codes are from their tenth neighbour.
    nearest = np.linalg.norm(grid[:, None] - codes[::4], axis=2).min(axis=1)
    off = nearest > 0.15 * np.ptp(codes)
    maps = {
        "noise, log10 of its root mean square": (noise_level(vae, grid), noise_level(vae, codes)),
        "magnification factor, log10 √det M": tuple(
            np.exp(vae.metric_.log_volume(z)) for z in (grid, codes)
        ),
    }
    cells = []
    for ax, (label, (on_grid, on_codes)) in zip(row, maps.items()):
        image = ax.imshow(
            np.log10(on_grid).reshape(SIDE, SIDE),
            extent=extent,
            origin="lower",
            aspect="auto",
            cmap="cividis",
        )
        figure.colorbar(image, ax=ax, label=label)
        for digit, color in zip((0, 1), ("white", COLORS[2])):
            ax.scatter(*codes[y == digit][::3].T, s=3, color=color, linewidth=0, alpha=0.8)
        ax.set(title=f"{name} variance network", xlabel="code 0", ylabel="code 1")
        cells += [np.median(on_codes), np.median(on_grid[off])]
    print(f"{name:18} {cells[0]:14.3f} {cells[1]:9.3f} {cells[2]:15.1f} {cells[3]:9.1f}")
path = (sys.argv[1:] or ["paper_maps.png"])[0]
figure.savefig(path, dpi=110)
print(f"wrote {path}")
