"""
Causes that are there or not
============================

A deep regression Bayesian network explains data by layers of zeros and ones: every pixel is a
logistic regression on the units of the first layer, every unit one on those of the next. What
pixels that were flipped or are missing should have been is what the units expect that the others
name.
"""

# %%
# Black and white images of the digits that come with scikit-learn.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skriem import DeepRegressionTransformer

X = (load_digits().data > 7).astype(float)
network = DeepRegressionTransformer(
    (48, 16), likelihood="bernoulli", max_iter=25, random_state=0
).fit(X[:1000])

# %%
# New images with a fifth of the pixels flipped, or with a square that is missing, are restored: the
# mean over draws of the units given what is left. Below, images that are drawn from the network:
# units from the top down, and the probabilities of the pixels.

rng = np.random.default_rng(0)
clean = X[1000:1100]
flipped = np.abs(clean - (rng.random(clean.shape) < 0.2))
missing = np.zeros((8, 8), dtype=bool)
missing[2:5, 2:5] = True
missing = missing.ravel()
covered = np.where(missing, np.nan, clean)
restored, filled = network.restore(flipped, flip_rate=0.2), network.restore(covered)
rows = {
    "new image": clean,
    "a fifth flipped": flipped,
    "restored": restored,
    "a square missing": covered,
    "restored ": filled,
    "drawn": network.sample(10, noise=False, random_state=0),
}
colors = plt.get_cmap("gray_r").with_extremes(bad="tab:blue")
figure, axes = plt.subplots(len(rows), 10, figsize=(8.0, 5.2), layout="constrained")
for (name, images), line in zip(rows.items(), axes):
    line[0].set_ylabel(name, rotation=0, ha="right", va="center")
    for image, ax in zip(images, line):
        ax.imshow(image.reshape(8, 8), cmap=colors, vmin=0.0, vmax=1.0)
        ax.set(xticks=[], yticks=[])
wrong = (restored > 0.5) != clean
print(f"flipped: {np.mean(flipped != clean):.1%} of the pixels wrong, then {wrong.mean():.1%}")
usual = X[:1000].mean(axis=0) > 0.5
wrong = [((image > 0.5) != clean)[:, missing].mean() for image in (usual, filled)]
print("in the square: {:.1%} wrong with what is usual there, {:.1%} restored".format(*wrong))

# %%
# What the units of the first layer do to the logits of the pixels: red makes a pixel more
# probable, blue less.

weights = network.coefs_[0].T
strongest = np.abs(weights).sum(axis=1).argsort()[::-1][:20]
figure, axes = plt.subplots(2, 10, figsize=(8.0, 1.8))
for unit, ax in zip(strongest, axes.flat):
    ax.imshow(weights[unit].reshape(8, 8), cmap="RdBu_r", vmin=-4.0, vmax=4.0)
    ax.set(xticks=[], yticks=[])
plt.show()
