"""
Densities that bend with the data
=================================

Two normal distributions have to explain two half moons. Along straight lines they are ellipses,
half of which lies where nothing is. Along geodesics, :class:`~skriem.RiemannianNormal`, they bend.
"""

# %%
# Both mixtures have two components and as many parameters. The geometry is the one that the data
# themselves make, :func:`~skriem.geometry.local_metric`: lengths are small where they are and
# large where they are not. Its `bandwidth` is about how wide the moons are; without one,
# ``metric="local"`` chooses it.

import matplotlib.pyplot as plt
from sklearn.datasets import make_moons
from sklearn.mixture import GaussianMixture

from skriem import RiemannianNormal
from skriem.geometry import local_metric
from skriem.inspection import DensityDisplay

X, _ = make_moons(200, noise=0.06, random_state=0)
held_out, _ = make_moons(1000, noise=0.06, random_state=1)
metric = local_metric(X, bandwidth=0.2)
mixtures = {
    "GaussianMixture": GaussianMixture(2, random_state=0).fit(X),
    "RiemannianNormal": RiemannianNormal(2, metric=metric, random_state=0).fit(X),
}

# %%
# Filled contours are the log density, stars the means. ``score`` is the mean log density of points
# that were held out, by the same measure for both; the larger the better.

figure, axes = plt.subplots(1, 2, figsize=(10.5, 3.2), layout="constrained", sharey=True)
for ax, (name, mixture) in zip(axes, mixtures.items()):
    score = mixture.score(held_out)
    DensityDisplay.from_estimator(mixture, X, grid_resolution=50, ax=ax)
    ax.set(title=f"{name}: {score:.2f}", aspect="equal", xlabel="", ylabel="")
    print(f"{name:17} mean log density of held-out points {score:.3f}, BIC {mixture.bic(X):.0f}")

# %%
# Like ``GaussianMixture`` it draws new points, and says how probable each component is for a
# point, here for one in the middle:

mixture = mixtures["RiemannianNormal"]
points, component = mixture.sample(5, random_state=0)
print("drawn", *points.round(2).tolist(), "of components", *component)
print("in the middle", mixture.predict_proba([[0.5, 0.25]]).round(2))
plt.show()
