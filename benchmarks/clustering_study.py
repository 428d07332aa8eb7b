"""Which geometry clusters best: the controlled experiments behind the defaults.

python benchmarks/clustering_study.py DIRECTORY [--mnist mnist.npz] [--sections walls powers ...]

DIRECTORY is that of `clustering.py`. All clusterings are by the same k-means among points with 20
restarts, so that only the distances differ. doc/clustering.md discusses the tables.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
import torch
from _shared import load_mnist
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

from skriem import NeighborEncoder, RiemannianKMeans, VAETransformer
from skriem._neighbor import PLAIN_POWERS, feature_scale
from skriem._vae_parts import fit_precision, place_bumps
from skriem.geometry import NearestNeighborMetric, PullbackMetric, medoids
from skriem.geometry.decoder import DecoderEmbedding
from skriem.nn.network import LayeredNetwork, perceptron

MAX_POINTS, N_RUNS = 1000, 20
# On-data noise of an identity decoder, in units of the data's spread.
NOISE = 0.05


def read(directory, *batteries):
    for battery in batteries:
        for file in sorted((directory / battery).glob("*.npz")):
            with np.load(file) as data:
                yield battery, file.stem, data["X"], data["y_all"], int(data["n_clusters"])


def among_points(distances, n_clusters, seed=0):
    """Labels of k-means among points, from a table of distances."""
    rng, squares = np.random.RandomState(seed), distances**2
    weights = np.ones(len(squares))
    runs = (
        medoids.alternate(
            squares, medoids.seed_medoids(squares, n_clusters, weights, rng), weights, 100, 1e-4
        )
        for _ in range(N_RUNS)
    )
    rows = min(runs, key=lambda run: run.inertia[-1]).rows
    return squares[rows].argmin(0)


def best_score(y_all, labels_for):
    """Best adjusted Rand index over labellings, each with its own number of clusters."""
    found = {k: labels_for(k) for k in {int(y.max()) for y in y_all}}
    return max(agreement(y, found[int(y.max())]) for y in y_all)


def table_of_scores(points, y_all, k):
    """Scores of k-means, and of k-means among points for some powers of the metric."""
    labels = [KMeans(k, n_init=10, random_state=0).fit_predict(points)]
    for power in (1, 2, 3):
        labels.append(among_points(NearestNeighborMetric(points, power=power).pairwise(points), k))
    return [max(agreement(y, found) for y in y_all) for found in labels]


def agreement(y, labels):
    return adjusted_rand_score(y[y > 0], labels[y > 0])


def sample(n, size=MAX_POINTS):
    return np.sort(np.random.RandomState(0).permutation(n)[:size])


def walled(points, noise, bandwidth, contrast, n_centers):
    """Metric of an identity decoder with a precision network around its points."""
    n, d = points.shape
    z = torch.as_tensor(points)
    errors = torch.full((n, d), noise**2, dtype=torch.float64)
    ones = torch.ones(n, dtype=torch.float64)
    rng = np.random.RandomState(0)
    bumps = place_bumps(z, ones, n_centers, bandwidth, rng)
    precision = fit_precision(bumps, z, errors, ones, contrast)
    nothing = [np.zeros((1, d)), np.zeros(1), np.zeros((d, 1)), np.zeros(d)]
    identity = LayeredNetwork(perceptron([d, 1, d], "tanh"), [np.eye(d), np.zeros(d), *nothing])
    embedding = DecoderEmbedding(identity, np.zeros(d), 1.0, noise, precision)
    return PullbackMetric(embedding, d, points, tabulate=False)


def graph_table(metric):
    """Shortest paths through the metric's graph between its points."""
    n = len(metric.points)
    return metric.graph.distances[:n, :n]


def walls(directory, mnist):
    print("\nWalls of radial basis functions, identity decoder: adjusted Rand index")
    print(f"{'width a':>8}{'contrast c':>11}{'fcps':>8}{'graves':>8}")
    for bandwidth in (0.8, 1.0, 1.5):
        for contrast in (3, 30, 1000):
            means = {}
            for battery, _, X, y_all, _ in read(directory, "fcps", "graves"):
                rows = sample(len(X))
                points = X[rows] / feature_scale(X, np.ones(len(X)), False)
                points += 1e-9 * np.random.RandomState(0).standard_normal(points.shape)
                n_centers = min(200, len(X) // 8)
                table = graph_table(walled(points, NOISE, bandwidth, contrast, n_centers))
                score = best_score(y_all[:, rows], lambda k, t=table: among_points(t, k))
                means.setdefault(battery, []).append(score)
            line = "".join(f"{np.mean(scores):8.3f}" for scores in means.values())
            print(f"{bandwidth:8.1f}{contrast:11}{line}", flush=True)


def powers(directory, mnist):
    print("\nPower of the nearest-neighbour metric: adjusted Rand index")
    print(f"{'':14}{'fcps':>8}{'graves':>8}{'uci':>8}")
    options = [("straight, 1", 1.0), ("1.5", 1.5), *((f"{p:g}", p) for p in PLAIN_POWERS[1:])]
    for name, power in [*options, ("chosen", "auto")]:
        means = {}
        for battery, _, X, y_all, _ in read(directory, "fcps", "graves", "uci"):

            def cluster(k, X=X, power=power):
                encoder = NeighborEncoder(power=power)
                return RiemannianKMeans(k, metric=encoder, random_state=0).fit_predict(X)

            means.setdefault(battery, []).append(best_score(y_all, cluster))
        line = "".join(f"{np.mean(scores):8.3f}" for scores in means.values())
        print(f"{name:14}{line}", flush=True)


def encoders(directory, mnist):
    print("\nWhat is clustered: adjusted Rand index, mean over the eight sets of uci")
    print(f"{'':28}{'KMeans':>8}{'power 1':>9}{'2':>8}{'3':>8}")
    variants = {
        "data": None,
        "codes, 3": (3, 0, False),
        "decoded, 3": (3, 0, True),
        "codes of neighbours, 3": (3, 15, False),
        "neighbours decoded, 2": (2, 15, True),
        "neighbours decoded, 3": (3, 15, True),
        "neighbours decoded, 6": (6, 15, True),
    }
    for name, variant in variants.items():
        rows = []
        for _, _, X, y_all, k in read(directory, "uci"):
            x = np.unique(X, axis=0)
            x, y = X / feature_scale(x, np.ones(len(x)), "auto"), y_all
            points = x
            if variant is not None:
                n_components, n_neighbors, decode = variant
                vae = VAETransformer(
                    min(n_components, X.shape[1]),
                    n_neighbors=n_neighbors,
                    precision="constant",
                    random_state=0,
                ).fit(x)
                points = np.asarray(vae.transform(x))
                points = vae.inverse_transform(points) if decode else points
            points, first = np.unique(points, axis=0, return_index=True)
            kept = sample(len(points), 1500)
            points, y = points[kept], y[:, first[kept]]
            rows.append(table_of_scores(points, y, k))
        print(
            f"{name:28}" + "".join(f"{value:8.3f}" for value in np.mean(rows, axis=0)), flush=True
        )


def images(directory, mnist):
    X, y = load_mnist(mnist, "test")
    X = X.astype(np.float32)
    print("\nMNIST, 10,000 images, one seed: adjusted Rand index")
    print(f"{'codes of':42}{'KMeans':>8}{'GMM':>8}{'power 1':>9}{'2':>8}{'3':>8}")
    common = {
        "hidden_layer_sizes": (256, 128),
        "precision": "constant",
        "batch_size": 256,
        "learning_rate_init": 1.5e-3,
        "max_iter": 100,
        "random_state": 0,
    }
    rows = sample(len(X), 2000)
    for name, n_components, options in (
        ("an autoencoder", 10, {}),
        ("neighbours", 10, {"n_neighbors": 15}),
        ("neighbours with attraction, d = 5", 5, {"n_neighbors": 15, "attraction": 1.3}),
        ("neighbours with attraction, d = 10", 10, {"n_neighbors": 15, "attraction": 1.3}),
    ):
        vae = VAETransformer(n_components, **common, **options).fit(X)
        codes = np.asarray(vae.transform(X), dtype=np.float64)
        scores = [
            adjusted_rand_score(y, KMeans(10, n_init=10, random_state=0).fit_predict(codes)),
            adjusted_rand_score(
                y, GaussianMixture(10, n_init=3, random_state=0).fit_predict(codes)
            ),
        ]
        for power in (1, 2, 3):
            table = NearestNeighborMetric(codes, power=power).pairwise(codes[rows])
            scores.append(adjusted_rand_score(y[rows], among_points(table, 10)))
        print(f"{name:42}" + "".join(f"{value:8.3f}" for value in scores), flush=True)
        if options.get("attraction") and n_components == 5:
            continue
        for ambient, points in (
            ("  decoder's mean", vae.inverse_transform(codes)),
            ("  mixture's responsibilities, Fisher-Rao", None),
        ):
            if points is None:
                mixture = GaussianMixture(10, n_init=3, random_state=0).fit(codes)
                points = 2.0 * np.sqrt(mixture.predict_proba(codes))
            points = points[rows] + 1e-9 * np.random.RandomState(0).standard_normal(
                (len(rows), points.shape[1])
            )
            scores = table_of_scores(points, y[None, rows] + 1, 10)
            line = f"{scores[0]:8.3f}{'':8}" + "".join(f"{value:8.3f}" for value in scores[1:])
            print(f"{ambient:42}{line}", flush=True)
        some = codes[rows] / codes.std()
        for contrast in (30, 1000):
            metric = walled(some, NOISE, 0.8, contrast, 200)
            score = adjusted_rand_score(y[rows], among_points(graph_table(metric), 10))
            print(f"  walls, a = 0.8, c = {contrast:<20}{score:26.3f}", flush=True)


SECTIONS = {"walls": walls, "powers": powers, "encoders": encoders, "images": images}
parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("directory", type=Path)
parser.add_argument("--mnist")
parser.add_argument("--sections", nargs="*", default=list(SECTIONS), choices=list(SECTIONS))
arguments = parser.parse_args()
warnings.filterwarnings("ignore")
for section in arguments.sections:
    SECTIONS[section](arguments.directory, arguments.mnist)
