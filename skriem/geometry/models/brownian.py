"""Brownian motion on a Riemannian manifold."""

from __future__ import annotations

import numbers

import numpy as np
import torch
from numpy.typing import ArrayLike

from ..metrics.base import Metric
from ..types import AnyRandomState, FloatArray

# Relative step of the differences that the drift is made of.
DIFFERENCE = 1e-5


def brownian_motion(
    metric: Metric,
    start: ArrayLike,
    n_steps: int,
    step_size: float,
    drift: bool = True,
    random_state: AnyRandomState = None,
) -> FloatArray:
    """Random walks that spread over the manifold like heat.

    One step of a walk at z is ``step_size * M(z)^(-1/2) e`` with standard normal e, so that its
    length in the metric does not depend on where it is: far from the data, where the decoder
    is unsure, coordinates hardly move.

    Parameters
    ----------
    metric : Metric
        Such as ``VAETransformer.metric_``.
    start : array-like of shape (n_chains, n_dims) or (n_dims,)
        Where the walks start, in the coordinates of the metric.
    n_steps : int
        At least 1.
    step_size : float
        Standard deviation of a step along every direction, in units of the metric. The walk is
        Brownian motion at times that are multiples of ``step_size ** 2``.
    drift : bool, default=True
        Whether to add the drift that makes the walk Brownian motion, whose generator is half
        the Laplace-Beltrami operator. Without it this is the scheme of *Latent Space Oddity*
        (appendix C), whose law depends on the coordinates.
    random_state : int, RandomState instance, Generator or None, default=None
        An int makes the walks reproducible.

    Returns
    -------
    ndarray of shape (n_chains, n_steps + 1, n_dims) or (n_steps + 1, n_dims)
        The walks, starts included, in coordinates.

    Raises
    ------
    ValueError
        If `start` does not fit the metric, `n_steps` or `step_size` are not positive, or a walk
        meets a metric that is singular or not finite.

    Notes
    -----
    Euler-Maruyama steps: the error of expectations shrinks with ``step_size ** 2``. The drift is
    ``½ |M|^(−½) ∂ₗ(|M|^½ Mᵏˡ)``, with the inverse ``Mᵏˡ`` of the metric tensor.

    References
    ----------
    Arvanitidis, Hansen and Hauberg, *Latent Space Oddity: on the curvature of deep generative
    models*, ICLR 2018, appendix C.

    Examples
    --------
    >>> import torch
    >>> from skriem import brownian_motion
    >>> from skriem.geometry import PullbackMetric
    >>> plane = PullbackMetric(lambda z: z, n_dims=2)
    >>> brownian_motion(plane, [0.0, 0.0], n_steps=100, step_size=0.1, random_state=0).shape
    (101, 2)
    """
    start = np.array(start, dtype=np.float64)
    if start.ndim not in (1, 2) or start.shape[-1] != metric.n_dims:
        raise ValueError(
            f"start must have shape (n_chains, {metric.n_dims}) or ({metric.n_dims},), got "
            f"{start.shape}."
        )
    if not isinstance(n_steps, numbers.Integral) or n_steps < 1:
        raise ValueError(f"n_steps must be a positive integer, got {n_steps!r}.")
    if not step_size > 0:
        raise ValueError(f"step_size must be positive, got {step_size!r}.")
    rng = _generator(random_state)
    walk = torch.empty(n_steps + 1, *np.atleast_2d(start).shape, dtype=torch.float64)
    walk[0] = torch.as_tensor(start)
    for i in range(n_steps):
        noise = torch.as_tensor(rng.standard_normal(walk[0].shape))
        walk[i + 1] = walk[i] + step(metric, walk[i], noise, step_size, drift)
        if not walk[i + 1].isfinite().all():
            raise ValueError(
                f"A walk met a singular or undefined metric at step {i + 1}. Lower step_size, or "
                "check the decoder there."
            )
    result = walk.transpose(0, 1).numpy()
    return result if start.ndim == 2 else result[0]


def step(metric, z, noise, step_size, drift):
    """Where one step leads from the rows of `z`, as differences (n, d)."""
    if not drift:
        factor = torch.linalg.cholesky_ex(metric.tensor(z))[0]
        return step_size * _whiten(factor, noise)
    tensors, slopes = _with_slopes(metric, z)
    factor = torch.linalg.cholesky_ex(tensors)[0]
    inverse = torch.linalg.inv_ex(tensors)[0]
    # b^k = 1/2 (d_l M^kl + M^kl d_l log sqrt det M), derivatives of the inverse and the
    # determinant by those of M, slopes[n, l] = d_l M.
    of_inverse = -(inverse[:, None] @ slopes @ inverse[:, None])
    divergence = torch.einsum("nlkl->nk", of_inverse)
    of_log_volume = 0.5 * torch.einsum("nij,nlji->nl", inverse, slopes)
    drifts = 0.5 * (divergence + (inverse @ of_log_volume[..., None]).squeeze(-1))
    return step_size * _whiten(factor, noise) + step_size**2 * drifts


def _whiten(factor, noise):
    return torch.linalg.solve_triangular(factor.mT, noise[..., None], upper=True).squeeze(-1)


def _with_slopes(metric, z):
    """Metric tensors (n, d, d) and their derivatives along each coordinate, (n, d, d, d)."""
    n, d = z.shape
    size = DIFFERENCE * z.abs().amax(1).clamp(min=1.0)
    moves = size[:, None, None] * torch.eye(d, dtype=z.dtype)
    around = torch.cat([z[:, None], z[:, None] + moves, z[:, None] - moves], dim=1)
    tensors = metric.tensor(around.flatten(0, 1)).unflatten(0, (n, 2 * d + 1))
    slopes = (tensors[:, 1 : d + 1] - tensors[:, d + 1 :]) / (2.0 * size[:, None, None, None])
    return tensors[:, 0], slopes


def _generator(random_state):
    """A NumPy generator from what scikit-learn calls a random state."""
    if isinstance(random_state, (np.random.RandomState, np.random.Generator)):
        return random_state
    return np.random.RandomState(random_state)
