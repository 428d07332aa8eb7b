"""Metrics given as a tensor at every point, and the one that is learned from data alone."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.spatial import cKDTree

from ..callers import warn
from ..chunks import in_chunks
from ..maps.tensor_field import Jets, TensorField
from ..maps.users import user_map
from ..spaces.field import Field
from ..types import TensorMap
from .riemannian import RiemannianMetric

# The data's own variance is felt up to this share of its mean at the data: what bounds the
# metric where there is nothing.
FLOOR = 1e-2


class MetricField(RiemannianMetric):
    """Riemannian metric given by its tensor.

    For geometries that no embedding at hand produces: the hyperbolic plane, a cost on a plane,
    the local-variance metric of data. Everything that :class:`PullbackMetric` offers, except
    for `embed`, is here too.

    Parameters
    ----------
    tensor_fn : callable
        Twice differentiable torch function from (n, n_dims) to (n, n_dims, n_dims), symmetric
        and positive definite, each row on its own.
    n_dims : int
        Number of coordinates.
    points : array-like of shape (n_points, n_dims), default=None
        Points where the metric is meant to be used; see :class:`PullbackMetric`.
    tabulate : bool, default=True
        Whether to use a table around `points`; see :class:`PullbackMetric`.

    Attributes
    ----------
    n_dims : int
    points : ndarray of shape (n_points, n_dims) or None
    fingerprint : str
        Taken from an attribute of the same name of `tensor_fn`, if it has one; otherwise the
        metric is equal to itself and its pickles only.

    Raises
    ------
    TypeError
        If `tensor_fn` is no function.
    ValueError
        If `n_dims` is below 1, `points` have another number of columns or are not finite, or
        `tensor_fn` returns another shape.

    See Also
    --------
    local_metric : The one that is learned from data alone.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from skriem.geometry import MetricField
    >>> def half_plane(z):
    ...     return torch.eye(2, dtype=z.dtype) / z[:, 1, None, None] ** 2
    >>> hyperbolic = MetricField(half_plane, n_dims=2)
    >>> hyperbolic.distance(np.array([[0.0, 1.0]]), np.array([[0.0, np.e]])).round(3)
    array([1.])
    """

    def __init__(
        self,
        tensor_fn: TensorMap,
        n_dims: int,
        points: ArrayLike | None = None,
        tabulate: bool = True,
    ) -> None:
        super().__init__(None, n_dims, points, tabulate, None)
        shape = self.n_dims, self.n_dims
        self._tensor_fn, warning = user_map(tensor_fn, "tensor_fn", self.n_dims, self.points, shape)
        if warning is not None:
            warn(warning)
        self._space = Field(self._tensor_fn)
        self.fingerprint = self._tensor_fn.fingerprint or self.fingerprint

    def with_points(self, points: ArrayLike) -> MetricField:
        """The same metric with other points for its graph.

        Parameters
        ----------
        points : array-like of shape (n_points, n_dims)
            Points where the metric is meant to be used; see :class:`PullbackMetric`.

        Returns
        -------
        MetricField
            Equal to this one: points do not change distances, only where they are looked for.
        """
        return self._derived(MetricField(self._tensor_fn, self.n_dims, points, self._tabulate))


class LocalVariance(TensorField):
    """Diagonal metric tensors, one over the variance of the data around a point.

    M_kk(z) = 1 / (sum_n w_n(z) (x_nk - z_k)^2 + rho) with Gaussian weights w_n around z: the
    metric is small where there are data and 1 / rho far from all of them (Arvanitidis, Hansen
    and Hauberg, *A locally adaptive normal distribution*, NIPS 2016). Differences are in a unit
    for each coordinate.

    Parameters
    ----------
    data : ndarray of shape (n, d)
    bandwidth : float
        Standard deviation of the weights, in these units.
    rho : float
    sample_weight : ndarray of shape (n,)
        How often each row counts.
    scale : ndarray of shape (d,)
        The units.
    """

    def __init__(self, data, bandwidth, rho, sample_weight, scale):
        self._scale = np.array(scale, dtype=np.float64)
        self._data = np.array(data, dtype=np.float64) / self._scale
        self._sample_weight = np.array(sample_weight, dtype=np.float64)
        self._bandwidth, self._rho = float(bandwidth), float(rho)
        digest = hashlib.sha256(f"{self._bandwidth!r} {self._rho!r} {data.shape}".encode())
        for part in (self._data, self._sample_weight, self._scale):
            digest.update(part.tobytes())
        self.fingerprint = digest.hexdigest()
        self.numbers_per_point = 4 * self._data.size

    def __call__(self, z):
        scale = torch.as_tensor(self._scale, dtype=z.dtype, device=z.device)
        return torch.diag_embed(1.0 / (self.variance(z) + self._rho) / scale.square())

    def variance(self, z):
        """Weighted sums of squared coordinate differences to the data, in their units, (n, d)."""
        _, squares, weights = self._around(z)
        return (weights[:, None] @ squares).squeeze(1)

    def _around(self, z):
        """Offsets of the data from points, their squares, and the weights (n, n_data)."""
        data, often, scale = (
            torch.as_tensor(part, dtype=z.dtype, device=z.device)
            for part in (self._data, self._sample_weight, self._scale)
        )
        offsets = data - (z / scale)[:, None]
        squares = offsets.square()
        return offsets, squares, often * torch.exp(squares.sum(-1) / (-2.0 * self._bandwidth**2))

    def jets(self, z, v):
        """e(z, v) = sum_k v_k^2 / (variance_k + rho)."""
        scale = torch.as_tensor(self._scale, dtype=z.dtype, device=z.device)
        value, *first, zz, zv, vv = self._jets(z, v / scale)
        by_both = scale[:, None] * scale
        by_first = (part / scale for part in first)
        return Jets(value, *by_first, zz / by_both, zv / by_both, vv / by_both)

    def _jets(self, z, v):
        """The same by coordinates in their units."""
        h, eye = self._bandwidth**-2, torch.eye(z.shape[1], dtype=z.dtype, device=z.device)
        offsets, squares, weights = self._around(z)
        weighted = weights[..., None] * offsets
        inverse = 1.0 / ((weights[:, None] @ squares).squeeze(1) + self._rho)
        # Entry [j, k] is the derivative of the variance along k by coordinate j.
        slope = h * weighted.mT @ squares - 2.0 * torch.diag_embed(weighted.sum(1))
        by_variance = (v * inverse).square()  # minus the derivative of e by every variance
        spread = (squares @ by_variance[..., None]).squeeze(-1)
        second = weighted.mT @ offsets
        cross = by_variance[:, None] * second
        curvature = (
            h * h * (weighted * spread[..., None]).mT @ offsets
            - h * eye * (weights * spread).sum(1)[:, None, None]
            - 2.0 * h * (cross + cross.mT)
            + 2.0 * weights.sum(1)[:, None, None] * torch.diag_embed(by_variance)
        )
        return (
            (v.square() * inverse).sum(1),
            -(slope @ by_variance[..., None]).squeeze(-1),
            2.0 * v * inverse,
            2.0 * (slope * (by_variance * inverse)[:, None]) @ slope.mT - curvature,
            -2.0 * slope * (v * inverse.square())[:, None],
            2.0 * torch.diag_embed(inverse),
        )


def neighbor_distance(data):
    """Mean distance of rows (n, d) to their neighbours of rank sqrt(n), a float."""
    # Rows that come more than once are no neighbours of themselves.
    places = np.unique(data, axis=0)
    if len(places) < 2:
        raise ValueError("All rows of the data are the same: they have no variance.")
    rank = min(len(places) - 1, int(np.ceil(np.sqrt(len(places)))))
    return cKDTree(places).query(places, k=rank + 1)[0][:, -1].mean()


def local_metric(
    data: ArrayLike,
    bandwidth: float | None = None,
    points: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    scale: ArrayLike | None = None,
) -> MetricField:
    """The local-variance metric of data: small where they are, large where they are not.

    Its tensors are diagonal, M_kk(z) = 1 / (sum_n w_n(z) (x_nk - z_k)^2 + rho) with Gaussian
    weights w_n around z. What bounds it far from all data, rho, is a hundredth of the mean
    variance at the data.

    Parameters
    ----------
    data : array-like of shape (n, d)
        At least two rows.
    bandwidth : float, default=None
        Standard deviation of the weights, in the unit of the data, or of data divided by `scale`.
        None takes the mean distance to the neighbour of rank sqrt(n).
    points : array-like of shape (n_points, d), default=None
        Points to search for geodesics along; None takes the data.
    sample_weight : array-like of shape (n,), default=None
        How often each row counts; None counts each once.
    scale : array-like of shape (d,), default=None
        Positive numbers that coordinates are divided by before differences between rows are
        taken, for those of different units; None takes ones.

    Returns
    -------
    MetricField
        Lengths have no unit: they do not change with that of the data.

    Raises
    ------
    ValueError
        If data are not finite, or so few or so alike that there is no bandwidth, the bandwidth
        is so small that data have no neighbours, weights are not one non-negative number per
        row, or a scale is not positive.

    References
    ----------
    Arvanitidis, Hansen and Hauberg, *A locally adaptive normal distribution*, NIPS 2016.

    Examples
    --------
    >>> from sklearn.datasets import make_moons
    >>> from skriem.geometry import local_metric
    >>> X = make_moons(200, noise=0.05, random_state=0)[0]
    >>> metric = local_metric(X)
    >>> bool(metric.distance(X[:1], X[1:2])[0] > 0)
    True
    """
    data = np.array(data, dtype=np.float64)
    if data.ndim != 2 or len(data) < 2 or not np.isfinite(data).all():
        raise ValueError("data must be at least two rows of finite numbers.")
    scale = np.ones(data.shape[1]) if scale is None else np.asarray(scale, float)
    if scale.shape != (data.shape[1],) or not ((scale > 0) & np.isfinite(scale)).all():
        raise ValueError(f"scale must be {data.shape[1]} positive numbers, got {scale}.")
    if bandwidth is None:
        bandwidth = neighbor_distance(data / scale)
    if not bandwidth > 0:
        raise ValueError(f"bandwidth must be positive, got {bandwidth}.")
    weights = np.ones(len(data)) if sample_weight is None else np.asarray(sample_weight, float)
    if weights.shape != (len(data),) or not (weights >= 0).all() or not 0 < weights.sum() < np.inf:
        raise ValueError(
            f"sample_weight must be {len(data)} non-negative finite numbers, not all zero."
        )
    at = torch.as_tensor(data)
    tensors = LocalVariance(data, bandwidth, 0.0, weights, scale)
    variance = in_chunks(lambda part: (tensors.variance(part),), at, tensors.numbers_per_point)[0]
    rho = FLOOR * float(np.average(variance.mean(1).numpy(), weights=weights))
    if not rho > 0:
        raise ValueError(
            f"No two rows of the data are within a few bandwidths, {bandwidth:.4g}: there is no "
            "variance to measure by. Raise bandwidth."
        )
    tensors = LocalVariance(data, bandwidth, rho, weights, scale)
    return MetricField(tensors, data.shape[1], data if points is None else points)
