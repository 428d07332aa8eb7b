"""
A tree of clusters
==================

How many clusters there are may depend on how closely one looks. A tree says it for all distances at
once: :class:`~skriem.RiemannianSingleLinkage` joins samples by geodesic distance, and leaves out
what lies scattered between them.
"""

# %%
# Two pairs of moons, and a few points that belong to none.

import matplotlib.pyplot as plt
import numpy as np
from scipy.cluster.hierarchy import fcluster
from sklearn.datasets import make_moons

from skriem import RiemannianSingleLinkage
from skriem.inspection import DendrogramDisplay

moons = [make_moons(240, noise=0.05, random_state=seed)[0] for seed in (0, 1)]
rng = np.random.default_rng(0)
X = np.concatenate([moons[0], moons[1] + [1.2, 3.0], rng.uniform([-2, -2], [4, 5], (12, 2))])

# %%
# A cut into two clusters and one into four. Of every sample at least its distance to its tenth
# neighbour counts, so that no scattered point is a bridge; what stays below ten samples is no
# cluster, and black. Along plain data distances grow with a power of the gaps, hence the axis.

COLORS = np.array(["#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "black"])
figure, axes = plt.subplots(2, 2, figsize=(9.6, 8.0), layout="constrained")
for row, n_clusters in zip(axes, (2, 4)):
    tree = RiemannianSingleLinkage(n_clusters, min_cluster_size=10).fit(X)
    row[0].scatter(*X.T, s=6, c=COLORS[tree.labels_])
    row[0].set(title=f"{n_clusters} clusters", xticks=[], yticks=[], aspect="equal")
    DendrogramDisplay.from_estimator(tree, ax=row[1])
    row[1].set(yscale="log", ylim=(0.2, 100.0))
    print(f"{n_clusters}: {np.bincount(tree.labels_ + 1)[1:]}, none {(tree.labels_ < 0).sum()}")

# %%
# ``linkage_`` is in the format of SciPy, whose functions take it: here the number of parts that
# merges below some distances leave, small ones included.

for height in np.quantile(tree.distances_, [0.9, 0.97, 0.99, 0.999]):
    print(f"below {height:.3f}: {fcluster(tree.linkage_, height, 'distance').max()} parts")

# %%
# ``condensed_tree_`` has the clusters alone, with the columns of hdbscan's. ``lambda_val`` is one
# over the distance at which a part leaves the one above; these are the first.

condensed = tree.condensed_tree_
for row in condensed[condensed["child_size"] > 1][:6]:
    print(
        f"{row['child_size']:3d} samples leave cluster {row['parent']} at {row['lambda_val']:.2f}"
    )
plt.show()
