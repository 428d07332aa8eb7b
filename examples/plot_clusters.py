"""
Where straight lines fail
=========================

k-means cuts rings, half moons and clusters of unequal density where its straight lines say.
:class:`~skriem.RiemannianKMeans` is told the same, the number of clusters, and measures along the
data instead.
"""

# %%
# Four sets of points in the plane, with the labels they were made with. The last, round blobs, is
# there to show that nothing is lost where straight lines are right.

import sys

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.collections import LineCollection
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs, make_circles, make_moons
from sklearn.metrics import adjusted_rand_score

from skriem import RiemannianKMeans

rng = np.random.default_rng(0)
dense = [rng.normal([-1.5, 1.0], 0.08, (150, 2)), rng.normal([0.3, -0.3], 0.75, (150, 2))]
SETS = {
    "rings": make_circles(800, noise=0.05, factor=0.5, random_state=0),
    "half moons": make_moons(800, noise=0.06, random_state=0),
    "unequal densities": (np.concatenate(dense), np.repeat([0, 1], 150)),
    "blobs": make_blobs(600, centers=3, cluster_std=0.9, random_state=6),
}
# Colours that stay apart for colour-blind readers.
COLORS = np.array(["#3f90da", "#ffa90e", "#bd1f01"])
N_GEODESICS = 40

# %%
# Both estimators are fitted to each set, and scored by the adjusted Rand index: 1 for the labels
# that the set was made with, about 0 for chance. Stars are centres. Black lines are geodesics
# from them: they run along the data. The picture is written to ``clusters.png`` or to the path
# given as argument.

figure, axes = plt.subplots(2, len(SETS), figsize=(11, 6.2), layout="constrained")
for (above, below), (name, (X, y)) in zip(axes.T, SETS.items()):
    k = len(np.unique(y))
    straight = KMeans(k, random_state=0).fit(X)
    curved = RiemannianKMeans(k, random_state=0).fit(X)
    for axis, model, who in ((above, straight, "KMeans"), (below, curved, "RiemannianKMeans")):
        axis.scatter(*X.T, s=5, c=COLORS[model.labels_])
        axis.scatter(*model.cluster_centers_.T, s=160, marker="*", c="white", edgecolors="black")
        score = adjusted_rand_score(y, model.labels_)
        # Zero is added so that what rounds to zero has no sign.
        axis.set_title(f"{who}: {round(score, 2) + 0.0:.2f}", fontsize=10)
        axis.set(xticks=[], yticks=[])
        axis.set_aspect("equal", adjustable="datalim")
        print(f"{name:18} {who:17} adjusted Rand index {score:.3f}")
    some = rng.choice(len(X), N_GEODESICS, replace=False)
    centers = curved.cluster_centers_[curved.labels_[some]]
    curves = curved.metric_.geodesic(centers, X[some]).points
    below.add_collection(LineCollection(list(curves), colors="black", linewidths=0.6, alpha=0.6))
    below.set_xlabel(name)
figure.savefig((sys.argv[1:] or ["clusters.png"])[0], dpi=90)
