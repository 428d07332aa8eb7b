"""
Tables and texts as they are
============================

Data frames with categories and gaps, and sparse matrices of words, go into
:class:`~skriem.RiemannianKMeans` without anything before it.
"""

# %%
# Customers of a made-up shop: amounts in units far from each other, ways to pay, towns that say
# nothing, and every tenth entry missing.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import adjusted_rand_score

from skriem import RiemannianKMeans
from skriem.inspection import ContributionDisplay

rng = np.random.default_rng(0)
kind = rng.choice(3, size=400, p=[0.5, 0.3, 0.2])
pays = np.array(["cash", "card", "invoice"])
customers = pd.DataFrame(
    {
        "spent a year": np.exp(rng.normal([6.0, 7.5, 6.5], 0.4, size=(400, 3)))[range(400), kind],
        "visits": rng.poisson([30.0, 10.0, 4.0], size=(400, 3))[range(400), kind],
        "pays by": np.where(rng.random(400) < 0.8, pays[kind], rng.choice(pays, 400)),
        "member": rng.random(400) < np.array([0.7, 0.2, 0.1])[kind],
        "town": rng.choice(["north", "south", "east", "west"], 400),
        "since": np.datetime64("2015-01-01") + rng.integers(0, 3650, 400).astype("m8[D]"),
    }
)
customers = customers.mask(rng.random(customers.shape) < 0.1)
print(customers.head())

kmeans = RiemannianKMeans(3, random_state=0).fit(customers)
print(f"\nadjusted Rand index {adjusted_rand_score(kind, kmeans.labels_):.2f}")

figure, axes = plt.subplots(1, 3, figsize=(12.5, 4.2), layout="constrained")
for label, ax in enumerate(axes):
    mine = kmeans.labels_ == label
    ContributionDisplay.from_estimator(kmeans, customers[mine], ax=ax)
    ax.set_title(f"{mine.sum()} customers", loc="left")

# %%
# What the clusters have in common is said best by the samples at their centres.

print(customers.iloc[kmeans.medoid_indices_])

# %%
# Sentences about three subjects. The words that lead from one cluster to the next are those of
# either subject.

subjects = {
    "cooking": "boil bake fry salt pepper onion soup oven bread taste",
    "sailing": "wind sail harbour wave anchor deck rope storm crew compass",
    "tax": "income form deduct refund office deadline declare rate audit receipt",
}
shared = ["we", "you", "then", "always", "today", "first", "often", "maybe"]
texts, subject = [], rng.choice(list(subjects), size=300)
for name in subject:
    texts.append(" ".join([*rng.choice(subjects[name].split(), 4), *rng.choice(shared, 6)]))
words = TfidfVectorizer()
X = words.fit_transform(texts)
kmeans = RiemannianKMeans(3, random_state=0).fit(X)
print(f"{X.shape[0]} texts, adjusted Rand index {adjusted_rand_score(subject, kmeans.labels_):.2f}")
names = words.get_feature_names_out()
for label in range(3):
    to_others = kmeans.explain(X[kmeans.labels_ == label], (label + 1) % 3).mean(axis=0)
    print(f"from {label} to {(label + 1) % 3}:", ", ".join(names[to_others.argsort()[:-7:-1]]))
plt.show()
