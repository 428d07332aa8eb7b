"""A metric that is short where codes are dense: no decoder, no Jacobians."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import torch
from numpy.typing import ArrayLike

from ..chunks import in_chunks
from ..maps.tensor_field import Jets, TensorField
from .metric_field import MetricField, neighbor_distance


class AlongAxes:
    """Shapes of Gaussians that are independent along the coordinates.

    Parameters
    ----------
    scale : ndarray of shape (n, d)
        Their standard deviations.
    """

    def __init__(self, scale):
        self.parts = (scale,)
        self.log_roots = np.log(scale).sum(1)

    def whitened(self, off, scale):
        """Differences (m, n, d) in standard deviations, and by the precisions."""
        steps = off / scale
        return steps, steps / scale

    def precision(self, shares, scale):
        """Sums of the precisions by shares (m, n), (m, d, d)."""
        return torch.diag_embed(shares @ scale.square().reciprocal())


class AnyShape:
    """Shapes of Gaussians with any covariances.

    Parameters
    ----------
    factors : ndarray of shape (n, d, d)
        Lower triangular factors of the covariances.
    """

    def __init__(self, factors):
        self.parts = (np.ascontiguousarray(np.linalg.inv(factors)),)
        self.log_roots = np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(1)

    def whitened(self, off, roots):
        steps = torch.einsum("nij,mnj->mni", roots, off)
        return steps, torch.einsum("nji,mnj->mni", roots, steps)

    def precision(self, shares, roots):
        return torch.einsum("mn,nij->mij", shares, roots.mT @ roots)


class InverseDensity(TensorField):
    """Metric tensors M(z) = (q(z) + rho)^(-2/d) I with a mixture of Gaussians q.

    Parameters
    ----------
    codes : ndarray of shape (n, d)
        Means of the Gaussians.
    shapes : AlongAxes or AnyShape
    log_weights : ndarray of shape (n,)
        Logarithms of their weights, which sum to one.
    rho : float
    log_unit : float, default=0.0
        Logarithm of the density that q is measured in.
    """

    def __init__(self, codes, shapes, log_weights, rho, log_unit=0.0):
        d = codes.shape[1]
        self._codes, self._shapes, self._rho = codes, shapes, float(rho)
        constant = log_weights - 0.5 * d * math.log(2.0 * math.pi) - log_unit
        self._log_peaks = constant - shapes.log_roots
        digest = hashlib.sha256(f"inverse density {self._rho!r} {codes.shape}".encode())
        for part in (codes, *shapes.parts, self._log_peaks):
            digest.update(part.tobytes())
        self.fingerprint = digest.hexdigest()
        self.numbers_per_point = 4 * codes.size

    def __call__(self, z):
        eye = torch.eye(z.shape[1], dtype=z.dtype, device=z.device)
        return self._factor(self._log_total(self._around(z)[1]))[:, None, None] * eye

    def log_density(self, z):
        """Logarithm of q, (n,)."""
        return self._around(z)[1].logsumexp(1)

    def _like(self, z, *parts):
        return [torch.as_tensor(part, dtype=z.dtype, device=z.device) for part in parts]

    def _around(self, z):
        """Slopes of the Gaussians' logarithms, and these."""
        codes, log_peaks, *parts = self._like(z, self._codes, self._log_peaks, *self._shapes.parts)
        steps, slopes = self._shapes.whitened(codes - z[:, None], *parts)
        return slopes, log_peaks - 0.5 * steps.square().sum(-1)

    def _log_total(self, logs):
        """Logarithm of q + rho, (n,)."""
        return torch.nn.functional.pad(logs, (0, 1), value=math.log(self._rho)).logsumexp(1)

    def _factor(self, log_total):
        return torch.exp(log_total * (-2.0 / self._codes.shape[1]))

    def jets(self, z, v):
        """e(z, v) = (q + rho)^(-2/d) |v|^2."""
        d = z.shape[1]
        slopes, logs = self._around(z)
        total = self._log_total(logs)
        shares = torch.exp(logs - total[:, None])
        weighted = shares[..., None] * slopes
        # Of the logarithm of q + rho, then of the factor.
        slope = weighted.sum(1)
        outer = slope[:, :, None] * slope[:, None]
        precision = self._shapes.precision(shares, *self._like(z, *self._shapes.parts))
        bend = weighted.mT @ slopes - precision - outer
        factor, power = self._factor(total), -2.0 / d
        square = v.square().sum(1)
        factor_slope = power * factor[:, None] * slope
        factor_bend = power * factor[:, None, None] * (power * outer + bend)
        return Jets(
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
    *,
    covariances: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> MetricField:
    """A metric that is short where codes are dense and long where there are none.

    M(z) = (q(z) + rho)^(-2/d) I, so that the volume sqrt(det M) is 1 / (q + rho), with the
    mixture q of Gaussians around the codes: an autoencoder's aggregated posterior, or a mixture
    that was fitted to its codes. It needs no decoder, and its cost does not depend on the number
    of features.

    Parameters
    ----------
    codes : array-like of shape (n, d)
        Codes, or the means of a mixture.
    scale : float or array-like of shape (n,) or (n, d), default=None
        Standard deviations around the codes: one for all, one for each, or one for each
        coordinate of each, such as an encoder's. None takes the mean distance to the neighbour
        of rank sqrt(n), over the root of d: as far as a Gaussian then reaches.
    rho : float, default=1e-2
        What bounds the metric where there is nothing, positive, as a share of the mean density
        at the codes.
    points : array-like of shape (n_points, d), default=None
        Points to search for geodesics along; None takes the codes.
    covariances : array-like of shape (n, d, d), default=None
        Covariances around the codes, in place of `scale`: those of a mixture.
    weights : array-like of shape (n,), default=None
        Weights of the Gaussians, not negative; None weighs all alike. The mean density at the
        codes is by these weights, too.

    Returns
    -------
    MetricField
        Lengths are in the unit of the codes, and about the Euclidean ones where the density is
        what it is at the codes on average: this is the unit in which q is measured.

    Raises
    ------
    ValueError
        If codes are not finite, a scale or `rho` is not positive, covariances are not symmetric
        and positive definite, weights are negative or all zero, one of them has another shape,
        both `scale` and `covariances` are given, or there is no scale to be taken from the codes.

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

    The mixture behind the codes of an autoencoder:

    >>> from skriem import MixturePrior, VAETransformer
    >>> X = np.random.default_rng(0).normal(size=(100, 3))
    >>> vae = VAETransformer(prior=MixturePrior(2), max_iter=2, noise="constant", random_state=0)
    >>> codes = np.asarray(vae.fit_transform(X))
    >>> metric = conformal_metric(
    ...     vae.means_, covariances=vae.covariances_, weights=vae.weights_, points=codes
    ... )
    >>> metric.distance(codes[:5], codes[5:10]).shape
    (5,)
    """
    means = np.array(codes, dtype=np.float64)
    if means.ndim != 2 or not means.size or not np.isfinite(means).all():
        raise ValueError("codes must be rows of finite numbers.")
    if not (np.isfinite(rho) and rho > 0):
        raise ValueError("rho must be positive and finite.")
    if covariances is not None and scale is not None:
        raise ValueError("Give scale or covariances, not both: either says how far q reaches.")
    shares = _shares(weights, len(means))
    used = shares > 0.0
    if covariances is None:
        shapes: AlongAxes | AnyShape = AlongAxes(_scale(means, scale)[used])
    else:
        shapes = AnyShape(_factors(means, covariances)[used])
    points = means if points is None else points
    means, log_weights = means[used], np.log(shares[used])
    tensors, at = InverseDensity(means, shapes, log_weights, rho), torch.as_tensor(means)
    logs = in_chunks(lambda part: (tensors.log_density(part),), at, tensors.numbers_per_point)[0]
    log_unit = float((logs + torch.as_tensor(log_weights)).logsumexp(0))
    tensors = InverseDensity(means, shapes, log_weights, rho, log_unit)
    return MetricField(tensors, means.shape[1], points)


def _shares(weights, n):
    """Weights that sum to one."""
    if weights is None:
        return np.full(n, 1.0 / n)
    weights = np.array(weights, dtype=np.float64)
    if weights.shape != (n,):
        raise ValueError(f"weights must have shape ({n},), got {weights.shape}.")
    if not (np.isfinite(weights).all() and (weights >= 0.0).all() and weights.sum() > 0.0):
        raise ValueError("weights must be finite and not negative, and some of them positive.")
    return weights / weights.sum()


def _scale(codes, scale):
    """Standard deviations (n, d)."""
    if scale is None:
        scale = neighbor_distance(codes) / math.sqrt(codes.shape[1])
    scale = np.array(scale, dtype=np.float64)
    if scale.shape not in ((), codes.shape[:1], codes.shape):
        raise ValueError(
            f"scale must be a number or have shape {codes.shape[:1]} or {codes.shape}, "
            f"got {scale.shape}."
        )
    if not (np.isfinite(scale) & (scale > 0)).all():
        raise ValueError("scale must be positive and finite.")
    return np.broadcast_to(scale[:, None] if scale.ndim == 1 else scale, codes.shape).copy()


def _factors(codes, covariances):
    """Lower triangular factors of covariances, (n, d, d)."""
    covariances = np.array(covariances, dtype=np.float64)
    expected = (*codes.shape, codes.shape[1])
    if covariances.shape != expected:
        raise ValueError(f"covariances must have shape {expected}, got {covariances.shape}.")
    size = np.abs(covariances).max()
    off = covariances - covariances.swapaxes(1, 2) if np.isfinite(size) else np.inf
    if np.abs(off).max() <= 1e-8 * size < np.inf:
        try:
            return np.linalg.cholesky(covariances)
        except np.linalg.LinAlgError:
            pass
    raise ValueError("covariances must be symmetric, positive definite and finite.")
