"""
A table of mixed columns, with gaps
===================================

An autoencoder takes a data frame with amounts, counts, names and booleans of which every fifth
entry is missing: it fills them in, and its codes have clusters.
"""

# %%
# Trips of a made-up bicycle hire: three kinds of people, who do not say which they are.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_rand_score

from skriem import RiemannianKMeans, VAETransformer
from skriem.inspection import InteractiveDisplay, LatentSpaceDisplay

rng = np.random.default_rng(0)
kind = rng.choice(3, size=300, p=[0.4, 0.35, 0.25])
far = rng.normal([2.5, 9.0, 20.0], [0.7, 2.0, 4.0], size=(300, 3))[range(300), kind].clip(0.3)
minutes = far * rng.normal([5.0, 2.5, 5.0], 0.4, size=(300, 3))[range(300), kind]
bikes = np.array(["city", "electric", "touring"])
trips = pd.DataFrame(
    {
        "km": far.round(1),
        "minutes": minutes.round(),
        "stops": rng.poisson([0.3, 0.6, 4.0], size=(300, 3))[range(300), kind],
        "bicycle": pd.Categorical(
            np.where(rng.random(300) < 0.85, bikes[kind], rng.choice(bikes, 300))
        ),
        "day": np.where(rng.random(300) < np.array([0.9, 0.8, 0.2])[kind], "weekday", "weekend"),
        "member": rng.random(300) < np.array([0.8, 0.6, 0.1])[kind],
    }
)
gone = rng.random(trips.shape) < 0.2
seen = trips.convert_dtypes().mask(gone)
print(seen.head())

# %%
# Every column gets a likelihood of its own, and what is decoded has the types of the columns.

vae = VAETransformer(likelihood="auto", noise="constant", max_iter=80, random_state=0)
codes = vae.fit_transform(seen)
print(vae.inverse_transform(codes[:3]).round(1))

# %%
# What is missing is filled in by what is known of the same trip. Of numbers the picture has what
# was taken away and what was put in its place, of names how many are right.

filled = vae.impute(seen)
figure, axes = plt.subplots(1, 3, figsize=(12.5, 4.0), layout="constrained")
for column, ax in zip(["km", "minutes"], axes):
    at = gone[:, trips.columns.get_loc(column)]
    true, put, mean = trips[column][at], filled[column][at], seen[column].mean()
    ax.scatter(true, put, s=12, color="#3f90da", label="filled in")
    ax.axhline(mean, color="#94a4a2", linestyle="--", label="mean of the column")
    ax.axline((true.min(), true.min()), slope=1.0, color="black", linewidth=0.8, label="true")
    ax.set(xlabel=f"{column}, taken away", ylabel=f"{column}, filled in", aspect="equal")
    ax.legend(fontsize="small")
names = ["bicycle", "day", "member"]
ours, usual = [], []
for name in names:
    at = gone[:, trips.columns.get_loc(name)]
    ours.append((filled[name][at] == trips[name][at]).mean())
    usual.append((trips[name][at] == seen[name].mode()[0]).mean())
place = np.arange(3)
axes[2].bar(place - 0.2, ours, 0.4, color="#3f90da", label="filled in")
axes[2].bar(place + 0.2, usual, 0.4, color="#94a4a2", label="the most frequent")
axes[2].set_xticks(place, names)
axes[2].set(ylabel="share that is right", ylim=(0.0, 1.25))
axes[2].legend(fontsize="small", loc="upper right")

# %%
# Clusters by geodesic distance. The same comes out of ``RiemannianKMeans(3, metric=vae)``, fitted
# to the frame.

kmeans = RiemannianKMeans(3, random_state=0).fit(codes)
print(f"adjusted Rand index {adjusted_rand_score(kind, kmeans.labels_):.2f}")
LatentSpaceDisplay.from_estimator(kmeans, codes, n_geodesics=5)

# %%
# What a trip at the centre of each cluster looks like.

print(vae.inverse_transform(kmeans.cluster_centers_).round(1))

plt.show()

# %%
# In a browser, hovering over a point shows the trip. This needs bokeh, which comes with
# ``pip install skriem[interactive]``.

InteractiveDisplay.from_estimator(kmeans, codes, samples=seen)
