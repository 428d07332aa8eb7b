"""
Geodesic and straight interpolation
===================================

Images decoded along geodesics and along straight lines between codes: MNIST digits 0 and 1, and
the Frey faces if ``--faces`` names their file, by fully connected and by convolutional networks.
Prints, over random pairs, the smoothness of the sequences: the correlation of successive images,
on average and where it is lowest (*Latent Space Oddity* plots it along single paths). The pictures
show one pair each.

MNIST comes from the file that the environment variable ``SKRIEM_MNIST`` names, or from OpenML.
"""

import argparse

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from paper_data import OF_FACES, load_digits, load_faces

from skriem import GeodesicDistance, RBFNoise, VAETransformer

N_STEPS, N_SHOWN = 60, 12


def correlations(images):
    """Correlation of each image with the one before."""
    centred = images - images.mean(axis=1, keepdims=True)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    return (centred[1:] * centred[:-1]).sum(axis=1)


def interpolate(name, X, shape, pairs, path, cmap="gray_r", **parameters):
    """Fit, compare both ways of interpolation over pairs of rows, and draw the first pair."""
    vae = VAETransformer(noise=RBFNoise(64), random_state=0, **parameters).fit(X)
    codes = vae.transform(X)
    distance = GeodesicDistance().fit(codes)
    sequences = {"geodesic": [], "straight": []}
    for i, j in pairs:
        line = np.linspace(codes[i], codes[j], N_STEPS)
        sequences["geodesic"].append(
            vae.inverse_transform(distance.path(codes[i], codes[j], N_STEPS))
        )
        sequences["straight"].append(vae.inverse_transform(line))
    figure, axes = plt.subplots(
        3, 1, figsize=(10, 5), layout="constrained", height_ratios=(1, 1, 1.6)
    )
    for ax, (way, images) in zip(axes, sequences.items()):
        steps = np.array([correlations(one) for one in images])
        print(f"{name:24} {way:9} {steps.mean():8.5f} {steps.min(axis=1).mean():14.5f}")
        shown = images[0][np.linspace(0, N_STEPS - 1, N_SHOWN).astype(int)]
        ax.imshow(np.hstack([one.reshape(shape) for one in shown]), cmap=cmap)
        ax.set(title=f"{way} interpolation", xticks=[], yticks=[])
        axes[2].plot(np.linspace(0, 1, N_STEPS - 1), steps[0], label=way)
    axes[2].set(xlabel="share of the way", ylabel="correlation with\nthe image before")
    axes[2].legend()
    figure.savefig(path, dpi=110)
    print(f"wrote {path}")


def main():
    parser = argparse.ArgumentParser(description="geodesic and straight interpolation")
    parser.add_argument("--faces", help="archive of the Frey faces")
    parser.add_argument("--n-pairs", type=int, default=50)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    print(f"{'':34} {'mean':>8} {'mean of lowest':>14}   correlation of successive images")
    X, y = load_digits((0, 1), 1000, seed=0)
    zeros, ones = (rng.choice(np.flatnonzero(y == k), options.n_pairs) for k in (0, 1))
    interpolate(
        "MNIST 0 to 1", X, (28, 28), list(zip(zeros, ones)), "paper_interpolation_mnist.png"
    )
    if options.faces:
        X = load_faces(options.faces)
        pairs = rng.choice(len(X), (options.n_pairs, 2))
        for k, (name, parameters) in enumerate(OF_FACES.items()):
            path = f"paper_interpolation_faces_{k}.png"
            interpolate(name, X, (28, 20), pairs, path, cmap="gray", **parameters)


if __name__ == "__main__":
    main()
