"""
Causes that are there or not
============================

A deep regression Bayesian network explains data by layers of zeros and ones: every pixel is a
logistic regression on the units of the first layer, every unit one on those of the next. What the
units do not explain, such as pixels that were flipped, they leave out.
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
# New images with a fifth of the pixels flipped, and with a black square, are restored from the
# most probable units. Below, images that are drawn from the network: units from the top down, and
# the probabilities of the pixels.

rng = np.random.default_rng(0)
clean = X[1000:1010]
flipped = np.abs(clean - (rng.random(clean.shape) < 0.2))
covered = clean.reshape(-1, 8, 8).copy()
covered[:, 2:5, 2:5] = 0.0
covered = covered.reshape(clean.shape)
rows = {
    "new image": clean,
    "a fifth flipped": flipped,
    "restored": network.reconstruct(flipped),
    "covered": covered,
    "restored ": network.reconstruct(covered),
    "drawn": network.sample(10, noise=False, random_state=0),
}
figure, axes = plt.subplots(len(rows), 10, figsize=(8.0, 5.2))
for (name, images), line in zip(rows.items(), axes):
    line[0].set_ylabel(name, rotation=0, ha="right", va="center")
    for image, ax in zip(images, line):
        ax.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0.0, vmax=1.0)
        ax.set(xticks=[], yticks=[])
for name, images in (("flipped", flipped), ("covered", covered)):
    wrong = (network.reconstruct(images) > 0.5) != clean
    print(f"{name}: {np.mean(images != clean):.1%} of the pixels wrong, then {wrong.mean():.1%}")

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
