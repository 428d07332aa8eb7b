"""Riemannian geometry: metrics, geodesics, maps and means on torch tensors."""

from .ambient import ambient_metric
from .conformal import conformal_metric
from .ensemble import EnsembleEmbedding, ensemble_energy
from .location_scale import location_scale_metric, student_t_weights
from .metric import ConvergenceWarning, Metric
from .metric_field import MetricField, local_metric
from .nearest import NearestNeighborMetric
from .pullback import PullbackMetric
from .regularised import regularised_metric
from .riemannian import RiemannianMetric
from .solution import Geodesics, Status

__all__ = [
    "ConvergenceWarning",
    "EnsembleEmbedding",
    "Geodesics",
    "Metric",
    "MetricField",
    "NearestNeighborMetric",
    "PullbackMetric",
    "RiemannianMetric",
    "Status",
    "ambient_metric",
    "conformal_metric",
    "ensemble_energy",
    "local_metric",
    "location_scale_metric",
    "regularised_metric",
    "student_t_weights",
]
