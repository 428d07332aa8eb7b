"""
Analogies and means on curved codes
===================================

This thin digit is to that bold one as another thin digit is to what? On flat codes the
answer is a parallelogram, c + (b - a). On the curved surface that a decoder makes, the change is
carried along a geodesic instead. Shao, Kumar and Fletcher (*The Riemannian geometry of deep
generative models*, CVPR workshops 2018) asked how much that matters, and found: little.
"""

# %%
# They measure with the mean image alone, without its noise: ``precision="constant"``. Ten latent
# coordinates are enough for most digits to stay what they are.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

from skriem import VAETransformer
from skriem.inspection import GeodesicDisplay

X, y = load_digits(return_X_y=True)
vae = VAETransformer(n_components=10, noise="constant", random_state=0).fit(X)
codes, metric, decode = np.asarray(vae.transform(X)), vae.metric_, vae.inverse_transform

# %%
# The change is boldness, the ink on the page. In every class we take the fifth of the images with
# the least ink, and of these the one closest to their mean code; then the same of the fifth with
# the most. So nothing is picked by eye.


def ink(images):
    return np.clip(images, 0.0, None).sum(1)


def most_typical(rows):
    return rows[np.square(codes[rows] - codes[rows].mean(0)).sum(1).argmin()]


thin, bold = [], []
for digit in range(10):
    rows = np.flatnonzero(y == digit)
    rows = rows[ink(X[rows]).argsort()]
    thin.append(most_typical(rows[: len(rows) // 5]))
    bold.append(most_typical(rows[-len(rows) // 5 :]))
thin, bold = np.array(thin), np.array(bold)

# %%
# a is to b as c is to what? Every digit lends its change to every other one, 90 times. The change
# is the velocity with which the geodesic from a to b begins. It is carried along the geodesic
# from a to c, and there the geodesic that it begins is followed to the answer.

lender, borrower = np.nonzero(~np.eye(10, dtype=bool))
a, b, c = codes[thin[lender]], codes[bold[lender]], codes[thin[borrower]]
change = metric.log(a, b)
ways = metric.geodesic(a, c)
answers = {
    "transport": metric.exp(c, metric.transport(ways, change)),
    "parallelogram": c + (b - a),
}

# %%
# Five of them: 0 lends to 1, 2 to 3 and so on. Both answers are bolder, and mostly alike. Both also
# carry over something of how the lender is written, and can lose the digit over it.

columns = {"a": a, "b": b, "c": c, **answers}
figure, axes = plt.subplots(5, 5, figsize=(6.4, 6.4), layout="constrained")
for row, digit in zip(axes, range(0, 10, 2)):
    k = np.flatnonzero((lender == digit) & (borrower == digit + 1))
    for ax, (name, of) in zip(row, columns.items()):
        ax.imshow(
            decode(of[k]).reshape(8, 8), cmap="gray_r", interpolation="bilinear", vmin=0, vmax=16
        )
        ax.set(xticks=[], yticks=[])
        if digit == 0:
            ax.set_title(name, fontsize=10)

# %%
# Over all 90: how much of the lender's gain in ink the borrower has made, how often it is still
# the digit that it was, and how long the change has become. The last is where the two differ for
# certain: transport keeps the size of a change, in which the parallelogram is off either way.

digit_of = KNeighborsClassifier().fit(decode(codes), y)
gain = ink(decode(b)) - ink(decode(a))
size = metric.distance(a, b)
for name, answer in answers.items():
    share = np.median((ink(decode(answer)) - ink(decode(c))) / gain)
    kept = (digit_of.predict(decode(answer)) == borrower).mean()
    low, high = np.quantile(metric.distance(c, answer) / size, [0.1, 0.9])
    print(f"{name}: {share:.0%} of the ink, digit kept {kept:.0%}, size {low:.2f} to {high:.2f}")
apart = np.linalg.norm(decode(answers["transport"]) - decode(answers["parallelogram"]), axis=1)
print(f"the two are {np.median(apart / size):.0%} of the change apart")

# %%
# Straight lines are not far from geodesics here either. This is the pair of the 90 where they are
# farthest.

t = np.linspace(0.0, 1.0, 65)
lines = a[:, None] + t[:, None] * (c - a)[:, None]
steps = np.diff(decode(lines.reshape(-1, 10)).reshape(90, 65, 64), axis=1)
excess = np.linalg.norm(steps, axis=2).sum(1) / ways.length - 1.0
print(f"straight lines are longer by {np.median(excess):.1%}, at most {excess.max():.1%}")
worst = excess.argmax()
display = GeodesicDisplay.from_estimator(
    vae, X[thin[lender[worst]]], X[thin[borrower[worst]]], n_frames=9
)

# %%
# The Fréchet mean of a class is the code with the least sum of squared geodesic distances to its
# images, where the mean of the codes has the least sum of squared coordinates.

members = [codes[y == digit][::8] for digit in range(10)]
means = {
    "Fréchet mean": np.array([metric.frechet_mean(Z, tol=1e-3) for Z in members]),
    "mean of codes": np.array([Z.mean(0) for Z in members]),
}
spread = {
    name: [np.square(metric.distance(np.tile(mean, (len(Z), 1)), Z)).mean() for mean, Z in pairs]
    for name, pairs in ((name, list(zip(of, members))) for name, of in means.items())
}
ratio = np.array(spread["mean of codes"]) / spread["Fréchet mean"] - 1.0
print(f"mean squared distances to the mean of codes are larger by {ratio.min():.2%}", end=" ")
print(f"to {ratio.max():.2%}")

figure, axes = plt.subplots(2, 10, figsize=(8.4, 2.1), layout="constrained")
for row, (name, of) in zip(axes, means.items()):
    for ax, image in zip(row, decode(of)):
        ax.imshow(image.reshape(8, 8), cmap="gray_r", interpolation="bilinear", vmin=0, vmax=16)
        ax.set(xticks=[], yticks=[])
    row[0].set_ylabel(name, fontsize=8)
plt.show()
