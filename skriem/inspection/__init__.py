"""Pictures of latent spaces, geodesics, densities, clusters and their trees. Needs matplotlib."""

from .contribution import ContributionDisplay
from .dendrogram import DendrogramDisplay
from .density import DensityDisplay
from .geodesic import GeodesicDisplay
from .interactive import InteractiveDisplay
from .latent_space import LatentSpaceDisplay

__all__ = [
    "ContributionDisplay",
    "DendrogramDisplay",
    "DensityDisplay",
    "GeodesicDisplay",
    "InteractiveDisplay",
    "LatentSpaceDisplay",
]
