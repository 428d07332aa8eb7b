"""Riemannian geometry of embedded spaces: metrics, geodesics and means on torch tensors."""

from .metric import PullbackMetric
from .solution import Geodesics, Status

__all__ = ["Geodesics", "PullbackMetric", "Status"]
