"""Metrics whose short directions are made shorter still, or left out."""

from __future__ import annotations

import hashlib
import math

import torch

from ..maps.tensor_field import NUMBERS_PER_ENTRY, TensorField
from .metric_field import MetricField
from .riemannian import RiemannianMetric


class RegularisedTensor(TensorField):
    """Metric tensors whose eigenvalues s are s^3 / (s^2 + strength), or 0 beyond the rank.

    Parameters
    ----------
    metric : RiemannianMetric
    strength : float
    rank : int
    """

    def __init__(self, metric, strength, rank):
        self._space = metric._space
        self._strength, self._rank = float(strength), int(rank)
        numbers = self._space.numbers_per_point(torch.zeros(1, metric.n_dims, dtype=torch.float64))
        self.numbers_per_point = NUMBERS_PER_ENTRY * metric.n_dims * numbers
        content = f"regularised {metric.fingerprint} {self._strength!r} {self._rank}"
        self.fingerprint = hashlib.sha256(content.encode()).hexdigest()

    def __call__(self, z):
        tensor = self._space.differentiable_tensor(z)
        smooth = smoothed(tensor, self._strength)
        if self._rank == z.shape[1]:
            return smooth
        main = leading(tensor, self._rank)
        # Rounding must leave no eigenvalue below zero.
        eye = torch.eye(z.shape[1], dtype=z.dtype, device=z.device)
        size = torch.finfo(z.dtype).eps * tensor.detach().diagonal(dim1=1, dim2=2).sum(1)
        return main @ smooth @ main + z.shape[1] * size[:, None, None] * eye


def smoothed(tensor, strength):
    """The function s^3 / (s^2 + strength) of symmetric matrices, (n, d, d)."""
    if strength == 0.0:
        return tensor
    # The real part of s^2 / (s + i root(strength)): no eigenvectors, which have no derivatives
    # where eigenvalues meet, and no squared condition.
    eye = torch.eye(tensor.shape[1], dtype=tensor.dtype, device=tensor.device)
    shifted = tensor + 1j * math.sqrt(strength) * eye
    found = torch.linalg.solve_ex(shifted, (tensor @ tensor).to(shifted.dtype))[0].real
    return 0.5 * (found + found.mT)


def leading(tensor, rank):
    """Projections onto the eigenvectors of the largest eigenvalues, (n, d, d).

    Right up to second derivatives wherever the last eigenvalue kept is above the next, however
    the others meet; NaN where it is not.
    """
    values, vectors = torch.linalg.eigh(tensor.detach())
    n_left = tensor.shape[1] - rank
    # Diagonal, but its derivatives are not.
    inner = vectors.mT @ tensor @ vectors
    change = inner - torch.diag_embed(values)
    mixed = inner[:, :n_left, n_left:]
    gap = values[:, None, n_left:] - values[:, :n_left, None]
    # Moved vectors are the kept plus the others times a slope, which solves Riccati's equation:
    # slope * gap = mixed + low slope - slope high - slope mixed' slope. It is zero here; two
    # steps make its first and second derivatives right.
    slope = mixed / gap
    low, high = change[:, :n_left, :n_left], change[:, n_left:, n_left:]
    slope = (mixed + low @ slope - slope @ high) / gap
    basis = vectors[:, :, n_left:] + vectors[:, :, :n_left] @ slope
    # The inverse of I + slope' slope, to the same order.
    return basis @ basis.mT - basis @ (slope.mT @ slope) @ basis.mT


def regularised_metric(
    metric: RiemannianMetric, strength: float, rank: int | None = None
) -> MetricField:
    """A metric with its shorter directions shortened or left out.

    The tensor's eigenvalues s become s^3 / (s^2 + strength): those far above the root of
    `strength` stay, those far below nearly vanish, so that lengths count what the data do along
    their main directions.

    Parameters
    ----------
    metric : RiemannianMetric
    strength : float
        Square of the eigenvalue that is halved, non-negative. 0 changes nothing.
    rank : int, default=None
        How many of the largest eigenvalues are kept; the others become 0. None keeps all.

    Returns
    -------
    MetricField
        With the points of `metric`, and lengths in the same unit, never longer.

    Raises
    ------
    TypeError
        If `metric` is no metric.
    ValueError
        If `strength` is negative or not finite, or `rank` is not between 1 and the number of
        dimensions.

    Notes
    -----
    With a lower rank, directions that are left out have no length but what rounding leaves, and
    tangent vectors no exponential map. That is sound for linear maps. Where these directions turn
    from point to point, curves can follow them to where a step is cheap: shortest curves need
    not exist, solving takes long, and the status of many says that they are not resolved. Keep
    all and raise `strength` instead. Where the last eigenvalue kept equals the next, there is
    nothing to choose between them: the metric is NaN.

    References
    ----------
    Chen, Klushyn, Kurle, Jiang, Bayer and van der Smagt, *Metrics for deep generative models*,
    AISTATS 2018, section on smoothing.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from skriem.geometry import PullbackMetric, regularised_metric
    >>> stretched = PullbackMetric(lambda z: z * torch.tensor([3.0, 0.1]).to(z), n_dims=2)
    >>> regularised_metric(stretched, strength=1.0).tensor(np.zeros((1, 2))).round(3)
    array([[[8.89, 0.  ],
            [0.  , 0.  ]]])
    """
    if not isinstance(metric, RiemannianMetric):
        raise TypeError(f"metric must be a RiemannianMetric of skriem.geometry, got {metric!r}.")
    if not (math.isfinite(strength) and strength >= 0):
        raise ValueError(f"strength must be a non-negative number, got {strength}.")
    n_dims = metric.n_dims
    rank = n_dims if rank is None else rank
    if not 1 <= rank <= n_dims:
        raise ValueError(f"rank must be between 1 and {n_dims}, got {rank}.")
    # A table needs a tensor that can be inverted.
    tabulate = metric._tabulate and rank == n_dims
    tensors = RegularisedTensor(metric, strength, rank)
    return MetricField(tensors, n_dims, metric.points, tabulate)
