"""
Geodesic distances in other estimators
======================================

Any estimator with ``metric="precomputed"`` can measure along the data:
:class:`~skriem.GeodesicDistance` makes the matrix of distances that it takes. Here are three of
scikit-learn's, each with straight lines and with geodesics.
"""

# %%
# Three arms wind round each other, 200 points on each. Within an arm the way from end to end is
# long; from arm to arm it is short, but across a gap.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.cluster import DBSCAN, AgglomerativeClustering
from sklearn.metrics import adjusted_rand_score, pairwise_distances
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from skriem import GeodesicDistance, NeighborEncoder

N_ARMS, N_LABELLED = 3, 3
# Colours that stay apart for colour-blind readers; the last is for noise.
COLORS = np.array(["#3f90da", "#ffa90e", "#bd1f01", "#94a4a2"])

rng = np.random.default_rng(0)
y = np.repeat(np.arange(N_ARMS), 200)
radius = 3.2 * np.sqrt(rng.uniform(0.05, 1.0, len(y)))
angle = 1.5 * radius + 2.0 * np.pi * y / N_ARMS
X = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
X += rng.normal(0.0, 0.12, X.shape)

# %%
# Distances of all pairs, straight and along the data. For plain data of few features
# :class:`~skriem.NeighborEncoder` has the geometry in which gaps are long; with codes of a
# :class:`~skriem.VAETransformer` it would be that of the decoder.

distances = {
    "straight": pairwise_distances(X),
    "geodesic": GeodesicDistance(NeighborEncoder(power=2)).fit_transform(X),
}

# %%
# Both matrices go through the same three estimators. The classifier is told the arms of three
# points each, shown as stars. DBSCAN can follow the arms along straight lines as well, with an
# ``eps`` that is chosen for them; along geodesics more values of ``eps`` do.

labelled = np.concatenate(
    [rng.choice(np.flatnonzero(y == arm), N_LABELLED, replace=False) for arm in range(N_ARMS)]
)


def found_by(D):
    """Arms that the three estimators find in a matrix of distances."""
    nearest = KNeighborsClassifier(n_neighbors=1, metric="precomputed")
    nearest.fit(D[np.ix_(labelled, labelled)], y[labelled])
    trees = AgglomerativeClustering(N_ARMS, metric="precomputed", linkage="average")
    return {
        "DBSCAN": DBSCAN(eps=0.9, min_samples=8, metric="precomputed").fit_predict(D),
        "agglomerative clustering": trees.fit_predict(D),
        "1 neighbour, 3 labels an arm": nearest.predict(D[:, labelled]),
    }


figure, axes = plt.subplots(2, 3, figsize=(9.6, 6.6), layout="constrained")
for row, (way, D) in zip(axes, distances.items()):
    for ax, (name, found) in zip(row, found_by(D).items()):
        ax.scatter(*X.T, s=6, c=COLORS[np.where(found < 0, -1, found % N_ARMS)])
        score = adjusted_rand_score(y, found)
        ax.set(title=f"{name}\n{way}: {score:.2f}", xticks=[], yticks=[], aspect="equal")
        print(f"{name:30} {way:9} adjusted Rand index {score:.2f}")
    row[-1].scatter(
        *X[labelled].T, s=130, marker="*", c=COLORS[y[labelled]], edgecolors="black", zorder=3
    )

# %%
# How wide the range of ``eps`` is for which DBSCAN finds the arms, as the ratio of its ends:

for way, D in distances.items():
    radii = np.geomspace(0.1, 10.0, 60)
    good = [
        eps
        for eps in radii
        if adjusted_rand_score(
            y, DBSCAN(eps=eps, min_samples=8, metric="precomputed").fit_predict(D)
        )
        > 0.95
    ]
    print(f"{way:9} from {min(good):.2f} to {max(good):.2f}: {max(good) / min(good):.1f} times")

# %%
# In a pipeline the matrix is made on the way. Queries are measured against the samples of
# ``fit``.

pipe = make_pipeline(
    GeodesicDistance(NeighborEncoder(power=2)),
    KNeighborsClassifier(n_neighbors=5, metric="precomputed"),
)
train, test = np.arange(0, len(X), 2), np.arange(1, len(X), 2)
print(f"five neighbours, held-out accuracy {pipe.fit(X[train], y[train]).score(X[test], y[test])}")
plt.show()
