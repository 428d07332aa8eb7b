"""LatentSpaceDisplay: codes, clusters and geodesics over the stretch of the space."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_scalar

from ..geometry import Metric
from ..geometry.types import FloatArray
from ._fitted import look_into
from ._style import (
    NOTHING,
    Projection,
    draw_centers,
    draw_ellipses,
    draw_key,
    draw_points,
    far_from,
    grid,
    new_axes,
    style_of,
    window,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BACKGROUNDS = {
    "magnification": "magnification factor, log10 √det M",
    "noise": "noise of the decoder, log10 of its root mean square",
}
# What is drawn need not be more accurate than the eye.
TOL, N_CURVE = 1e-2, 60
# The line below a geodesic, in whose middle its colour is.
BELOW: Any = {"color": "black", "linewidth": 1.9, "alpha": 0.55, "solid_capstyle": "round"}
# Shades leave out this share of the values at either end.
EXTREME = 0.5


class LatentSpaceDisplay:
    """A latent space seen through its metric.

    Draws points in the colours of their labels, centres as stars, geodesics as lines, components of
    a mixture prior as ellipses two standard deviations around, and behind
    them how much the metric stretches space. Where there are no data near, and what the metric says
    is a guess, that is tinted. Made by :meth:`from_estimator` or
    :meth:`from_metric`; what was computed is kept, and :meth:`plot` draws it again.

    One-dimensional spaces are drawn as the curve of the background's values, three-dimensional
    ones in perspective without a background. Of more dimensions the first two principal
    components of the points are shown, as the axes say, without a background.

    Parameters
    ----------
    points : ndarray of shape (n, d)
        In the coordinates of the metric.
    labels : ndarray of shape (n,), default=None
        What points are coloured by: names of classes, or measurements.
    centers : ndarray of shape (k, d), default=None
        Drawn as stars.
    covariances : ndarray of shape (k, d, d), default=None
        Drawn as ellipses around the centres, of codes of two dimensions.
    curves : ndarray of shape (n_curves, n_steps, d), default=None
        Geodesics.
    curve_labels : ndarray of shape (n_curves,), default=None
        The labels that curves are coloured by; None leaves them white.
    values : ndarray of shape (resolution ** d,), default=None
        Background, log10, on a grid over the box of the points.
    extent : pair of ndarray of shape (d,), default=None
        Lower and upper corner of the box.
    background : str, default=None
        What the values are.
    axis_names : sequence of d str, default=None
        Names of the coordinates; None numbers them.
    legend_title : str, default=None
        What the labels are.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it was drawn last.
    figure_ : matplotlib Figure
        The figure of these.
    points, labels, centers, covariances, curves, curve_labels, values, extent, background, \
axis_names, legend_title
        As above.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skriem import RBFNoise, RiemannianKMeans, VAETransformer
    >>> from skriem.inspection import LatentSpaceDisplay
    >>> vae = VAETransformer(noise=RBFNoise(bandwidth=3.0), random_state=0)
    >>> codes = vae.fit_transform(load_iris().data)
    >>> kmeans = RiemannianKMeans(3, random_state=0).fit(codes)
    >>> display = LatentSpaceDisplay.from_estimator(kmeans, codes)
    >>> display.ax_.get_xlabel()
    'code 1'
    """

    def __init__(
        self,
        points: FloatArray,
        *,
        labels: NDArray[Any] | None = None,
        centers: FloatArray | None = None,
        covariances: FloatArray | None = None,
        curves: FloatArray | None = None,
        curve_labels: NDArray[Any] | None = None,
        values: FloatArray | None = None,
        extent: tuple[FloatArray, FloatArray] | None = None,
        background: str | None = None,
        axis_names: Sequence[str] | None = None,
        legend_title: str | None = None,
    ) -> None:
        self.points = points
        # Curves are coloured by labels only where there are centres.
        self.labels: Any = labels
        self.centers: Any = centers
        self.covariances = covariances
        self.curves = curves
        self.curve_labels: Any = curve_labels
        self.values = values
        self.extent = extent
        self.background = background
        self.axis_names = axis_names
        self.legend_title = legend_title

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        background: Literal["magnification", "noise"] | None = "magnification",
        n_geodesics: int = 10,
        grid_resolution: int = 200,
        ax: Axes | None = None,
    ) -> LatentSpaceDisplay:
        """Draw samples as a fitted estimator sees them.

        Parameters
        ----------
        estimator : fitted estimator
            One of this package's, or a :class:`~sklearn.pipeline.Pipeline` with one.
        X : array-like of shape (n_samples, n_features)
            Of the kind that the estimator takes: data, or codes.
        y : array-like of shape (n_samples,), default=None
            What points are coloured by. None: predicted labels, if the estimator has any.
        background : {"magnification", "noise"} or None, default="magnification"
            What is behind the points: the magnification factor √det M, by which the metric
            enlarges small areas, or the root mean square of a decoder's standard deviations.
        n_geodesics : int, default=10
            Geodesics from every centre to some of its points; where there are no centres, this
            many between random pairs of points.
        grid_resolution : int, default=200
            Points of the background along each axis.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        LatentSpaceDisplay
        """
        found = look_into(estimator, X)
        return cls.from_metric(
            found.metric,
            found.points,
            found.labels if y is None else y,
            centers=found.centers,
            center_labels=found.labels,
            covariances=found.covariances,
            background=background,
            n_geodesics=n_geodesics,
            grid_resolution=grid_resolution,
            axis_names=found.axis_names,
            legend_title=found.title(y),
            ax=ax,
        )

    @classmethod
    def from_metric(
        cls,
        metric: Metric,
        Z: ArrayLike,
        y: ArrayLike | None = None,
        *,
        centers: ArrayLike | None = None,
        center_labels: ArrayLike | None = None,
        covariances: ArrayLike | None = None,
        background: Literal["magnification", "noise"] | None = "magnification",
        n_geodesics: int = 10,
        grid_resolution: int = 200,
        axis_names: Sequence[str] | None = None,
        legend_title: str | None = None,
        ax: Axes | None = None,
    ) -> LatentSpaceDisplay:
        """Draw points of a metric's space.

        Parameters
        ----------
        metric : Metric
        Z : array-like of shape (n, n_dims)
        y : array-like of shape (n,), default=None
            What points are coloured by.
        centers : array-like of shape (k, n_dims), default=None
        center_labels : array-like of shape (n,) of int, default=None
            Which centre each point belongs to. None: the nearest.
        covariances : array-like of shape (k, n_dims, n_dims), default=None
            Drawn as ellipses around the centres, of points of two dimensions.
        background : {"magnification", "noise"} or None, default="magnification"
            As in :meth:`from_estimator`, as are the others.
        n_geodesics : int, default=10
            From every centre, or between random pairs.
        grid_resolution : int, default=200
            Points of the background along each axis.
        axis_names : sequence of n_dims str, default=None
            Names of the coordinates; None numbers them.
        legend_title : str, default=None
            What `y` is.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        LatentSpaceDisplay
        """
        check_scalar(n_geodesics, "n_geodesics", numbers.Integral, min_val=0)
        check_scalar(grid_resolution, "grid_resolution", numbers.Integral, min_val=2)
        if background is not None and background not in BACKGROUNDS:
            raise ValueError(
                f"background must be one of {[*BACKGROUNDS]} or None, got {background!r}."
            )
        points = np.array(Z, dtype=float, subok=False)
        labels = None if y is None else np.asarray(y)
        if labels is not None and len(labels) != len(points):
            raise ValueError(
                f"y must have one value per point: {len(labels)} for {len(points)} points."
            )
        centers = None if centers is None else np.asarray(centers, dtype=float)
        covariances = None if covariances is None else np.asarray(covariances, dtype=float)
        curves, curve_labels = _geodesics(metric, points, centers, center_labels, n_geodesics)
        if y is not center_labels:
            # Points have other colours than centres.
            curve_labels = None
        values: Any = None
        extent: Any = None
        if metric.n_dims <= 2 and background is not None:
            extent = low, high = window(points)
            values = _background(metric, grid(low, high, grid_resolution), background)
        return cls(
            points,
            labels=labels,
            centers=centers,
            covariances=covariances,
            curves=curves,
            curve_labels=curve_labels,
            values=values,
            extent=extent,
            background=background,
            axis_names=axis_names,
            legend_title=legend_title,
        ).plot(ax)

    def plot(self, ax: Axes | None = None, *, cmap: str = "gray_r") -> LatentSpaceDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
        cmap : str, default="gray_r"
            Shades of the background.

        Returns
        -------
        LatentSpaceDisplay
            Itself.
        """
        show = Projection(self.points, self.axis_names)
        self.ax_ = ax = new_axes(ax, show.n_dims)
        self.figure_ = ax.figure
        if show.n_dims == 1:
            return self._plot_line(ax)
        key = [] if self.values is None else self._shade(ax, cmap)
        draw_points(ax, show(self.points), self.labels, self.legend_title)
        colored = self.curve_labels is not None and np.array_equal(
            np.unique(self.labels), np.arange(len(self.centers))
        )
        for k, curve in enumerate([] if self.curves is None else self.curves):
            line = show(curve).T
            color = style_of(self.curve_labels[k])[0] if colored else "white"
            lines = ax.plot(*line, label="geodesic", **BELOW)
            key += lines if k == 0 else []
            ax.plot(*line, color=color, linewidth=1.0, solid_capstyle="round")
        if self.centers is not None:
            key.append(draw_centers(ax, show(self.centers)))
        if self.covariances is not None and show.n_dims == 2:
            draw_ellipses(ax, self.centers, self.covariances)
        if show.n_dims == 2 and self.extent is not None:
            (left, bottom), (right, top) = self.extent
            ax.set(xlim=(left, right), ylim=(bottom, top))
        show.label(ax)
        if key:
            draw_key(ax, key)
        return self

    def _shade(self, ax, cmap):
        """The background, and over it where there are no data; what is to be explained of it."""
        (left, bottom), (right, top) = self.extent
        side = round(np.sqrt(len(self.values)))
        shades = np.ma.masked_invalid(self.values.reshape(side, side))
        low, high = np.percentile(shades.compressed(), [EXTREME, 100.0 - EXTREME])
        image = ax.imshow(
            shades,
            extent=(left, right, bottom, top),
            origin="lower",
            aspect="auto",
            cmap=cmap,
            alpha=0.75,
            vmin=low,
            vmax=high,
        )
        ax.figure.colorbar(
            image, ax=ax, label=BACKGROUNDS[self.background], location="left", shrink=0.85, pad=0.01
        )
        nothing = far_from(self.points, grid(*self.extent, side)).reshape(side, side)
        if not nothing.any():
            return []
        axes = (np.linspace(a, b, side) for a, b in zip(*self.extent))
        ax.contourf(*axes, nothing, levels=[0.5, 1.5], colors=[NOTHING], alpha=0.9)
        return [ax.fill([], [], color=NOTHING, label="no data near")[0]]

    def _plot_line(self, ax):
        """One dimension: the background as a curve, the points on its foot."""
        foot = 0.0
        if self.values is not None:
            (left,), (right,) = self.extent
            ax.plot(np.linspace(left, right, len(self.values)), self.values, color="black")
            ax.set_ylabel(BACKGROUNDS[self.background])
            finite = self.values[np.isfinite(self.values)]
            foot = finite.min() - 0.08 * max(np.ptp(finite), 1.0)
        else:
            ax.set_yticks([])

        def on_foot(points):
            return np.column_stack([points, np.full(len(points), foot)])

        draw_points(ax, on_foot(self.points), self.labels, self.legend_title)
        if self.centers is not None:
            draw_centers(ax, on_foot(self.centers))
        ax.set_xlabel(Projection(self.points, self.axis_names).names[0])
        return self


def _geodesics(metric, points, centers, labels, n_geodesics):
    """Curves from centres to some of their points, or between pairs, and the centres' numbers."""
    rng = np.random.default_rng(0)
    if n_geodesics == 0 or metric.n_dims == 1 or len(points) < 2:
        return None, None
    if centers is None:
        order = rng.permutation(len(points))
        n = min(n_geodesics, len(points) // 2)
        starts, ends, which = points[order[:n]], points[order[n : 2 * n]], None
    else:
        if labels is None:
            labels = metric.approximate_pairwise(points, centers).argmin(1)
        labels = np.asarray(labels)
        rows = [
            rng.permutation(np.flatnonzero(labels == k))[:n_geodesics] for k in range(len(centers))
        ]
        which = np.repeat(np.arange(len(centers)), [len(some) for some in rows])
        starts, ends = centers[which], points[np.concatenate(rows)]
    found = metric.geodesic(starts, ends, tol=TOL)
    return found.curve(np.linspace(0.0, 1.0, N_CURVE)), which


def _background(metric, at, name):
    """Values of the background at points, log10, (n,)."""
    if name == "magnification":
        return metric.log_volume(at) / np.log(10.0)
    embedding = getattr(metric, "_map", None)
    if not hasattr(embedding, "std"):
        raise ValueError(
            f"{metric!r} has no noise to show: that takes a decoder with standard deviations, "
            "measured by geometry='euclidean'. Use background='magnification'."
        )
    noise = embedding.std(torch.as_tensor(at)).square().mean(1).sqrt().numpy()
    return np.log10(noise)
