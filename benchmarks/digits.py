"""Riemannian k-means against k-means on the same codes and on pixels, over several seeds.

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
line = "{:4} {:11.3f} {:7.3f} {:18.3f} {:8.1f} | {:11.3f} {:7.3f} {:8.1f}"
print("adjusted Rand index on the digits of scikit-learn")
print(f"{'':4} {'codes of dimension 2':^46} | {'pixels':^28}")
print(
    f"{'seed':>4} {'Riemannian':>11} {'KMeans':>7} {'KMeans, n_init=10':>18} {'seconds':>8} | "
    f"{'Riemannian':>11} {'KMeans':>7} {'seconds':>8}"
)
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
    started = time.perf_counter()
    dropped_in = RiemannianKMeans(n_clusters=10, random_state=seed).fit_predict(X)
    more_seconds = time.perf_counter() - started
    on_pixels = KMeans(n_clusters=10, random_state=seed).fit_predict(X)
    scores = [adjusted_rand_score(y, found) for found in (labels, *others, dropped_in, on_pixels)]
    rows.append([*scores[:3], seconds, *scores[3:], more_seconds])
    print(line.format(seed, *rows[-1]), flush=True)
print(line.format("mean", *np.mean(rows, axis=0)))
