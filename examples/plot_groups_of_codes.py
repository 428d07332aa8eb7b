"""
Codes that come in groups
=========================

With a mixture for a prior an autoencoder bends the data until they are a few normal distributions,
and says which of them each row belongs to. The arms of a pinwheel are no normal distributions, but
codes of them can be.
"""

# %%
# Five arms, turned the more the further out.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import BayesianGaussianMixture

from skriem import MixturePrior, VAETransformer

rng, y = np.random.default_rng(0), np.repeat(np.arange(5), 100)
arms = rng.normal(size=(500, 2)) * [0.3, 0.05] + [1.0, 0.0]
angle = 2.0 * np.pi * y / 5.0 + 0.25 * np.exp(arms[:, 0])
turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
X = 10.0 * np.einsum("nj,jin->ni", arms, turn)

# %%
# Ten components are offered, with heavy tails, so that a row that is far out needs no component of
# its own; what is not needed gets a share near zero.

vae = VAETransformer(
    prior=MixturePrior(10, component="student_t"),
    noise="constant",
    learning_rate_init=1e-2,
    max_iter=150,
    random_state=0,
).fit(X)
flat = BayesianGaussianMixture(n_components=10, max_iter=500, random_state=0).fit(X)
labels = {"mixture of the data": flat.predict(X), "mixture of codes": vae.predict(X)}
print("shares of the codes' components:", vae.weights_.round(2))
for name, found in labels.items():
    print(f"{name}: adjusted Rand index {adjusted_rand_score(y, found):.2f}")

# %%
# Left and centre the data, with the labels of a mixture of normal distributions of the data, and of
# the codes. Right the codes, with ellipses two standard deviations around the components.

figure, axes = plt.subplots(1, 3, figsize=(9.5, 3.3), layout="constrained")
for ax, (name, found) in zip(axes, labels.items()):
    ax.scatter(*X.T, c=found, cmap="tab10", vmax=9, s=5)
    ax.set(title=name, aspect="equal", xticks=[], yticks=[])
axes[2].scatter(
    *np.asarray(vae.transform(X)).T, c=labels["mixture of codes"], cmap="tab10", vmax=9, s=5
)
circle = np.stack([np.cos(t := np.linspace(0.0, 2.0 * np.pi, 100)), np.sin(t)])
for k in np.flatnonzero(vae.weights_ > 0.02):
    ellipse = vae.means_[k][:, None] + 2.0 * np.linalg.cholesky(vae.covariances_[k]) @ circle
    axes[2].plot(*ellipse, color="black", linewidth=0.8)
axes[2].set(title="codes", aspect="equal", xticks=[], yticks=[])
plt.show()
