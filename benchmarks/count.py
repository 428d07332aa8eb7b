"""How many clusters: RiemannianKMeans(n_clusters="auto") on layouts whose number is known.

python benchmarks/count.py [--seeds 0 1 2]

Blobs in two to eight dimensions, moons, rings and mixtures of them, and single blobs and uniform
clouds, of which the answer is one; beside KMeans with the largest silhouette, which cannot say one.
"""

import argparse

import numpy as np
from _families import grid, row, shell
from sklearn.cluster import KMeans
from sklearn.datasets import make_circles, make_moons
from sklearn.metrics import silhouette_score

from skriem import RiemannianKMeans


def layouts(seed):
    """Names, data and numbers of clusters."""
    rng = np.random.default_rng(seed)
    for k in (2, 3, 4, 5, 7):
        d = int(rng.integers(2, 9)) if k < 4 else int(rng.integers(3, 9))
        yield f"{k} blobs in {d}", shell(d, k, 9.0, rng, turned=True)[0], k
    yield "9 blobs", grid(2, 3, 8.0, rng)[0], 9
    yield "row of 4", row(2, (0, 7, 20, 27), rng)[0], 4
    moons, _ = make_moons(400, noise=0.06, random_state=seed)
    rings, _ = make_circles(500, noise=0.04, factor=0.5, random_state=seed)
    blob = 0.15 * rng.normal(size=(150, 2))
    yield "moons", moons, 2
    yield "rings", rings, 2
    yield "moons and a blob", np.concatenate([moons, blob + [3.5, 0.3]]), 3
    yield "rings and a blob", np.concatenate([rings, blob + [2.5, 0.0]]), 3
    yield "4 moons", np.concatenate([moons, moons[::-1] + [5.0, 0.0]]), 4
    yield "rings, moons, blob", np.concatenate([rings, moons + [4.0, 0.0], blob + [0.0, 4.0]]), 5
    for d in (1, 3, 8):
        n = int(rng.choice([100, 300, 1000]))
        yield f"one blob in {d}", rng.normal(size=(n, d)), 1
        yield f"uniform in {d}", rng.uniform(size=(n, d)), 1


def by_silhouette(X):
    scores = {
        k: silhouette_score(X, KMeans(k, n_init=3, random_state=0).fit_predict(X))
        for k in range(2, 11)
    }
    return max(scores, key=scores.get)


def main():
    parser = argparse.ArgumentParser(description="How many clusters")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    right = {"several": [], "one": []}
    for seed in parser.parse_args().seeds:
        for name, X, k in layouts(seed):
            found = RiemannianKMeans("auto", random_state=seed).fit(X).n_clusters_
            theirs = by_silhouette(X)
            right["several" if k > 1 else "one"].append((found == k, theirs == k))
            if found != k:
                print(f"{name}, seed {seed}: {found}, not {k} (silhouette {theirs})", flush=True)
    for kind, answers in right.items():
        ours, theirs = np.sum(answers, axis=0)
        print(f"{kind}: {ours} of {len(answers)}, KMeans with its silhouette {theirs}")


if __name__ == "__main__":
    main()
