"""Metrics in the space of the data, pulled back through a map such as a decoder."""

from __future__ import annotations

import hashlib

import torch
from numpy.typing import ArrayLike

from ...calculus.slopes import along
from ..callers import warn
from ..containers import checked_points
from ..maps.tensor_field import NUMBERS_PER_ENTRY, TensorField
from ..maps.users import as_map, user_map
from ..types import TensorMap
from .metric_field import MetricField


class AmbientTensor(TensorField):
    """Metric tensors M(z) = J(z) G(g(z)) J(z)' of a map g and a cost G where it leads.

    Parameters
    ----------
    embed : Map
    cost : Map
        From (n, m) to factors (n,), diagonals (n, m) or matrices (n, m, m).
    n_dims : int
    """

    def __init__(self, embed, cost, n_dims):
        self._embed, self._cost = embed, cost
        value = embed(torch.zeros(1, n_dims, dtype=torch.float64))
        entries = n_dims * value.shape[1] + self._cost_at(value).numel()
        self.numbers_per_point = NUMBERS_PER_ENTRY * entries
        parts = [embed.fingerprint, cost.fingerprint]
        # What cannot be read is equal to itself only.
        self.fingerprint = (
            None if None in parts else hashlib.sha256(repr(parts).encode()).hexdigest()
        )

    def __call__(self, z):
        value, jacobian, _ = self._embed.linearise(z)
        return self._weighed(value, jacobian) @ jacobian.mT

    def form(self, z, v):
        """w' G w with one derivative w = v' J."""
        return self._by_output(z, v).sum(-1)

    def parts(self, z, v):
        """Those of each feature that outputs speak of, (n, m)."""
        return self._embed.by_feature(self._by_output(z, v))

    def _by_output(self, z, v):
        value, moved = along(self._embed, z, [v])
        return self._weighed(value, moved).squeeze(1) * moved.squeeze(1)

    def _weighed(self, value, rows):
        """Rows (n, k, m) times the cost at values (n, m)."""
        cost = self._cost_at(value)
        if cost.ndim == 3:
            return rows @ cost
        return rows * (cost[:, None] if cost.ndim == 2 else cost[:, None, None])

    def _cost_at(self, value):
        cost, (n, m) = self._cost(value), value.shape
        if cost.shape not in ((n,), (n, m), (n, m, m)):
            raise ValueError(
                f"cost must map {(n, m)} to {(n,)}, {(n, m)} or {(n, m, m)}, "
                f"got {tuple(cost.shape)}."
            )
        return cost


def ambient_metric(
    embed: TensorMap, cost: TensorMap, n_dims: int, points: ArrayLike | None = None
) -> MetricField:
    """The metric of a map into a space that has a metric itself.

    M(z) = J(z) G(g(z)) J(z)' with J[k] = dg/dz_k: a step in coordinates costs what it costs in
    the space of the data. Curves go where `cost` is low, whatever the map's own uncertainty.

    Parameters
    ----------
    embed : callable
        Differentiable torch function g from (n, n_dims) to (n, m), each row on its own. A
        ``torch.nn.Module`` is copied and put into evaluation mode.
    cost : callable
        The metric G of the data: differentiable torch function from (n, m) to (n,), factors of
        the Euclidean metric, to (n, m), diagonals, or to (n, m, m), symmetric matrices; positive
        (definite), each row on its own. Modules as in `embed`.
    n_dims : int
        Number of coordinates.
    points : array-like of shape (n_points, n_dims), default=None
        Points where the metric is meant to be used; see :class:`PullbackMetric`.

    Returns
    -------
    MetricField
        Lengths are in the unit of the data times that of the root of the cost. Equal to others
        of equal parts if both have an attribute ``fingerprint``, as modules have; otherwise to
        itself and its pickles only.

    Raises
    ------
    TypeError
        If `embed` or `cost` is no function.
    ValueError
        If `cost` returns another shape, or `n_dims` or `points` are not valid; see
        :class:`MetricField`.

    See Also
    --------
    PullbackMetric : The same with a cost of 1, faster.

    References
    ----------
    Arvanitidis, Hauberg and Schölkopf, *Geometrically enriched latent spaces*, AISTATS 2021.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from skriem.geometry import ambient_metric
    >>> def line(z):
    ...     return torch.cat([z, 1.0 + 0.0 * z], dim=1)
    >>> def dearer_to_the_right(x):
    ...     return torch.exp(2.0 * x[:, 0])
    >>> metric = ambient_metric(line, dearer_to_the_right, n_dims=1)
    >>> metric.distance(np.array([[0.0]]), np.array([[1.0]])).round(3)  # e - 1
    array([1.718])
    """
    if n_dims < 1:
        raise ValueError(f"n_dims must be at least 1, got {n_dims}.")
    at = None if points is None else checked_points(points, n_dims)
    embed, warning = user_map(embed, "embed", n_dims, at)
    if warning is not None:
        warn(warning)
    return MetricField(AmbientTensor(embed, as_map(cost, "cost"), n_dims), n_dims, points)
