"""What the displays share: colours, axes, and the plane that codes are shown in."""

import numpy as np
from scipy.spatial import cKDTree

# Ten colours that stay apart for colour-blind readers (Petroff, arXiv 2107.02270), greys last: the
# background has them as well.
COLORS = (
    *("#3f90da", "#ffa90e", "#bd1f01", "#832db6", "#92dadd"),
    *("#a96b59", "#e76300", "#b9ac70", "#94a4a2", "#717581"),
)
MARKERS = "osD^v"
# Share of the width of the data that is shown around them.
MARGIN = 0.08
# A row of features is an image if it is a square of that side at the least.
MIN_SIDE = 8
# More classes than this are told apart by the picture, not by a legend.
MAX_LEGEND = 20
# Where there are no data: so many times further from the nearest point than nearly all points are
# from their fifth neighbour.
FAR, NEARLY_ALL, FIFTH = 3.0, 95.0, 5
NOTHING = "#e6def2"


def new_axes(ax, n_dims=2):
    """The axes given, or new ones in a new figure; three-dimensional ones for three dimensions."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            "Displays need matplotlib. Install it with `pip install 'skriem[plot]'`."
        ) from error
    projection = "3d" if n_dims == 3 else None
    if ax is None:
        return plt.subplots(
            layout="constrained", figsize=(7.0, 5.6), subplot_kw={"projection": projection}
        )[1]
    if projection and getattr(ax, "name", None) != "3d":
        raise ValueError(
            "Codes of 3 dimensions need three-dimensional axes: "
            "plt.subplots(subplot_kw={'projection': '3d'}), or leave ax out."
        )
    return ax


class Projection:
    """How points are shown: as they are in few dimensions, else by two components.

    Parameters
    ----------
    points : ndarray of shape (n, d)
        With more than `most` dimensions, their first two principal components span the plane.
    names : sequence of str or None
        Of the coordinates.
    most : int, default=3
    """

    def __init__(self, points, names=None, most=3):
        self.n_dims = points.shape[1]
        numbered = [f"coordinate {k + 1}" for k in range(self.n_dims)]
        self.names = numbered if names is None else names
        self._axes = None
        if self.n_dims > most:
            self._center = points.mean(0)
            _, sizes, axes = np.linalg.svd(points - self._center, full_matrices=False)
            share = sizes**2 / max((sizes**2).sum(), np.finfo(float).tiny)
            self._axes = axes[:2]
            self.names = [
                f"principal component {k + 1} of the points ({share[k]:.0%} of the variance)"
                for k in range(2)
            ]

    def __call__(self, points):
        """What is drawn for points (..., d): (..., 1, 2 or 3)."""
        if self._axes is None:
            return points
        return (points - self._center) @ self._axes.T

    def label(self, ax):
        """Name the axes."""
        for which, name in zip("xyz", self.names):
            getattr(ax, f"set_{which}label")(name)


def window(points):
    """Lower and upper corner of a box around points, two (d,) arrays."""
    low, high = points.min(0), points.max(0)
    width = high - low
    margin = MARGIN * np.where(width > 0, width, max(float(width.max()), 1.0))
    return low - margin, high + margin


def grid(low, high, resolution):
    """Points of a grid over a box of one or two dimensions, (resolution ** d, d)."""
    axes = [np.linspace(a, b, resolution) for a, b in zip(low, high)]
    return np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, len(low))


def is_continuous(labels):
    """Whether labels are measurements rather than names of classes."""
    labels = np.asarray(labels)
    return labels.dtype.kind == "f" and not np.array_equal(labels, np.round(labels))


def far_from(points, at):
    """Whether there are no data around places (m, d), (m,) bool."""
    tree = cKDTree(points)
    reach = tree.query(points, min(FIFTH + 1, len(points)))[0].reshape(len(points), -1)[:, -1]
    return tree.query(at)[0] > FAR * np.percentile(reach, NEARLY_ALL)


def draw_key(ax, handles):
    """What is drawn besides points, below the axes."""
    # The legend of the points is another.
    from matplotlib.legend import Legend

    names = [handle.get_label() for handle in handles]
    place = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.12), "ncols": len(handles)}
    key = Legend(ax, handles, names, frameon=False, fontsize="small", **place)
    # Otherwise no room is made for it.
    key.set_clip_on(False)
    ax.add_artist(key)


def draw_centers(ax, centers):
    """Centres (k, 2 or 3) as stars; returns what was drawn."""
    style = {"marker": "*", "color": "white", "edgecolor": "black"}
    return ax.scatter(*centers.T, s=150, zorder=5, label="centre", **style)


def draw_ellipses(ax, means, covariances):
    """Two standard deviations around means (k, 2)."""
    angle = np.linspace(0.0, 2.0 * np.pi, 100)
    circle = np.stack([np.cos(angle), np.sin(angle)])
    for mean, covariance in zip(means, covariances):
        ellipse = mean[:, None] + 2.0 * np.linalg.cholesky(covariance) @ circle
        ax.plot(*ellipse, color="black", linewidth=1.0, linestyle="--")


def draw_points(ax, points, labels, title=None):
    """Scatter points (n, d), coloured by labels where there are any; returns what was drawn.

    The title is that of the legend.
    """
    size = float(np.clip(6000.0 / max(1, len(points)), 5.0, 30.0))
    options = {"s": size, "linewidths": 0.0, "alpha": 0.85, "rasterized": len(points) > 5000}
    if labels is None:
        return [ax.scatter(*points.T, color=COLORS[0], **options)]
    labels = np.asarray(labels)
    if is_continuous(labels):
        drawn = ax.scatter(*points.T, c=labels, cmap="viridis", **options)
        ax.figure.colorbar(drawn, ax=ax, shrink=0.85, label=title or "")
        return [drawn]
    drawn = []
    for k, name in enumerate(np.unique(labels)):
        color, marker = style_of(k)
        mine = labels == name
        drawn.append(ax.scatter(*points[mine].T, color=color, marker=marker, label=name, **options))
    if len(drawn) <= MAX_LEGEND:
        # The third axis has its name where the legend would be.
        beside = (1.0 if points.shape[1] < 3 else 1.15, 0.5)
        legend = ax.legend(
            handles=drawn, title=title, loc="center left", bbox_to_anchor=beside, frameon=False
        )
        for handle in legend.legend_handles:
            handle.set_alpha(1.0)
            handle.set_sizes([30.0])
    return drawn


def style_of(k):
    """Colour and marker of the class of rank k."""
    return COLORS[k % len(COLORS)], MARKERS[(k // len(COLORS)) % len(MARKERS)]


def shape_of_images(image_shape, n_features, named):
    """Height and width of samples that are images, as given or of a square; None if they are none.

    Features that are `named` are not those of an image unless its shape is given.
    """
    if image_shape is None:
        side = round(n_features**0.5)
        return (side, side) if side**2 == n_features and side >= MIN_SIDE and not named else None
    if len(image_shape) != 2 or np.prod(image_shape) != n_features:
        raise ValueError(f"image_shape {image_shape} does not hold {n_features} features.")
    return tuple(image_shape)
