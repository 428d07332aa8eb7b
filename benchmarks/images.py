"""Ten clusters of MNIST images, without labels.

python benchmarks/images.py [--mnist mnist.npz] [--part test] [--seeds 3] [--methods ours umap]

`--part test` takes the 10,000 test images, `train` the 60,000 others, `all` the 70,000. All see the
pixels; "told of images" knows that they are images. The rows "on its codes" see what
RiemannianKMeans made of them. Every method runs in a process of its own, for its own peak of
memory. Seconds are of the processor, which others on the same machine lengthen less than those of
the clock, and those of UMAP, EVoC and N2D contain some 30 in which their code is compiled.

UMAP needs the package umap-learn and EVoC the package evoc. Of the layers of EVoC that with the
number of clusters nearest to ten counts, and what it calls noise belongs to the cluster of the
nearest image. N2D (McConville, Santos-Rodriguez, Piechocki and Craddock, *N2D: (not too) deep
clustering via clustering the local manifold of an autoencoded embedding*, ICPR 2021) is an
autoencoder with ten codes, UMAP of these to ten dimensions with the settings published, and a
mixture of normal distributions. The paper has 500-500-2000 units and 1,000 passes, which would take
15 hours here; this has 500-250 units and `--passes`.
"""

import argparse
import time
import warnings

import numpy as np
import torch
from _shared import alone, load_mnist, peak_megabytes
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from sklearn.metrics.cluster import contingency_matrix
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KNeighborsClassifier

from skriem import NeighborEncoder, RiemannianKMeans

K = 10
UNITS, N_CODES, BATCH = (500, 250), 10, 256


def pixels(X, seed, passes):
    yield "KMeans on pixels", KMeans(K, random_state=seed).fit_predict(X)


def umap(X, seed, passes):
    from umap import UMAP

    placed = UMAP(random_state=seed, n_jobs=1).fit_transform(X)
    yield "UMAP", None
    yield "UMAP + KMeans", KMeans(K, random_state=seed).fit_predict(placed)
    yield "UMAP + GaussianMixture", GaussianMixture(K, random_state=seed).fit_predict(placed)


def evoc(X, seed, passes):
    from evoc import EVoC

    layers = EVoC(random_state=seed).fit(X).cluster_layers_
    labels = min(layers, key=lambda layer: abs(layer.max() + 1 - K)).copy()
    known = labels >= 0
    if not known.all():
        nearest = KNeighborsClassifier(1).fit(X[known], labels[known])
        labels[~known] = nearest.predict(X[~known])
    yield "EVoC", labels


def n2d(X, seed, passes):
    from umap import UMAP

    codes = autoencoded(X, seed, passes)
    yield f"N2D: autoencoder, {passes} passes", None
    placed = UMAP(
        n_neighbors=20, min_dist=0.0, n_components=K, random_state=seed, n_jobs=1
    ).fit_transform(codes)
    yield "N2D", GaussianMixture(K, random_state=seed).fit_predict(placed)


def autoencoded(X, seed, passes):
    """Codes of an autoencoder with squared errors, trained by Adam."""
    torch.manual_seed(seed)
    sizes = X.shape[1], *UNITS
    there = [(torch.nn.Linear(a, b), torch.nn.ReLU()) for a, b in zip(sizes, sizes[1:])]
    back = [(torch.nn.ReLU(), torch.nn.Linear(b, a)) for a, b in zip(sizes, sizes[1:])]
    encoder = torch.nn.Sequential(*sum(there, ()), torch.nn.Linear(sizes[-1], N_CODES))
    decoder = torch.nn.Sequential(torch.nn.Linear(N_CODES, sizes[-1]), *sum(back[::-1], ()))
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()])
    x = torch.as_tensor(X)
    for _ in range(passes):
        for rows in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad()
            (decoder(encoder(x[rows])) - x[rows]).square().mean().backward()
            optimizer.step()
    with torch.no_grad():
        return encoder(x).numpy()


def told(X, seed, passes):
    encoder = NeighborEncoder(image_shape=(28, 28))
    model = RiemannianKMeans(K, metric=encoder, random_state=seed)
    yield "RiemannianKMeans, told of images", model.fit_predict(X)


def ours(X, seed, passes):
    model = RiemannianKMeans(K, random_state=seed)
    yield "RiemannianKMeans", model.fit_predict(X)
    if model.encoder_.encoder_ is None:
        return
    codes = np.asarray(model.encoder_.transform(X), dtype=np.float64)
    yield "(encoding once more)", None
    straight = KMeans(K, n_init=10, random_state=seed)
    yield "KMeans(n_init=10) on its codes", straight.fit_predict(codes)
    mixture = GaussianMixture(K, n_init=10, random_state=seed)
    yield "GaussianMixture(n_init=10) on its codes", mixture.fit_predict(codes)


METHODS = {method.__name__: method for method in (pixels, umap, evoc, n2d, ours, told)}
# What has been made before labels are found, which takes its time for each of them.
SHARED = ("UMAP", "N2D")


def images(mnist, part):
    parts = ["train", "test"] if part == "all" else [part]
    X, y = map(np.concatenate, zip(*(load_mnist(mnist, part) for part in parts)))
    return X.astype(np.float32), y


def scores(y, labels):
    """Adjusted Rand index, normalised mutual information, accuracy of the best matching."""
    table = contingency_matrix(y, labels)
    matched = table[linear_sum_assignment(-table)].sum() / len(y)
    return adjusted_rand_score(y, labels), normalized_mutual_info_score(y, labels), matched


def measure(method, mnist, part, seed, passes):
    """Names, scores, seconds and the peak in megabytes so far of everything a method finds."""
    warnings.filterwarnings("ignore")
    X, y = images(mnist, part)
    found, shared, started = [], 0.0, time.process_time()
    for name, labels in METHODS[method](X, seed, passes):
        seconds = time.process_time() - started
        if labels is None:
            shared = seconds if name.startswith(SHARED) else 0.0
        else:
            found.append((name, [*scores(y, labels), shared + seconds, peak_megabytes()]))
        started = time.process_time()
    return found


def line(name, values):
    return (
        f"{name:42}"
        + "".join(f"{v:8.3f}" for v in values[:3])
        + "{:9.1f}{:9.0f}".format(*values[3:])
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mnist")
    parser.add_argument("--part", choices=["test", "train", "all"], default="test")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--passes", type=int, default=20, help="of the autoencoder of N2D")
    arguments = parser.parse_args()
    found = {}
    print(f"seed {'':42}{'ARI':>8}{'NMI':>8}{'matched':>8}{'seconds':>9}{'peak MB':>9}")
    for seed in range(arguments.seeds):
        for method in arguments.methods:
            run = method, arguments.mnist, arguments.part, seed, arguments.passes
            try:
                rows = alone(measure, *run)
            except ImportError as error:
                print(f"     {method} is left out: {error}")
                continue
            for name, row in rows:
                found.setdefault(name, []).append(row)
                print(f"{seed:4} {line(name, row)}", flush=True)
    print("\nmean")
    for name, rows in found.items():
        print(f"     {line(name, np.mean(rows, axis=0))}")


if __name__ == "__main__":
    main()
