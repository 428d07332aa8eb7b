"""Riemannian k-means against k-means on the same codes, over several seeds.

python benchmarks/digits.py [n_seeds]
"""

import sys
import time

import numpy as np
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.metrics import adjusted_rand_score
from sklearn.pipeline import make_pipeline

from skriem import RiemannianKMeans, VAETransformer

X, y = load_digits(return_X_y=True)
rows = []
print("adjusted Rand index on the digits of scikit-learn, codes of dimension 2")
print(f"{'seed':>4} {'Riemannian':>11} {'KMeans':>7} {'KMeans, n_init=10':>18} {'seconds':>8}")
for seed in range(int(sys.argv[1]) if sys.argv[1:] else 5):
    started = time.perf_counter()
    pipeline = make_pipeline(
        VAETransformer(random_state=seed), RiemannianKMeans(n_clusters=10, random_state=seed)
    )
    labels = pipeline.fit_predict(X)
    seconds = time.perf_counter() - started
    codes = np.asarray(pipeline[0].transform(X))
    others = [
        KMeans(n_clusters=10, n_init=n, random_state=seed).fit_predict(codes) for n in (1, 10)
    ]
    scores = [adjusted_rand_score(y, found) for found in (labels, *others)]
    rows.append([*scores, seconds])
    print(
        f"{seed:4} {scores[0]:11.3f} {scores[1]:7.3f} {scores[2]:18.3f} {seconds:8.1f}", flush=True
    )
mean = np.mean(rows, axis=0)
print(f"mean {mean[0]:11.3f} {mean[1]:7.3f} {mean[2]:18.3f} {mean[3]:8.1f}")
