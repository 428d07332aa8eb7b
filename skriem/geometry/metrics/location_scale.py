"""The Fisher-Rao metric of likelihoods with a location and a scale for every feature."""

from __future__ import annotations

import hashlib
import math

import torch
from numpy.typing import ArrayLike

from ..types import TensorMap
from .ambient import ambient_metric
from .metric_field import MetricField


class FisherInformation:
    """Diagonal Fisher information of locations and standard deviations.

    Parameters
    ----------
    location_weight, scale_weight : float
        Information about the location and about the scale of a variable of unit scale.
    """

    def __init__(self, location_weight, scale_weight):
        self._weights = float(location_weight), float(scale_weight)
        self.fingerprint = hashlib.sha256(f"location-scale {self._weights!r}".encode()).hexdigest()

    def __call__(self, x):
        """Diagonals (n, 2 m) at locations and standard deviations (n, 2 m)."""
        if x.shape[1] % 2:
            raise ValueError(
                "embed must return as many standard deviations as locations, got "
                f"{x.shape[1]} columns."
            )
        precision = x.tensor_split(2, dim=1)[1].square().reciprocal()
        return torch.cat([weight * precision for weight in self._weights], dim=1)


def student_t_weights(df: float) -> tuple[float, float]:
    """Weights of :func:`location_scale_metric` for Student's t distributions.

    Parameters
    ----------
    df : float
        Degrees of freedom, positive. Towards infinity the weights become those of Gaussians.

    Returns
    -------
    location_weight : float
        (df + 1) / (df + 3).
    scale_weight : float
        2 df / (df + 3).

    Raises
    ------
    ValueError
        If `df` is not positive.

    References
    ----------
    Lange, Little and Taylor, *Robust statistical modeling using the t distribution*, Journal of
    the American Statistical Association 1989.

    Examples
    --------
    >>> from skriem.geometry import student_t_weights
    >>> student_t_weights(1.0)  # Cauchy
    (0.5, 0.5)
    """
    if not (math.isfinite(df) and df > 0):
        raise ValueError(f"df must be positive, got {df}.")
    return (df + 1.0) / (df + 3.0), 2.0 * df / (df + 3.0)


def location_scale_metric(
    embed: TensorMap,
    n_dims: int,
    location_weight: float = 1.0,
    scale_weight: float = 2.0,
    points: ArrayLike | None = None,
) -> MetricField:
    """The Fisher-Rao metric of a decoder with a location and a scale for every feature.

    M(z) = J_mu diag(a / sigma^2) J_mu' + J_sigma diag(b / sigma^2) J_sigma': how well nearby
    codes can be told apart by what is drawn from them. Features are independent given the code.

    Parameters
    ----------
    embed : callable
        Differentiable torch function from (n, n_dims) to (n, 2 m), each row on its own: m
        locations, then m standard deviations (or other scales), positive. A
        ``torch.nn.Module`` is copied and put into evaluation mode.
    n_dims : int
        Number of coordinates.
    location_weight, scale_weight : float, default=1.0, 2.0
        Information a about the location and b about the scale in a variable of unit scale. The
        defaults are a Gaussian's; :func:`student_t_weights` has those of heavier tails.
    points : array-like of shape (n_points, n_dims), default=None
        Points where the metric is meant to be used; see :class:`PullbackMetric`.

    Returns
    -------
    MetricField
        Lengths have no unit: they do not change with that of any feature.

    Raises
    ------
    TypeError
        If `embed` is no function.
    ValueError
        If `embed` returns an odd number of columns, a weight is negative or both are zero, or
        `n_dims` or `points` are not valid; see :class:`MetricField`.

    See Also
    --------
    ambient_metric : Any other metric in the space of the data or of the parameters.

    References
    ----------
    Arvanitidis, González-Duque, Pouplin, Kalatzis and Hauberg, *Pulling back information
    geometry*, AISTATS 2022.

    Examples
    --------
    A Gaussian with mean z1 and standard deviation z2:

    >>> import numpy as np
    >>> from skriem.geometry import location_scale_metric
    >>> metric = location_scale_metric(lambda z: z, n_dims=2)
    >>> a, b = np.array([[0.0, 1.0]]), np.array([[0.0, np.e]])
    >>> metric.distance(a, b).round(3)  # the root of 2
    array([1.414])
    """
    weights = location_weight, scale_weight
    if not (all(math.isfinite(w) and w >= 0 for w in weights) and any(weights)):
        raise ValueError(f"Weights must be non-negative and not both zero, got {weights}.")
    return ambient_metric(embed, FisherInformation(*weights), n_dims, points)
