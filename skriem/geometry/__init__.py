"""Riemannian geometry: metrics, geodesics, maps and means on torch tensors."""

from .metric import ConvergenceWarning, Metric
from .metric_field import MetricField, local_metric
from .nearest import NearestNeighborMetric
from .pullback import PullbackMetric
from .solution import Geodesics, Status

__all__ = [
    "ConvergenceWarning",
    "Geodesics",
    "Metric",
    "MetricField",
    "NearestNeighborMetric",
    "PullbackMetric",
    "Status",
    "local_metric",
]
