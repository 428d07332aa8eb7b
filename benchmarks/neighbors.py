"""One nearest neighbour by geodesic distance and by straight lines on the same codes of MNIST.

python benchmarks/neighbors.py [mnist.npz] [n_seeds]

2,000 images to learn from, 1,000 of the test images to classify, codes of dimension 2.
"""

import sys

import numpy as np
from _shared import load_mnist
from sklearn.neighbors import KNeighborsClassifier

from skriem import GeodesicDistance, RBFNoise, VAETransformer

SETTINGS = {
    "defaults": {},
    "n_neighbors=5, bandwidth=0.7": {"neighbors": 5, "noise": RBFNoise(bandwidth=0.7)},
}
N_TRAIN, N_TEST = 2000, 1000

path = sys.argv[1] if sys.argv[1:] else None
n_seeds = int(sys.argv[2]) if sys.argv[2:] else 5
parts = [load_mnist(path, part) for part in ("train", "test")]
print(f"{'':30} {'seed':>4} {'geodesic':>9} {'straight':>9}")
for name, parameters in SETTINGS.items():
    scores = []
    for seed in range(n_seeds):
        rng = np.random.default_rng(seed)
        (X, y), (T, t) = (
            (images[rows], labels[rows])
            for (images, labels), n in zip(parts, (N_TRAIN, N_TEST))
            for rows in [rng.choice(len(images), n, replace=False)]
        )
        vae = VAETransformer(n_components=2, random_state=seed, **parameters).fit(X)
        codes, queries = vae.transform(X), vae.transform(T)
        distance = GeodesicDistance(random_state=seed).fit(codes)
        geodesic = KNeighborsClassifier(1, metric="precomputed")
        geodesic.fit(distance.transform(codes), y)
        straight = KNeighborsClassifier(1).fit(codes, y)
        scores.append((geodesic.score(distance.transform(queries), t), straight.score(queries, t)))
        print("{:30} {:4} {:9.3f} {:9.3f}".format(name, seed, *scores[-1]), flush=True)
    print("{:30} {:>4} {:9.4f} {:9.4f}".format(name, "mean", *np.mean(scores, axis=0)), flush=True)
