"""DensityDisplay: the log density of an estimator over its space."""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from ..estimators.metric_input import MetricConsumerMixin
from ..geometry.types import FloatArray
from ..support.latent import LatentArray
from ..support.pipelines import last_step
from ._style import Projection, draw_centers, draw_points, grid, new_axes, window

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Contours go down to this much below the highest density, in nats, in so many steps.
DEPTH, N_LEVELS = 8.0, 16


class DensityDisplay:
    """Log density over a space of one or two dimensions, or at points of more.

    Made by :meth:`from_estimator`. One dimension is drawn as a curve and two as filled
    contours. Of more dimensions the points are drawn, coloured by their log density: in
    perspective if there are three, and on their first two principal components otherwise.

    Parameters
    ----------
    log_density : ndarray of shape (resolution ** d,) or (n,)
        In nats, on a grid over the box of the points, or at the points of more than two
        dimensions.
    points : ndarray of shape (n, d)
        Samples in the coordinates of the density.
    extent : pair of ndarray of shape (d,), default=None
        Lower and upper corner of the box.
    means : ndarray of shape (k, d), default=None
        Drawn as stars.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it was drawn last.
    figure_ : matplotlib Figure
        The figure of these.
    log_density, points, extent, means
        As above.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skriem import RBFNoise, RiemannianNormal, VAETransformer
    >>> from skriem.inspection import DensityDisplay
    >>> X = load_iris().data[::3]
    >>> vae = VAETransformer(noise=RBFNoise(bandwidth=2.0, contrast=5), random_state=0)
    >>> codes = vae.fit_transform(X)
    >>> normal = RiemannianNormal(random_state=0).fit(codes)
    >>> display = DensityDisplay.from_estimator(normal, codes, grid_resolution=20)
    >>> display.log_density.shape
    (400,)
    """

    def __init__(
        self,
        log_density: FloatArray,
        points: FloatArray,
        *,
        extent: tuple[FloatArray, FloatArray] | None = None,
        means: FloatArray | None = None,
    ) -> None:
        self.log_density = log_density
        self.points = points
        self.extent: Any = extent
        self.means = means

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        X: ArrayLike,
        *,
        grid_resolution: int = 60,
        ax: Axes | None = None,
    ) -> DensityDisplay:
        """Draw the density of a fitted estimator around samples.

        Parameters
        ----------
        estimator : RiemannianNormal, or any estimator with ``score_samples``
            Fitted; also a Pipeline that ends in one. Others than :class:`~skriem.RiemannianNormal`,
            such as :class:`sklearn.mixture.GaussianMixture`, are drawn in the space of their
            input.
        X : array-like of shape (n_samples, n_features)
            Samples of the kind that the estimator takes. They are drawn as well, and say where
            the picture ends.
        grid_resolution : int, default=60
            Points along each axis where the density is computed.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        DensityDisplay
        """
        check_scalar(grid_resolution, "grid_resolution", numbers.Integral, min_val=2)
        estimator, X = last_step(estimator, X)
        if not hasattr(estimator, "score_samples"):
            raise TypeError(f"{type(estimator).__name__} has no density: no score_samples.")
        check_is_fitted(estimator)
        points, metric = np.array(X, dtype=float, subok=False), None
        if isinstance(estimator, MetricConsumerMixin):
            points, metric = estimator._points(X), estimator.metric_
        extent: Any = None
        at = points
        if points.shape[1] <= 2:
            extent = low, high = window(points)
            at = grid(low, high, grid_resolution)
        # Codes that carry the metric are not encoded again.
        at = at if metric is None else LatentArray(at, metric)
        means = getattr(estimator, "means_", None)
        return cls(estimator.score_samples(at), points, extent=extent, means=means).plot(ax)

    def plot(self, ax: Axes | None = None, *, cmap: str = "Blues") -> DensityDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
        cmap : str, default="Blues"
            Shades of the contours.

        Returns
        -------
        DensityDisplay
            Itself.
        """
        show = Projection(self.points)
        self.ax_ = ax = new_axes(ax, show.n_dims)
        self.figure_ = ax.figure
        if show.n_dims > 2:
            drawn = draw_points(ax, show(self.points), self.log_density)[0]
            drawn.colorbar.set_label("log density")
        elif show.n_dims == 2:
            self._contours(ax, cmap)
        else:
            (left,), (right,) = self.extent
            at = np.linspace(left, right, len(self.log_density))
            ax.plot(at, np.exp(self.log_density), color="black")
            ax.plot(self.points[:, 0], np.zeros(len(self.points)), "|", color="black", alpha=0.5)
            ax.set_ylabel("density")
        show.label(ax)
        return self

    def _contours(self, ax, cmap):
        (left, bottom), (right, top) = self.extent
        side = round(np.sqrt(len(self.log_density)))
        values = self.log_density.reshape(side, side)
        highest = values[np.isfinite(values)].max()
        levels = np.ceil(2.0 * highest) / 2.0 + np.linspace(-DEPTH, 0.0, N_LEVELS + 1)
        x, y = np.linspace(left, right, side), np.linspace(bottom, top, side)
        filled = ax.contourf(
            x, y, np.nan_to_num(values, neginf=highest - 2 * DEPTH), levels, cmap=cmap
        )
        ax.figure.colorbar(filled, ax=ax, label="log density", shrink=0.85)
        size = float(np.clip(3000.0 / len(self.points), 2.0, 12.0))
        ax.scatter(*self.points.T, s=size, color="black", linewidths=0.0, alpha=0.5)
        if self.means is not None:
            draw_centers(ax, np.asarray(self.means))
        ax.set(xlim=(left, right), ylim=(bottom, top))
