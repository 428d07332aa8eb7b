"""InteractiveDisplay: points in a browser, where hovering shows the sample."""

from __future__ import annotations

import base64
import io
import numbers
import os
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_matrix, issparse
from sklearn.base import BaseEstimator
from sklearn.utils import check_scalar

from ..geometry.types import FloatArray
from ._fitted import look_into
from ._style import COLORS, MAX_LEGEND, Projection, is_continuous, shape_of_images, style_of

SHAPES = {"o": "circle", "s": "square", "D": "diamond", "^": "triangle", "v": "inverted_triangle"}
# Pixels: of a picture at most and at first, and of the image of a sample.
WIDTH, HEIGHT, IMAGE = 760, 560, 96
TOOLS = "pan,wheel_zoom,box_zoom,reset,save"


class InteractiveDisplay:
    """Points as an estimator sees them, in a browser: hovering over one shows the sample.

    Points can be zoomed and moved, and a click at a name in the legend hides its cluster. Made by
    :meth:`from_estimator`; :meth:`save` writes a page that needs no network, and notebooks show
    the display itself. Needs bokeh: ``pip install skriem[interactive]``.

    Of more dimensions than two the first two principal components of the points are shown, as the
    axes say.

    Parameters
    ----------
    points : ndarray of shape (n, d)
        In the coordinates of the metric.
    notes : sequence of n str
        What hovering over a point shows, in HTML.
    labels : ndarray of shape (n,), default=None
        What points are coloured by: names of classes, or measurements.
    centers : ndarray of shape (k, d), default=None
        Drawn as stars.
    axis_names : sequence of d str, default=None
        Names of the coordinates; None numbers them.
    legend_title : str, default=None
        What the labels are.

    Attributes
    ----------
    figure_ : bokeh figure
        What was drawn last, for finishing touches and ``bokeh.plotting.show``.
    points, notes, labels, centers, axis_names, legend_title
        As above.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skriem import RiemannianKMeans
    >>> from skriem.inspection import InteractiveDisplay
    >>> X = load_iris(as_frame=True).data
    >>> kmeans = RiemannianKMeans(3, random_state=0).fit(X)
    >>> display = InteractiveDisplay.from_estimator(kmeans, X)  # doctest: +SKIP
    >>> display.save("iris.html")  # doctest: +SKIP
    """

    def __init__(
        self,
        points: FloatArray,
        notes: Sequence[str],
        *,
        labels: NDArray[Any] | None = None,
        centers: FloatArray | None = None,
        axis_names: Sequence[str] | None = None,
        legend_title: str | None = None,
    ) -> None:
        self.points = points
        self.notes = notes
        self.labels = labels
        self.centers = centers
        self.axis_names = axis_names
        self.legend_title = legend_title

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        samples: ArrayLike | None = None,
        n_features: int = 10,
        feature_names: Sequence[str] | None = None,
        image_shape: tuple[int, int] | None = None,
    ) -> InteractiveDisplay:
        """Draw samples as a fitted estimator sees them.

        Parameters
        ----------
        estimator : fitted estimator
            One of this package's, or a :class:`~sklearn.pipeline.Pipeline` with one.
        X : array-like of shape (n_samples, n_features)
            Of the kind that the estimator takes: data, or codes.
        y : array-like of shape (n_samples,), default=None
            What points are coloured by. None: predicted labels, if the estimator has any.
        samples : array-like, sparse matrix or data frame of n_samples rows, default=None
            What hovering shows of every sample. None: `X`.
        n_features : int, default=10
            Features that are shown at most: the first ones, of sparse matrices the largest of each
            row.
        feature_names : sequence of str, default=None
            Names of the features of `samples`. None takes those of their columns, or numbers.
        image_shape : (int, int), default=None
            Height and width of samples that are images. None: those of a square, if there are as
            many features as one of at least eight has and they have no names. Otherwise samples
            are no images.

        Returns
        -------
        InteractiveDisplay

        Raises
        ------
        ImportError
            If bokeh is missing.
        ValueError
            If `samples` or `feature_names` are not as many as they have to be.
        """
        _bokeh()
        check_scalar(n_features, "n_features", numbers.Integral, min_val=1)
        found = look_into(estimator, X)
        labels = found.labels if y is None else np.asarray(y)
        title = found.title(y)
        notes = notes_of(X if samples is None else samples, n_features, feature_names, image_shape)
        if len(notes) != len(found.points):
            raise ValueError(f"samples must be {len(found.points)} rows, got {len(notes)}.")
        if labels is not None:
            notes = [f"<b>{escape(f'{title} {_said(k)}')}</b>, {n}" for k, n in zip(labels, notes)]
        return cls(
            found.points,
            notes,
            labels=labels,
            centers=found.centers,
            axis_names=found.axis_names,
            legend_title=title,
        ).plot()

    def plot(self) -> InteractiveDisplay:
        """Draw.

        Returns
        -------
        InteractiveDisplay
            Itself.
        """
        bokeh = _bokeh()
        shown = Projection(self.points, self.axis_names, most=2)
        self.figure_ = figure = bokeh.plotting.figure(
            width=WIDTH,
            height=HEIGHT,
            max_width=WIDTH,
            sizing_mode="stretch_width",
            tools=TOOLS,
            active_scroll="wheel_zoom",
        )
        figure.xaxis.axis_label = shown.names[0]
        figure.yaxis.axis_label = shown.names[1] if len(shown.names) > 1 else ""
        at = _plane(shown(self.points))
        drawn = [
            figure.scatter("x", "y", source=self._source(bokeh, at, rows), size=7, **style)
            for rows, style in self._groups(bokeh, figure)
        ]
        tooltips = "<div style='max-width: 24em'>@note{safe}</div>"
        figure.add_tools(bokeh.models.HoverTool(renderers=drawn, tooltips=tooltips))
        if self.centers is not None:
            stars = {"size": 18, "fill_color": "white", "line_color": "black"}
            figure.scatter(
                *_plane(shown(np.asarray(self.centers))).T,
                marker="star",
                legend_label="centre",
                **stars,
            )
        if figure.legend:
            legend = figure.legend[0]
            legend.title, legend.click_policy = self.legend_title, "hide"
            legend.border_line_color = None
            figure.add_layout(legend, "right")
        return self

    def to_html(self) -> str:
        """The picture as a page of HTML that needs no network.

        Returns
        -------
        str
        """
        bokeh = _bokeh()
        page: str = bokeh.embed.file_html(self.figure_, bokeh.resources.INLINE, title="skriem")
        return page

    def save(self, file: str | os.PathLike[str]) -> None:
        """Write the picture as a page of HTML that needs no network.

        Parameters
        ----------
        file : str or path
            What is there is overwritten.
        """
        with open(file, "w", encoding="utf-8") as page:
            page.write(self.to_html())

    def _repr_html_(self) -> str:
        style = f"width: 100%; max-width: {WIDTH + 20}px; height: {HEIGHT + 20}px; border: none"
        return f'<iframe srcdoc="{escape(self.to_html())}" style="{style}"></iframe>'

    def _source(self, bokeh, at, rows):
        """Coordinates and notes of some points, and what they are coloured by."""
        data = {"x": at[rows, 0], "y": at[rows, 1], "note": np.asarray(self.notes)[rows]}
        if self.labels is not None and is_continuous(self.labels):
            data["value"] = np.asarray(self.labels)[rows]
        return bokeh.models.ColumnDataSource(data)

    def _groups(self, bokeh, figure):
        """Which points look alike, and how: pairs of rows and style."""
        everyone, bare = slice(None), {"line_color": None, "alpha": 0.85}
        if self.labels is None:
            return [(everyone, {"color": COLORS[0], **bare})]
        labels = np.asarray(self.labels)
        if is_continuous(labels):
            low, high = float(labels.min()), float(labels.max())
            colors = bokeh.models.LinearColorMapper("Viridis256", low=low, high=high)
            bar = bokeh.models.ColorBar(color_mapper=colors, title=self.legend_title)
            figure.add_layout(bar, "right")
            return [(everyone, {"color": {"field": "value", "transform": colors}, **bare})]
        groups, names = [], np.unique(labels)
        for k, name in enumerate(names):
            color, marker = style_of(k)
            style = {"color": color, "marker": SHAPES[marker], **bare}
            if len(names) <= MAX_LEGEND:
                style["legend_label"] = str(name)
            groups.append((labels == name, style))
        return groups


def notes_of(samples, n_features, feature_names=None, image_shape=None):
    """What is said of samples, in HTML.

    Parameters
    ----------
    samples : array-like, sparse matrix or data frame of shape (n, p)
    n_features : int
        How many of them are said at most.
    feature_names : sequence of p str or None
    image_shape : (int, int) or None

    Returns
    -------
    list of n str
    """
    index = getattr(samples, "index", None)
    columns = getattr(samples, "columns", None)
    rows = csr_matrix(samples) if issparse(samples) else np.asarray(samples)
    if rows.ndim != 2:
        raise ValueError(f"samples must have rows and columns, got {rows.ndim} dimensions.")
    n, p = rows.shape
    named = columns is not None or feature_names is not None
    if feature_names is None:
        feature_names = [f"feature {k + 1}" for k in range(p)] if columns is None else columns
    names = [escape(str(name)) for name in feature_names]
    if len(names) != p:
        raise ValueError(f"feature_names must be {p}, got {len(names)}.")
    ids = range(n) if index is None or callable(index) or len(index) != n else index
    heads = [f"sample {escape(str(k))}" for k in ids]
    if issparse(samples):
        bodies = [_largest(rows[[k]], names, n_features) for k in range(n)]
    elif rows.dtype.kind in "biuf" and shape_of_images(image_shape, p, named):
        bodies = _images(rows.reshape(n, *shape_of_images(image_shape, p, named)))
    else:
        bodies = [_table(names[:n_features], row[:n_features]) for row in rows]
    return [head + body for head, body in zip(heads, bodies)]


def _table(names, values):
    """Names and values below each other."""
    rows = (f"<tr><td>{a}</td><td>{escape(_said(b))}</td></tr>" for a, b in zip(names, values))
    return f"<table>{''.join(rows)}</table>"


def _largest(row, names, n_features):
    """The largest entries of a sparse row."""
    order = np.argsort(-row.data, kind="stable")[:n_features]
    return _table([names[row.indices[k]] for k in order], row.data[order])


def _images(images):
    """Samples as pictures, all from the same black to the same white."""
    from matplotlib.image import imsave

    low, high = np.nanmin(images), np.nanmax(images)
    style = f"display: block; width: {IMAGE}px; image-rendering: pixelated"
    found = []
    for image in images:
        file = io.BytesIO()
        imsave(file, image, cmap="gray", vmin=low, vmax=high, format="png")
        data = base64.b64encode(file.getvalue()).decode()
        found.append(f"<img src='data:image/png;base64,{data}' style='{style}'>")
    return found


def _said(value):
    """A value as people read it."""
    if value is None or (isinstance(value, numbers.Real) and np.isnan(value)):
        return "–"
    return f"{value:.4g}" if isinstance(value, (float, np.floating)) else str(value)


def _plane(points):
    """Points (n, 1 or 2) in the plane, (n, 2)."""
    return points if points.shape[1] > 1 else np.column_stack([points, np.zeros(len(points))])


def _bokeh():
    try:
        import bokeh.embed
        import bokeh.models
        import bokeh.plotting
        import bokeh.resources
    except ImportError as error:
        raise ImportError(
            "InteractiveDisplay needs bokeh. Install it with `pip install 'skriem[interactive]'`."
        ) from error
    return bokeh
