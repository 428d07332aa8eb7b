"""
Densities that bend with the data
=================================

Two normal distributions have to explain two half moons. Along straight lines they are ellipses,
half of which lies where nothing is. Along geodesics, :class:`~skriem.RiemannianNormal`, they bend.
"""

# %%
# Both mixtures have two components and as many parameters. ``metric="local"`` takes the metric
# that the data themselves make: it is small where they are and large where they are not.

import matplotlib.pyplot as plt
from sklearn.datasets import make_moons
from sklearn.mixture import GaussianMixture

from skriem import RiemannianNormal
from skriem.inspection import DensityDisplay

X, _ = make_moons(300, noise=0.08, random_state=0)
held_out, _ = make_moons(1000, noise=0.08, random_state=1)
mixtures = {
    "GaussianMixture": GaussianMixture(2, random_state=0).fit(X),
    "RiemannianNormal": RiemannianNormal(2, metric="local", random_state=0).fit(X),
}

# %%
# Filled contours are the log density, stars the means. ``score`` is the mean log density of points
# that were held out, by the same measure for both; the larger the better.

figure, axes = plt.subplots(1, 2, figsize=(10.5, 4.2), layout="constrained", sharey=True)
for ax, (name, mixture) in zip(axes, mixtures.items()):
    score = mixture.score(held_out)
    DensityDisplay.from_estimator(mixture, X, ax=ax)
    ax.set(title=f"{name}: {score:.2f}", aspect="equal", xlabel="", ylabel="")
    print(f"{name:17} mean log density of held-out points {score:.3f}, BIC {mixture.bic(X):.0f}")

# %%
# Like ``GaussianMixture`` it draws new points, says how probable each component is, and gives
# every parameter away:

points, component = mixtures["RiemannianNormal"].sample(500, random_state=0)
figure, ax = plt.subplots(figsize=(6.0, 3.4), layout="constrained")
for k, color in enumerate(("#3f90da", "#bd1f01")):
    ax.scatter(*points[component == k].T, s=8, color=color, label=f"component {k}")
ax.set(title="500 points drawn from the mixture", aspect="equal")
ax.legend(loc="lower left", fontsize=8)
plt.show()
