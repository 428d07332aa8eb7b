"""Clustering, densities and distances in the curved latent spaces of deep generative models.

The public names are imported when they are first used, so that ``import skriem`` does not
have to wait for torch.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import geometry, inspection
    from .decoders.metric import decoder_metric
    from .estimators.autoencoder.dynamics_prior import DynamicsPrior
    from .estimators.autoencoder.mixture_prior import MixturePrior
    from .estimators.autoencoder.neighbors import Neighbors
    from .estimators.autoencoder.networks import Convolutional, Modules, Perceptron
    from .estimators.autoencoder.noise import DecoderEnsemble, RBFNoise
    from .estimators.autoencoder.vae import VAETransformer
    from .estimators.deep_regression.classifier import DeepRegressionClassifier
    from .estimators.deep_regression.transformer import DeepRegressionTransformer
    from .estimators.distance import GeodesicDistance
    from .estimators.kmeans.kmeans import RiemannianKMeans
    from .estimators.kmeans.linkage import RiemannianSingleLinkage
    from .estimators.kmeans.number_of_clusters import conductance_gap
    from .estimators.neighbor_encoder import NeighborEncoder
    from .estimators.normal import RiemannianNormal
    from .estimators.silhouette import geodesic_silhouette
    from .geometry.models.brownian import brownian_motion

__version__ = "0.1.0"

_HOMES = {
    "Convolutional": "estimators.autoencoder.networks",
    "DecoderEnsemble": "estimators.autoencoder.noise",
    "DeepRegressionClassifier": "estimators.deep_regression.classifier",
    "DeepRegressionTransformer": "estimators.deep_regression.transformer",
    "DynamicsPrior": "estimators.autoencoder.dynamics_prior",
    "GeodesicDistance": "estimators.distance",
    "MixturePrior": "estimators.autoencoder.mixture_prior",
    "Modules": "estimators.autoencoder.networks",
    "NeighborEncoder": "estimators.neighbor_encoder",
    "Neighbors": "estimators.autoencoder.neighbors",
    "Perceptron": "estimators.autoencoder.networks",
    "RBFNoise": "estimators.autoencoder.noise",
    "RiemannianKMeans": "estimators.kmeans.kmeans",
    "RiemannianNormal": "estimators.normal",
    "RiemannianSingleLinkage": "estimators.kmeans.linkage",
    "VAETransformer": "estimators.autoencoder.vae",
    "brownian_motion": "geometry.models.brownian",
    "conductance_gap": "estimators.kmeans.number_of_clusters",
    "decoder_metric": "decoders.metric",
    "geodesic_silhouette": "estimators.silhouette",
}

_PACKAGES = "geometry", "inspection"

__all__ = [
    "Convolutional",
    "DecoderEnsemble",
    "DeepRegressionClassifier",
    "DeepRegressionTransformer",
    "DynamicsPrior",
    "GeodesicDistance",
    "MixturePrior",
    "Modules",
    "NeighborEncoder",
    "Neighbors",
    "Perceptron",
    "RBFNoise",
    "RiemannianKMeans",
    "RiemannianNormal",
    "RiemannianSingleLinkage",
    "VAETransformer",
    "brownian_motion",
    "conductance_gap",
    "decoder_metric",
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
