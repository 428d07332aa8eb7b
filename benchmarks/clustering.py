"""Riemannian k-means with its defaults on batteries of clustering problems.

python benchmarks/clustering.py DIRECTORY [--seeds 3] [--only fcps graves]

DIRECTORY holds a folder of .npz files for each battery, with arrays X (n, d), y_all (r, n), the
reference labellings with 0 for noise, and n_clusters. Most of the sets are those of Gagolewski, *A
framework for benchmarking clustering algorithms*, SoftwareX 2022. As there, a method is told the
number of clusters of each reference labelling in turn, noise points are left out of the score, and
the best adjusted Rand index over the labellings counts. The last columns are stricter: one number
of clusters, that of the first labelling, compared with all labellings. Scores of further peers are
taken from DIRECTORY/reference_peers.csv (battery, set, method, ari), if it is there.
"""

import argparse
import csv
import time
import warnings
from itertools import combinations
from pathlib import Path

import numpy as np
from sklearn.cluster import HDBSCAN, AgglomerativeClustering, KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

from skriem import RiemannianKMeans

METHODS = {
    "skriem": lambda k, seed: RiemannianKMeans(k, random_state=seed),
    "KMeans": lambda k, seed: KMeans(k, n_init=10, random_state=seed),
    "mixture": lambda k, seed: GaussianMixture(k, n_init=10, random_state=seed),
    "HDBSCAN": lambda k, seed: HDBSCAN(copy=True),
    "Ward": lambda k, seed: AgglomerativeClustering(k),
}
# The same with every seed.
ONCE = {"HDBSCAN", "Ward"}
PEERS = "genie", "lumbermark"
REGRET = 0.05


def agreement(y, labels):
    return adjusted_rand_score(y[y > 0], labels[y > 0])


def run(method, X, y_all, n_clusters, seeds):
    """Scores by the battery's rule and by the strict one, stability, seconds of each fit."""
    best, strict, seconds, runs = [], [], [], []
    for seed in seeds:
        labels = {}
        for k in sorted({int(y.max()) for y in y_all} | {n_clusters}):
            started = time.perf_counter()
            labels[k] = METHODS[method](k, seed).fit_predict(X)
            seconds.append(time.perf_counter() - started)
        best.append(max(agreement(y, labels[int(y.max())]) for y in y_all))
        strict.append(max(agreement(y, labels[n_clusters]) for y in y_all))
        runs.append(labels[n_clusters])
    pairs = [adjusted_rand_score(a, b) for a, b in combinations(runs, 2)]
    return np.mean(best), np.mean(strict), np.mean(pairs) if pairs else 1.0, seconds


def read_peers(directory):
    """Scores of peers by battery, set and method."""
    path = directory / "reference_peers.csv"
    if not path.exists():
        return {}
    with path.open(newline="") as rows:
        return {
            (row["battery"], row["set"], row["method"]): float(row["ari"])
            for row in csv.DictReader(rows)
        }


def show(name, scores):
    print(f"{name:28}" + "".join(f"{value:11.3f}" for value in scores), flush=True)


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("directory", type=Path)
parser.add_argument("--seeds", type=int, default=3)
parser.add_argument("--only", nargs="*", help="batteries")
arguments = parser.parse_args()
warnings.filterwarnings("ignore")
peers = read_peers(arguments.directory)
columns = [*METHODS, *(PEERS if peers else ()), "stable", "seconds", "strict", "KMeans, s."]
print(f"{'set':28}" + "".join(f"{name:>11}" for name in columns), flush=True)
everything, times, regrets = [], [], []
for battery in sorted(path for path in arguments.directory.iterdir() if path.is_dir()):
    if arguments.only and battery.name not in arguments.only:
        continue
    table = []
    for file in sorted(battery.glob("*.npz")):
        with np.load(file) as data:
            X, y_all, n_clusters = data["X"], data["y_all"], int(data["n_clusters"])
        found = {
            name: run(name, X, y_all, n_clusters, range(1 if name in ONCE else arguments.seeds))
            for name in METHODS
        }
        _, strict, stability, seconds = found["skriem"]
        times.append(seconds)
        scores = [found[name][0] for name in METHODS]
        name = battery.name, file.stem
        if scores[0] < scores[1] - REGRET:
            regrets.append("/".join(name))
        if peers:
            scores += [peers.get((*name, peer), np.nan) for peer in PEERS]
        scores += [stability, np.median(seconds), strict, found["KMeans"][1]]
        table.append(scores)
        show("/".join(name), scores)
    show(f"{battery.name}, mean", np.nanmean(table, axis=0))
    everything += table
show("all, mean", np.nanmean(everything, axis=0))
print(f"more than {REGRET} below KMeans: {', '.join(regrets) or 'none'}")
print(f"seconds of all sets once {sum(map(sum, times)) / arguments.seeds:.0f}, ", end="")
print(f"longest fit {max(map(max, times)):.1f}")
