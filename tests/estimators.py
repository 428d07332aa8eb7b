"""All estimators, each small, with what they can be asked: for what holds of every one."""

import pickle

import numpy as np
import torch

from skriem import (
    DeepRegressionTransformer,
    DynamicsPrior,
    GeodesicDistance,
    MixturePrior,
    Modules,
    NeighborEncoder,
    RiemannianKMeans,
    RiemannianNormal,
    RiemannianSingleLinkage,
    VAETransformer,
)
from skriem.geometry import PullbackMetric


def wavy(z):
    return torch.cat([z, torch.sin(2.0 * z).sum(1, keepdim=True)], dim=1)


def slope(z):
    return z @ z.new_tensor([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5]])


def hill(z):
    return torch.eye(2, dtype=z.dtype) * (1.0 + z[:, :1].square())[..., None]


def coder(n_inputs, n_outputs):
    return torch.nn.Sequential(
        torch.nn.Linear(n_inputs, 8),
        torch.nn.Tanh(),
        torch.nn.Dropout(0.1),
        torch.nn.Linear(8, n_outputs),
    )


def little(**parameters):
    defaults = {"network": (8,), "max_iter": 3, "noise": "constant"}
    return VAETransformer(random_state=0, **{**defaults, **parameters})


ESTIMATORS = {
    "autoencoder": little(flatness=0.1),
    "modules": little(max_iter=2, network=Modules(encoder=coder, decoder=coder)),
    "groups": little(prior=MixturePrior(3, component="student_t")),
    "columns": little(likelihood={0: "student_t", 1: "auto"}),
    "sequences": little(prior=DynamicsPrior(3)),
    "units": DeepRegressionTransformer((4, 2), max_iter=3, random_state=0),
    "neighbors": NeighborEncoder(random_state=0),
    "clusters": RiemannianKMeans(2, random_state=0),
    "clusters of points": RiemannianKMeans(3, metric=PullbackMetric(wavy, 2), random_state=0),
    "clusters of codes": RiemannianKMeans(2, metric=little(), random_state=0),
    "clusters of columns": RiemannianKMeans(
        2, metric=little(likelihood={0: "student_t", 1: "auto"}), random_state=0
    ),
    "clusters among points": RiemannianKMeans(
        2, metric=NeighborEncoder(random_state=0), random_state=0
    ),
    "tree": RiemannianSingleLinkage(2, min_cluster_size=3, random_state=0),
    "tree of points": RiemannianSingleLinkage(
        2, metric=PullbackMetric(slope, 2), min_samples=2, random_state=0
    ),
    "density": RiemannianNormal(1, metric=PullbackMetric(slope, 2), max_iter=1, random_state=0),
    "distances": GeodesicDistance(PullbackMetric(slope, 2), method="graph", random_state=0),
    "distances over waves": GeodesicDistance(
        PullbackMetric(wavy, 2), method="graph", random_state=0
    ),
}
METHODS = (
    "transform",
    "predict",
    "predict_proba",
    "score_samples",
    "explain",
    "score",
    "bic",
    "inverse_transform",
    "sample",
)


def new(name):
    """An estimator that nothing is known of, metric included."""
    return pickle.loads(pickle.dumps(ESTIMATORS[name]))


def table(seed=0, n=16, factor=1.0):
    """Two groups of points in the plane."""
    rng = np.random.default_rng(seed)
    return factor * (0.3 * rng.normal(size=(n, 2)) + np.arange(n)[:, None] % 2)


OTHER = table(seed=1, n=20, factor=2.0)


def look(estimator, X, methods=METHODS):
    """All that a fitted estimator says of some rows, by method, arrays."""
    found = {}
    for method in methods:
        if not hasattr(estimator, method):
            continue
        options = {"random_state": 0} if method == "sample" else {}
        of = 3 if method == "sample" else np.asarray(X)
        answer = getattr(estimator, method)(of, **options)
        found[method] = np.asarray(answer[0] if isinstance(answer, tuple) else answer)
    return found
