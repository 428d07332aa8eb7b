"""
How many clusters?
==================

``RiemannianKMeans(n_clusters="auto")`` compares how well clusters are separated with data that have
no structure at all, and takes the number that stands out. One is an answer too.
"""

# %%
# Four groups: two rings, one in the other, a wide blob and a narrow one.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.cluster import KMeans
from sklearn.datasets import make_circles
from sklearn.metrics import silhouette_score

from skriem import RiemannianKMeans

rng = np.random.default_rng(0)
rings = make_circles((320, 160), noise=0.05, factor=0.5, random_state=0)[0]
X = np.concatenate(
    [rings, rng.normal([2.2, 0.3], 0.25, (120, 2)), rng.normal([2.4, -1.0], 0.1, (80, 2))]
)
# Colours that stay apart for colour-blind readers.
COLORS = np.array(["#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300"])

# %%
# For every number the partition that shows best in the data is found, and its worst cluster's
# conductance compared with that of k-means on points drawn uniformly. The gap is the log of their
# ratio: 0 where nothing is gained over data without structure.

found = RiemannianKMeans(n_clusters="auto", random_state=0).fit(X)
print(f"found: {found.n_clusters_} clusters, by {found.partition_}")
nothing = RiemannianKMeans(n_clusters="auto", random_state=0).fit(rng.uniform(size=(600, 2)))
print(f"in points without structure: {nothing.n_clusters_}")

# %%
# For comparison, ``KMeans`` and its silhouette, which is no guide here:

numbers = list(found.gaps_)
silhouettes = [silhouette_score(X, KMeans(k, random_state=0).fit_predict(X)) for k in numbers]
print(f"by the silhouette of KMeans: {numbers[int(np.argmax(silhouettes))]}")

figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.8), layout="constrained")
left.plot(numbers, list(found.gaps_.values()), "o-", color="#bd1f01", label="these groups")
left.plot(numbers, list(nothing.gaps_.values()), "s--", color="#3f90da", label="no structure")
left.axvline(found.n_clusters_, color="black", linewidth=0.8, linestyle=":")
left.axhline(0.0, color="black", linewidth=0.8)
left.set(xlabel="number of clusters", ylabel="gap")
left.legend()
right.scatter(*X.T, s=7, c=COLORS[found.labels_ % len(COLORS)])
right.scatter(*found.cluster_centers_.T, s=160, marker="*", c="white", edgecolors="black")
right.set(title=f"{found.n_clusters_} clusters", xticks=[], yticks=[], aspect="equal")
plt.show()
