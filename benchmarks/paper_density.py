"""
A mixture of locally adaptive normal distributions
==================================================

Codes of MNIST digits 0, 1 and 2: mixtures of three normal distributions along geodesics, of the
decoder's metric and of the codes' own local-variance metric, against ``GaussianMixture`` with
three components on the same codes. Prints the mean log density of held-out codes, with respect to
Lebesgue measure throughout, and the adjusted Rand index of the components with the digits, for
several seeds of images, training and fit. The picture shows densities and decoded samples:
``paper_density.png``.

The images come from the file that the environment variable ``SKRIEM_MNIST`` names, or from
OpenML. Takes about three minutes per seed.
"""

import argparse

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from paper_data import COLORS, grid_around, load_digits
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import train_test_split

from skriem import RBFNoise, RiemannianNormal, VAETransformer

DIGITS, N_PER_DIGIT, N_INIT = (0, 1, 2), 1000, 3
SIDE, N_SHOWN = 80, 8
TITLES = {
    "decoder": "along geodesics of the decoder",
    "local": "along geodesics of local variance",
    "straight": "along straight lines",
}


def fit(seed):
    """Autoencoder, codes for training and testing, digits of the latter, and the mixtures."""
    X, y = load_digits(DIGITS, N_PER_DIGIT, seed)
    # A flat decoder with wide bumps: what is left of the geometry are walls around the codes.
    vae = VAETransformer(
        noise=RBFNoise(32, bandwidth=2.0, contrast=100.0), flatness=30.0, random_state=seed
    ).fit(X)
    codes = vae.transform(X)
    train, test, _, y_test = train_test_split(codes, y, test_size=1 / 3, random_state=seed)
    options = {"n_components": len(DIGITS), "n_init": N_INIT, "random_state": seed}
    plain = np.asarray(train)
    mixtures = {
        "decoder": RiemannianNormal(**options).fit(train),
        "local": RiemannianNormal(metric="local", **options).fit(plain),
        "straight": GaussianMixture(**options).fit(plain),
    }
    return vae, train, np.asarray(test), y_test, mixtures


def draw(vae, codes, mixtures, path):
    """Densities over the codes, and decoded samples of every component."""
    grid, extent = grid_around(np.asarray(codes), SIDE, margin=0.2)
    figure, panels = plt.subplots(3, 2, figsize=(11, 11), layout="constrained")
    for (left, right), (name, mixture) in zip(panels, mixtures.items()):
        log_density = mixture.score_samples(grid).reshape(SIDE, SIDE)
        left.contourf(np.exp(log_density), levels=12, extent=extent, origin="lower", cmap="cividis")
        left.scatter(*np.asarray(codes)[::4].T, s=3, color="white", linewidth=0, alpha=0.5)
        left.scatter(*mixture.means_.T, marker="*", s=130, color=COLORS[2], edgecolor="white")
        left.set(title=TITLES[name], xlabel="code 0", ylabel="code 1")
        points, component = mixture.sample(200)
        rows = [
            np.hstack(
                [
                    image.reshape(28, 28)
                    for image in vae.inverse_transform(points[component == k][:N_SHOWN])
                ]
            )
            for k in range(mixture.n_components)
        ]
        right.imshow(np.vstack(rows), cmap="gray_r")
        right.set(title="samples of its components, decoded", xticks=[], yticks=[])
    figure.savefig(path, dpi=110)
    print(f"wrote {path}")


def main():
    parser = argparse.ArgumentParser(description="geodesic against straight normal mixtures")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    options = parser.parse_args()
    print(f"{'seed':>4} {'mixture':10} {'log density':>12} {'adjusted Rand':>14}")
    table = {name: [] for name in TITLES}
    for seed in options.seeds:
        vae, train, test, y_test, mixtures = fit(seed)
        for name, mixture in mixtures.items():
            found = mixture.score(test), adjusted_rand_score(y_test, mixture.predict(test))
            table[name].append(found)
            print(f"{seed:4} {name:10} {found[0]:12.3f} {found[1]:14.3f}", flush=True)
        if seed == options.seeds[0]:
            draw(vae, train, mixtures, "paper_density.png")
    for name, rows in table.items():
        means = np.mean(rows, axis=0)
        print(f"mean {name:10} {means[0]:12.3f} {means[1]:14.3f}")


if __name__ == "__main__":
    main()
