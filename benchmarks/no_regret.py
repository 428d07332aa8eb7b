"""The drop-in on families of problems where KMeans is right: how often it is worse.

python benchmarks/no_regret.py [--seeds 0 1 2]

Of every member of every family in _families.py the adjusted Rand index of RiemannianKMeans and of
KMeans with ten starts, defaults otherwise. Members that are more than 0.05 below are named.
"""

import argparse
import time

import numpy as np
from _families import FAMILIES
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from skriem import RiemannianKMeans

REGRET = 0.05
# One seed is enough of families as large as this.
LARGE = 10_000


def agreement(y, labels):
    """Adjusted Rand index of what is not noise."""
    return adjusted_rand_score(y[y >= 0], labels[y >= 0])


def main():
    parser = argparse.ArgumentParser(description="The drop-in where KMeans is right")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    seeds = parser.parse_args().seeds
    found, theirs, seconds, regrets = [], [], 0.0, 0
    for name, make in FAMILIES.items():
        for seed in seeds:
            X, y = make(np.random.default_rng(seed))
            n_clusters = len(set(y[y >= 0]))
            started = time.perf_counter()
            model = RiemannianKMeans(n_clusters, random_state=seed).fit(X)
            seconds += time.perf_counter() - started
            kmeans = KMeans(n_clusters, n_init=10, random_state=seed).fit(X)
            found.append(agreement(y, model.labels_))
            theirs.append(agreement(y, kmeans.labels_))
            if found[-1] < theirs[-1] - REGRET:
                regrets += 1
                line = f"{name}, seed {seed}: {found[-1]:.2f} against {theirs[-1]:.2f}"
                print(f"{line}, {model.partition_}", flush=True)
            if len(X) > LARGE:
                break
    print(f"{len(FAMILIES)} families, {len(found)} members, {regrets} more than {REGRET} below")
    print(f"mean {np.mean(found):.3f}, KMeans {np.mean(theirs):.3f}; {seconds:.0f} s")


if __name__ == "__main__":
    main()
