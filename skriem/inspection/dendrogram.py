"""DendrogramDisplay: the tree of clusters of an estimator."""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import dendrogram
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from ..geometry.types import FloatArray
from ._style import new_axes, style_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# What is in no cluster, or in several.
NONE = "black"


class DendrogramDisplay:
    """A tree of clusters, with the largest distances at the top.

    Made by :meth:`from_estimator`. Branches have the colours of the clusters that they are in,
    and are black where they are in several or in none.

    Parameters
    ----------
    linkage : ndarray of shape (n - 1, 4)
        In the format of :func:`scipy.cluster.hierarchy.linkage`.
    labels : ndarray of shape (n,), default=None
        Cluster of each sample, -1 for none.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it was drawn last.
    figure_ : matplotlib Figure
        The figure of these.
    linkage, labels
        As above.

    Examples
    --------
    >>> from sklearn.datasets import make_moons
    >>> from skriem import RiemannianSingleLinkage
    >>> from skriem.inspection import DendrogramDisplay
    >>> X, _ = make_moons(100, noise=0.05, random_state=0)
    >>> display = DendrogramDisplay.from_estimator(RiemannianSingleLinkage().fit(X))
    >>> display.ax_.get_ylabel()
    'geodesic distance'
    """

    def __init__(self, linkage: FloatArray, labels: NDArray[Any] | None = None) -> None:
        self.linkage = linkage
        self.labels = labels

    @classmethod
    def from_estimator(
        cls, estimator: BaseEstimator, *, n_leaves: int = 20, ax: Axes | None = None
    ) -> DendrogramDisplay:
        """Draw the tree of a fitted estimator.

        Parameters
        ----------
        estimator : RiemannianSingleLinkage, or any estimator with ``linkage_``
            Fitted; also a Pipeline that ends in one.
        n_leaves : int, default=20
            Leaves that are drawn at most: what is joined below is one, with the number of its
            samples in brackets.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        DendrogramDisplay
        """
        if isinstance(estimator, Pipeline):
            estimator = estimator[-1]
        check_is_fitted(estimator)
        if not hasattr(estimator, "linkage_"):
            raise TypeError(f"{type(estimator).__name__} has no tree: no linkage_.")
        display = cls(estimator.linkage_, getattr(estimator, "labels_", None))
        return display.plot(ax, n_leaves=n_leaves)

    def plot(self, ax: Axes | None = None, *, n_leaves: int = 20) -> DendrogramDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
        n_leaves : int, default=20
            Leaves that are drawn at most.

        Returns
        -------
        DendrogramDisplay
            Itself.
        """
        check_scalar(n_leaves, "n_leaves", numbers.Integral, min_val=2)
        self.ax_ = ax = new_axes(ax)
        self.figure_ = ax.figure
        colors = self._colors()
        dendrogram(
            self.linkage,
            p=n_leaves,
            truncate_mode="lastp",
            link_color_func=lambda node: colors[node],
            leaf_rotation=90.0,
            ax=ax,
        )
        for side in ("top", "right", "bottom"):
            ax.spines[side].set_visible(False)
        ax.set(xlabel="sample, or (number of samples)", ylabel="geodesic distance")
        return self

    def _colors(self):
        """Colour of everything that is joined, by its number, and of every sample."""
        n = len(self.linkage) + 1
        given = np.full(n, -1) if self.labels is None else np.asarray(self.labels)
        # The highest and the lowest label of what is joined.
        low, high = np.r_[given, np.zeros(n - 1, int)], np.r_[given, np.zeros(n - 1, int)]
        for k, pair in enumerate(self.linkage[:, :2].astype(int)):
            low[n + k], high[n + k] = low[pair].min(), high[pair].max()
        return [style_of(a)[0] if a == b >= 0 else NONE for a, b in zip(low, high)]
