"""Clustering, densities and distances in the curved latent spaces of deep generative models.

The public names are imported when they are first used, so that ``import skriem`` does not
have to wait for torch.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import geometry, inspection
    from ._deep_regression import DeepRegressionTransformer
    from ._deep_regression_classifier import DeepRegressionClassifier
    from ._distance import GeodesicDistance
    from ._kmeans import RiemannianKMeans
    from ._linkage import RiemannianSingleLinkage
    from ._mixture_prior import MixturePrior
    from ._neighbor import NeighborEncoder
    from ._normal import RiemannianNormal
    from ._number_of_clusters import conductance_gap
    from ._silhouette import geodesic_silhouette
    from ._vae import VAETransformer
    from .geometry.brownian import brownian_motion

__version__ = "0.1.0"

_HOMES = {
    "DeepRegressionClassifier": "_deep_regression_classifier",
    "DeepRegressionTransformer": "_deep_regression",
    "GeodesicDistance": "_distance",
    "MixturePrior": "_mixture_prior",
    "NeighborEncoder": "_neighbor",
    "RiemannianKMeans": "_kmeans",
    "RiemannianNormal": "_normal",
    "RiemannianSingleLinkage": "_linkage",
    "VAETransformer": "_vae",
    "brownian_motion": "geometry.brownian",
    "conductance_gap": "_number_of_clusters",
    "geodesic_silhouette": "_silhouette",
}

_PACKAGES = "geometry", "inspection"

__all__ = [
    "DeepRegressionClassifier",
    "DeepRegressionTransformer",
    "GeodesicDistance",
    "MixturePrior",
    "NeighborEncoder",
    "RiemannianKMeans",
    "RiemannianNormal",
    "RiemannianSingleLinkage",
    "VAETransformer",
    "brownian_motion",
    "conductance_gap",
    "geodesic_silhouette",
    "geometry",
    "inspection",
]


# Type checkers would take any name for one of ours.
if not TYPE_CHECKING:

    def __getattr__(name):
        if name in _HOMES:
            value = getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
        elif name in _PACKAGES:
            value = importlib.import_module(f".{name}", __name__)
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value
        return value


def __dir__():
    return sorted({*globals(), *__all__})
