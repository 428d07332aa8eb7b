"""
The three displays
==================

What ``skriem.inspection`` draws of handwritten digits, with its defaults. Written as
``display_latent_space.png``, ``display_geodesic.png`` and ``display_density.png`` to ``doc/guide``
or the folder given as argument.
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from sklearn.datasets import load_digits
from sklearn.pipeline import make_pipeline

from skriem import RBFNoise, RiemannianKMeans, RiemannianNormal, VAETransformer
from skriem.inspection import DensityDisplay, GeodesicDisplay, LatentSpaceDisplay

folder = Path((sys.argv[1:] or [Path(__file__).parents[1]])[0])
X, _ = load_digits(n_class=3, return_X_y=True)
vae = VAETransformer(noise=RBFNoise(bandwidth=2.0), random_state=0)
pipe = make_pipeline(vae, RiemannianKMeans(3, random_state=0)).fit(X)
density = RiemannianNormal(3, random_state=0).fit(vae.transform(X))
displays = {
    "latent_space": LatentSpaceDisplay.from_estimator(pipe, X),
    "geodesic": GeodesicDisplay.from_estimator(vae, X[0], X[1]),
    "density": DensityDisplay.from_estimator(density, vae.transform(X)),
}
for name, display in displays.items():
    display.figure_.savefig(folder / f"display_{name}.png", dpi=70)
