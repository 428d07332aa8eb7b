"""A metric that is short where codes are dense: no decoder, no Jacobians."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import torch
from numpy.typing import ArrayLike

from ..chunks import in_chunks
from .metric_field import MetricField, neighbor_distance


class InverseDensity:
    """Metric tensors M(z) = (q(z) + rho)^(-2/d) I with a mixture of Gaussians q.

    Parameters
    ----------
    codes : ndarray of shape (n, d)
        Means of the Gaussians, of one weight each.
    scale : ndarray of shape (n, d)
        Their standard deviations.
    rho : float
    log_unit : float, default=0.0
        Logarithm of the density that q is measured in.
    """

    def __init__(self, codes, scale, rho, log_unit=0.0):
        n, d = codes.shape
        self._codes, self._scale, self._rho = codes, scale, float(rho)
        constant = -math.log(n) - 0.5 * d * math.log(2.0 * math.pi) - log_unit
        self._log_peaks = constant - np.log(scale).sum(1)
        digest = hashlib.sha256(f"inverse density {self._rho!r} {codes.shape}".encode())
        digest.update(codes.tobytes() + scale.tobytes() + self._log_peaks.tobytes())
        self.fingerprint = digest.hexdigest()
        self.numbers_per_point = 4 * codes.size

    def __call__(self, z):
        eye = torch.eye(z.shape[1], dtype=z.dtype, device=z.device)
        return self._factor(self._log_total(self._around(z)[2]))[:, None, None] * eye

    def log_density(self, z):
        """Logarithm of q, (n,)."""
        return self._around(z)[2].logsumexp(1)

    def _around(self, z):
        """Slopes of the Gaussians' logarithms, their precisions, and these logarithms."""
        codes, scale, log_peaks = (
            torch.as_tensor(part, dtype=z.dtype, device=z.device)
            for part in (self._codes, self._scale, self._log_peaks)
        )
        steps = (codes - z[:, None]) / scale
        return steps / scale, scale.square().reciprocal(), log_peaks - 0.5 * steps.square().sum(-1)

    def _log_total(self, logs):
        """Logarithm of q + rho, (n,)."""
        return torch.nn.functional.pad(logs, (0, 1), value=math.log(self._rho)).logsumexp(1)

    def _factor(self, log_total):
        return torch.exp(log_total * (-2.0 / self._codes.shape[1]))

    def jets(self, z, v):
        """See :meth:`.field.Field.jets`; e(z, v) = (q + rho)^(-2/d) |v|^2."""
        d = z.shape[1]
        slopes, precisions, logs = self._around(z)
        total = self._log_total(logs)
        shares = torch.exp(logs - total[:, None])
        weighted = shares[..., None] * slopes
        # Of the logarithm of q + rho, then of the factor.
        slope = weighted.sum(1)
        outer = slope[:, :, None] * slope[:, None]
        bend = weighted.mT @ slopes - torch.diag_embed(shares @ precisions) - outer
        factor, power = self._factor(total), -2.0 / d
        square = v.square().sum(1)
        factor_slope = power * factor[:, None] * slope
        factor_bend = power * factor[:, None, None] * (power * outer + bend)
        return (
            factor * square,
            square[:, None] * factor_slope,
            2.0 * factor[:, None] * v,
            square[:, None, None] * factor_bend,
            2.0 * factor_slope[:, :, None] * v[:, None],
            2.0
            * factor[:, None, None]
            * torch.eye(d, dtype=z.dtype, device=z.device).expand_as(outer),
        )


def conformal_metric(
    codes: ArrayLike,
    scale: ArrayLike | None = None,
    rho: float = 1e-2,
    points: ArrayLike | None = None,
) -> MetricField:
    """A metric that is short where codes are dense and long where there are none.

    M(z) = (q(z) + rho)^(-2/d) I, so that the volume sqrt(det M) is 1 / (q + rho), with the
    mixture q of Gaussians around the codes: an autoencoder's aggregated posterior. It needs no
    decoder, and its cost does not depend on the number of features.

    Parameters
    ----------
    codes : array-like of shape (n, d)
    scale : float or array-like of shape (n,) or (n, d), default=None
        Standard deviations around the codes: one for all, one for each, or one for each
        coordinate of each, such as an encoder's. None takes the mean distance to the neighbour
        of rank sqrt(n), over the root of d: as far as a Gaussian then reaches.
    rho : float, default=1e-2
        What bounds the metric where there is nothing, positive, as a share of the mean density
        at the codes.
    points : array-like of shape (n_points, d), default=None
        Points to search for geodesics along; None takes the codes.

    Returns
    -------
    MetricField
        Lengths are in the unit of the codes, and about the Euclidean ones where the density is
        what it is at the codes on average: this is the unit in which q is measured.

    Raises
    ------
    ValueError
        If codes are not finite, a scale or `rho` is not positive, `scale` has another shape, or
        there is none to be taken from the codes.

    See Also
    --------
    local_metric : One that is learned from data and knows directions.

    References
    ----------
    Arvanitidis, Georgiev and Schölkopf, *A prior-based approximate latent Riemannian metric*,
    AISTATS 2022.

    Examples
    --------
    >>> import numpy as np
    >>> from skriem.geometry import conformal_metric
    >>> metric = conformal_metric(np.random.default_rng(0).normal(size=(100, 2)))
    >>> float(metric.log_volume(np.array([[50.0, 0.0]])).round(3)[0])  # - log rho
    4.605
    """
    codes = np.array(codes, dtype=np.float64)
    if codes.ndim != 2 or not codes.size or not np.isfinite(codes).all():
        raise ValueError("codes must be rows of finite numbers.")
    if scale is None:
        scale = neighbor_distance(codes) / math.sqrt(codes.shape[1])
    scale = np.array(scale, dtype=np.float64)
    if scale.shape not in ((), codes.shape[:1], codes.shape):
        raise ValueError(
            f"scale must be a number or have shape {codes.shape[:1]} or {codes.shape}, "
            f"got {scale.shape}."
        )
    for name, part in (("scale", scale), ("rho", rho)):
        if not (np.isfinite(part) & (np.asarray(part) > 0)).all():
            raise ValueError(f"{name} must be positive and finite.")
    scale = np.broadcast_to(scale[:, None] if scale.ndim == 1 else scale, codes.shape).copy()
    tensors, at = InverseDensity(codes, scale, rho), torch.as_tensor(codes)
    logs = in_chunks(lambda part: (tensors.log_density(part),), at, tensors.numbers_per_point)[0]
    log_unit = float(logs.logsumexp(0)) - math.log(len(codes))
    tensors = InverseDensity(codes, scale, rho, log_unit)
    return MetricField(tensors, codes.shape[1], codes if points is None else points)
