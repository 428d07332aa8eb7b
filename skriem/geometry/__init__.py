"""Riemannian geometry: metrics, geodesics, maps and means on torch tensors."""

from .maps.ensemble import EnsembleEmbedding, ensemble_energy
from .metrics.ambient import ambient_metric
from .metrics.base import ConvergenceWarning, Metric
from .metrics.conformal import conformal_metric
from .metrics.location_scale import location_scale_metric, student_t_weights
from .metrics.metric_field import MetricField, local_metric
from .metrics.nearest import NearestNeighborMetric
from .metrics.pullback import PullbackMetric
from .metrics.regularised import regularised_metric
from .metrics.riemannian import RiemannianMetric
from .solvers.solution import Geodesics, Status

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
