"""
How many clusters?
==================

The number of clusters can be chosen without labels: :func:`~skriem.geodesic_silhouette` tells how
much closer points are to their own cluster than to the next, by geodesic distance, and
:class:`~sklearn.model_selection.GridSearchCV` takes it as its ``scoring``.
"""

# %%
# Four groups: two rings, one in the other, a wide blob and a narrow one.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.cluster import KMeans
from sklearn.datasets import make_circles
from sklearn.metrics import silhouette_score
from sklearn.model_selection import GridSearchCV

from skriem import RiemannianKMeans, geodesic_silhouette

rng = np.random.default_rng(0)
rings = make_circles((320, 160), noise=0.05, factor=0.5, random_state=0)[0]
X = np.concatenate(
    [rings, rng.normal([2.2, 0.3], 0.25, (120, 2)), rng.normal([2.4, -1.0], 0.1, (80, 2))]
)
# Colours that stay apart for colour-blind readers.
COLORS = np.array(["#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300"])

# %%
# The search fits each number of clusters to parts of the points and scores it on the rest. This
# is a comparison, no proof: where few points make a long cluster, two halves of it can score as
# well as the whole.

numbers = range(2, 8)
search = GridSearchCV(
    RiemannianKMeans(random_state=0), {"n_clusters": numbers}, scoring=geodesic_silhouette, cv=3
).fit(X)
geodesic = search.cv_results_["mean_test_score"]
print(f"best along the data: {search.best_params_['n_clusters']} clusters")

# %%
# For comparison, ``KMeans`` and the silhouette by straight distances:

straight = [silhouette_score(X, KMeans(k, random_state=0).fit_predict(X)) for k in numbers]
print(f"best along straight lines: {numbers[int(np.argmax(straight))]} clusters")

figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.8), layout="constrained")
left.plot(numbers, geodesic, "o-", color="#bd1f01", label="RiemannianKMeans, geodesic")
left.plot(numbers, straight, "s--", color="#3f90da", label="KMeans, straight")
left.axvline(search.best_params_["n_clusters"], color="black", linewidth=0.8, linestyle=":")
left.set(xlabel="number of clusters", ylabel="silhouette", ylim=(0, 1))
left.legend(loc="lower right")
right.scatter(*X.T, s=7, c=COLORS[search.predict(X)])
right.scatter(
    *search.best_estimator_.cluster_centers_.T, s=160, marker="*", c="white", edgecolors="black"
)
right.set(title="the best of the search", xticks=[], yticks=[], aspect="equal")
plt.show()
