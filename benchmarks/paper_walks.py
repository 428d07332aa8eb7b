"""
Random walks in the latent space
================================

Brownian motion under the decoder's metric, and under the flat metric, from the middle of the
codes of MNIST digits 0, 1 and 2, and of the Frey faces if ``--faces`` names their file, by fully
connected and by convolutional networks (*Latent Space Oddity*, random walk on the data manifold).
Prints the share of steps at which the decoder's noise is more than ten times the typical noise at
the codes; the pictures show the walks. Brownian motion spreads by Riemannian volume, of which the
walls around the data have much: walks of several times this length get into them.

MNIST comes from the file that the environment variable ``SKRIEM_MNIST`` names, or from OpenML.
"""

import argparse

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from paper_data import COLORS, OF_FACES, grid_around, load_digits, load_faces, noise_level

from skriem import RBFNoise, VAETransformer, brownian_motion
from skriem.geometry import PullbackMetric

N_STEPS, N_CHAINS, SIDE = 10_000, 4, 150
# Standard deviation of a step: this share of the codes' spread, in the metric of each walk.
STEP = 0.01


def walk(name, X, path, **parameters):
    """Walk over the codes of X in both metrics, print and draw."""
    vae = VAETransformer(noise=RBFNoise(64), random_state=0, **parameters).fit(X)
    codes, metric = np.asarray(vae.transform(X)), vae.metric_
    typical = np.median(noise_level(vae, codes))
    middle = codes[np.argsort(np.linalg.norm(codes - np.median(codes, axis=0), axis=1))[:N_CHAINS]]
    rng = np.random.default_rng(0)
    pairs = codes[rng.integers(len(codes), size=(200, 2))]
    spread = np.median(metric.distance(pairs[:, 0], pairs[:, 1], tol=1e-2))
    flat_spread = np.median(np.linalg.norm(pairs[:, 0] - pairs[:, 1], axis=1))
    flat = PullbackMetric(lambda z: z, 2)
    walks = {
        "Riemannian": brownian_motion(metric, middle, N_STEPS, STEP * spread, random_state=0),
        "Riemannian, no drift term": brownian_motion(
            metric, middle, N_STEPS, STEP * spread, drift=False, random_state=0
        ),
        "Euclidean": brownian_motion(flat, middle, N_STEPS, STEP * flat_spread, random_state=0),
    }
    grid, extent = grid_around(codes, SIDE, margin=0.6)
    background = np.log10(noise_level(vae, grid)).reshape(SIDE, SIDE)
    figure, panels = plt.subplots(1, 3, figsize=(14, 4.6), layout="constrained")
    for ax, (kind, chains) in zip(panels, walks.items()):
        noise = noise_level(vae, chains.reshape(-1, 2))
        print(f"{name:24} {kind:26} {(noise > 10 * typical).mean():8.2%}", flush=True)
        image = ax.imshow(background, extent=extent, origin="lower", aspect="auto", cmap="cividis")
        ax.scatter(*codes[::3].T, s=2, color="white", linewidth=0, alpha=0.6)
        for chain, color in zip(chains, COLORS[1:]):
            ax.plot(*chain.T, color=color, linewidth=0.3)
        ax.set(title=kind, xlim=extent[:2], ylim=extent[2:], xlabel="code 0", ylabel="code 1")
    figure.colorbar(image, ax=panels, label="noise, log10 of its root mean square")
    figure.savefig(path, dpi=110)
    print(f"wrote {path}")


def main():
    parser = argparse.ArgumentParser(description="random walks in the latent space")
    parser.add_argument("--faces", help="archive of the Frey faces")
    options = parser.parse_args()
    print("share of steps with more than ten times the typical noise")
    X, _ = load_digits((0, 1, 2), 1000, seed=0)
    walk("MNIST 0 1 2", X, "paper_walks_mnist.png")
    if options.faces:
        X = load_faces(options.faces)
        for k, (name, parameters) in enumerate(OF_FACES.items()):
            walk(name, X, f"paper_walks_faces_{k}.png", **parameters)


if __name__ == "__main__":
    main()
