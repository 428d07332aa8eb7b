"""Pictures of latent spaces, their geodesics and the densities on them. Needs matplotlib."""

from .density import DensityDisplay
from .geodesic import GeodesicDisplay
from .latent_space import LatentSpaceDisplay

__all__ = ["DensityDisplay", "GeodesicDisplay", "LatentSpaceDisplay"]
