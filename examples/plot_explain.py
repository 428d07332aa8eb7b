"""
Why is this in that cluster?
============================

The distance from a sample to a centre is divided among the features that change on the way. Those
with much of the way to the next cluster and little of that to the own one are the reasons.
"""

# %%
# Wines of three cultivars, of which the labels are not used. Every panel is a cluster, with the
# features that tell it from the nearest other one.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits, load_wine

from skriem import RiemannianKMeans
from skriem.inspection import ContributionDisplay

wine = load_wine(as_frame=True)
kmeans = RiemannianKMeans(3, random_state=0).fit(wine.data)
figure, axes = plt.subplots(1, 3, figsize=(13.5, 4.8), layout="constrained")
for label, ax in enumerate(axes):
    mine = kmeans.labels_ == label
    cultivar = np.bincount(wine.target[mine]).argmax()
    ContributionDisplay.from_estimator(kmeans, wine.data[mine], n_features=6, ax=ax)
    ax.set_title(f"{mine.sum()} wines, most of cultivar {cultivar}", loc="left")

# %%
# One wine: contributions add up to its distances.

one = wine.data[:1]
own = kmeans.explain(one)[0]
print(f"distance to the own centre {own.sum():.3f}, by transform {kmeans.transform(one).min():.3f}")
for k in np.argsort(-own)[:3]:
    print(f"{wine.feature_names[k]:30s} {own[k]:.3f}")

# %%
# Images. What keeps an image from being in the next cluster? Brighter pixels
# contribute more to the way to the nearest other centre.

X = load_digits().data
digits = RiemannianKMeans(10, random_state=0).fit(X)
shown = [np.flatnonzero(digits.labels_ == label)[0] for label in range(8)]
distances = digits.transform(X[shown])
distances[np.arange(8), digits.labels_[shown]] = np.inf
nearest = distances.argmin(1)
contributions = digits.explain(X[shown], nearest)
figure, axes = plt.subplots(3, 8, figsize=(11.0, 4.4), layout="constrained")
rows = zip(X[shown], X[digits.medoid_indices_[nearest]], contributions)
for column, images in zip(axes.T, rows):
    for ax, image, color in zip(column, images, ("gray_r", "gray_r", "inferno")):
        ax.imshow(image.reshape(8, 8), cmap=color)
        ax.set(xticks=[], yticks=[])
for ax, title in zip(axes[:, 0], ("sample", "nearest other centre", "contributions")):
    ax.set_ylabel(title, fontsize="small")
plt.show()
