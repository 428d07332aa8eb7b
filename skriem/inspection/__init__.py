"""Pictures of latent spaces, geodesics, densities and trees of clusters. Needs matplotlib."""

from .dendrogram import DendrogramDisplay
from .density import DensityDisplay
from .geodesic import GeodesicDisplay
from .latent_space import LatentSpaceDisplay

__all__ = ["DendrogramDisplay", "DensityDisplay", "GeodesicDisplay", "LatentSpaceDisplay"]
