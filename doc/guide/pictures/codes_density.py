"""
Densities of few codes
======================

Held-out log density of mixtures on the codes of 400 handwritten digits, by Lebesgue measure: under
the metric of the decoder, under the local-variance metric of the codes, and with straight lines.
The last column is the share of draws on the walls: where the decoder's magnification factor is
larger than at any of the fitted codes. Draws no picture.
"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.mixture import GaussianMixture

from skriem import RBFNoise, RiemannianNormal, VAETransformer

X, _ = load_digits(n_class=3, return_X_y=True)
vae = VAETransformer(noise=RBFNoise(bandwidth=2.0), max_iter=50, random_state=0)
codes, unseen = vae.fit_transform(X[:400]), vae.transform(X[400:])
highest = vae.metric_.log_volume(codes).max()
print("components  mixture  mean log density  median  on walls")
for k in (1, 3):
    for name, model, train, test in (
        ("decoder", RiemannianNormal(k, random_state=0), codes, unseen),
        ("local", RiemannianNormal(k, metric="local", random_state=0), codes, unseen),
        ("Gaussian", GaussianMixture(k, random_state=0), codes, unseen),
    ):
        if name == "local":
            # Plain points: codes carry the decoder's metric.
            train, test = np.asarray(train), np.asarray(test)
        found = model.fit(train).score_samples(test)
        seed = {} if name == "Gaussian" else {"random_state": 0}
        walls = vae.metric_.log_volume(model.sample(100, **seed)[0]) > highest
        print(f"{k:10}  {name:8} {found.mean():15.3f} {np.median(found):8.3f} {walls.mean():9.0%}")
