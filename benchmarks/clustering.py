"""Riemannian k-means with its defaults on batteries of clustering problems.

python benchmarks/clustering.py DIRECTORY [--seeds 3] [--only fcps graves]

DIRECTORY holds a folder of .npz files for each battery, with arrays X (n, d), y_all (r, n),
the reference labellings with 0 for noise, and n_clusters. The sets are those of Gagolewski, *A
framework for benchmarking clustering algorithms*, SoftwareX 2022. As there, a method is told the
number of clusters of each reference labelling in turn, noise points are left out of the score,
and the best adjusted Rand index over the labellings counts; nan stands for a fit that was
stopped after two minutes. The last columns are stricter: one number of clusters, that of the
first labelling, compared with all labellings.
"""

import argparse
import signal
import time
import warnings
from itertools import combinations
from pathlib import Path

import numpy as np
from sklearn.cluster import HDBSCAN, AgglomerativeClustering, KMeans, SpectralClustering
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

from skriem import RiemannianKMeans

METHODS = {
    "skriem": lambda k, seed: RiemannianKMeans(k, random_state=seed),
    "KMeans": lambda k, seed: KMeans(k, random_state=seed),
    "GMM": lambda k, seed: GaussianMixture(k, random_state=seed),
    "spectral": lambda k, seed: SpectralClustering(k, random_state=seed),
    "HDBSCAN": lambda k, seed: HDBSCAN(copy=True),
    "Ward": lambda k, seed: AgglomerativeClustering(k),
}
# The same with every seed, or too slow to repeat.
ONCE = {"spectral", "HDBSCAN", "Ward"}
# The eigenvalues of spectral clustering may never be found where no feature is scaled.
LIMIT = 120


def agreement(y, labels):
    return adjusted_rand_score(y[y > 0], labels[y > 0])


def run(method, X, y_all, n_clusters, seeds):
    """Scores by the battery's rule and by the strict one, stability, seconds of each fit."""
    best, strict, seconds, runs = [], [], [], []
    for seed in seeds:
        labels = {}
        for k in sorted({int(y.max()) for y in y_all} | {n_clusters}):
            started = time.perf_counter()
            signal.alarm(LIMIT)
            try:
                labels[k] = METHODS[method](k, seed).fit_predict(X)
            except TimeoutError:
                return np.nan, np.nan, np.nan, [LIMIT]
            finally:
                signal.alarm(0)
            seconds.append(time.perf_counter() - started)
        best.append(max(agreement(y, labels[int(y.max())]) for y in y_all))
        strict.append(max(agreement(y, labels[n_clusters]) for y in y_all))
        runs.append(labels[n_clusters])
    pairs = [adjusted_rand_score(a, b) for a, b in combinations(runs, 2)]
    return np.mean(best), np.mean(strict), np.mean(pairs) if pairs else 1.0, seconds


def give_up(*_):
    raise TimeoutError


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("directory", type=Path)
parser.add_argument("--seeds", type=int, default=3)
parser.add_argument("--only", nargs="*", help="batteries")
arguments = parser.parse_args()
warnings.filterwarnings("ignore")
signal.signal(signal.SIGALRM, give_up)

print(f"{'set':24}" + "".join(f"{name:>9}" for name in METHODS), end="")
print(f"{'stable':>9}{'seconds':>9} | {'skriem':>7}{'KMeans':>7} strict", flush=True)
times, stabilities = [], []
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
        _, _, stability, seconds = found["skriem"]
        times.append(seconds)
        stabilities.append(stability)
        scores = [found[name][0] for name in METHODS]
        scores += [stability, np.median(seconds), found["skriem"][1], found["KMeans"][1]]
        table.append(scores)
        worse = " <" if scores[0] < scores[1] - 0.05 else ""
        line = "".join(f"{value:9.3f}" for value in scores[:-3])
        print(f"{battery.name + '/' + file.stem:24}{line}{scores[-3]:9.1f} | ", end="")
        print(f"{scores[-2]:7.3f}{scores[-1]:7.3f}{worse}", flush=True)
    mean = np.nanmean(table, axis=0)
    line = "".join(f"{value:9.3f}" for value in mean[:-3])
    print(f"{battery.name + ' mean':24}{line}{mean[-3]:9.1f} | {mean[-2]:7.3f}{mean[-1]:7.3f}\n")
print(f"median seconds per set {np.median([np.median(t) for t in times]):.1f}, ", end="")
print(f"longest fit {max(map(max, times)):.1f}; stability {np.mean(stabilities):.3f}")
