"""ContributionDisplay: which features tell samples from the next cluster."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from ..geometry.types import FloatArray
from ..support.pipelines import last_step
from ._style import COLORS, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Share of the space between two features that their bars take.
WIDTH = 0.8


class ContributionDisplay:
    """Features, and how much of the way to the own and to the next centre each of them is.

    Made by :meth:`from_estimator`. Where the bar of the next centre is long and that of the own
    is short, a feature is a reason for the cluster.

    Parameters
    ----------
    own, other : ndarray of shape (n_features,)
        Mean contributions to the distances to the own centre, and to the nearest other.
    feature_names : sequence of n_features str

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it was drawn last.
    figure_ : matplotlib Figure
        The figure of these.
    own, other, feature_names
        As above.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skriem import RiemannianKMeans
    >>> from skriem.inspection import ContributionDisplay
    >>> iris = load_iris(as_frame=True)
    >>> kmeans = RiemannianKMeans(3, random_state=0).fit(iris.data)
    >>> first = iris.data[kmeans.labels_ == kmeans.labels_[0]]
    >>> display = ContributionDisplay.from_estimator(kmeans, first)
    >>> display.ax_.get_yticklabels()[0].get_text()
    'petal length (cm)'
    """

    def __init__(self, own: FloatArray, other: FloatArray, feature_names: Sequence[str]) -> None:
        self.own, self.other = own, other
        self.feature_names = feature_names

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        X: ArrayLike,
        *,
        feature_names: Sequence[str] | None = None,
        n_features: int = 10,
        ax: Axes | None = None,
    ) -> ContributionDisplay:
        """Draw why samples are in their clusters.

        Parameters
        ----------
        estimator : RiemannianKMeans
            Fitted, with at least two clusters; also a Pipeline that ends in one.
        X : array-like of shape (n_samples, n_inputs)
            One sample, or several of which means are drawn: those of a cluster, say.
        feature_names : sequence of str, default=None
            Names of what :meth:`skriem.RiemannianKMeans.explain` says the contributions of. None
            takes those of the columns of `X`, if there are as many, or numbers.
        n_features : int, default=10
            Features that are drawn at most: those with the largest contributions to the way to
            the next cluster.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        ContributionDisplay
        """
        columns = list(getattr(X, "columns", ()))
        estimator, X = last_step(estimator, X)
        check_is_fitted(estimator)
        if not hasattr(estimator, "explain"):
            raise TypeError(f"{type(estimator).__name__} cannot explain: pass a RiemannianKMeans.")
        samples, clusters = estimator._samples(X), estimator._clusters
        distances = np.array(clusters.to_centers(samples.points))
        if distances.shape[1] < 2:
            raise ValueError("There is one cluster: nothing to tell it from.")
        own = clusters.labels(samples.points)
        distances[np.arange(len(own)), own] = np.inf
        to_own, to_other = (
            estimator._explained(samples, labels).mean(0) for labels in (own, distances.argmin(1))
        )
        if feature_names is None:
            n = len(to_own)
            feature_names = list(map(str, columns if len(columns) == n else range(n)))
        if len(feature_names) != len(to_own):
            raise ValueError(f"feature_names must be {len(to_own)}, got {len(feature_names)}.")
        return cls(to_own, to_other, feature_names).plot(ax, n_features=n_features)

    def plot(self, ax: Axes | None = None, *, n_features: int = 10) -> ContributionDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
        n_features : int, default=10
            Features that are drawn at most.

        Returns
        -------
        ContributionDisplay
            Itself.
        """
        check_scalar(n_features, "n_features", numbers.Integral, min_val=1)
        self.ax_ = ax = new_axes(ax)
        self.figure_ = ax.figure
        rows = np.argsort(-self.other, kind="stable")[:n_features]
        place = np.arange(len(rows))
        for shift, values, color, name in (
            (-0.5, self.other, COLORS[1], "to the nearest other centre"),
            (0.5, self.own, COLORS[0], "to the own centre"),
        ):
            at = place + 0.5 * WIDTH * shift
            label = f"{name}: {values.sum():.3g}"
            ax.barh(at, values[rows], 0.5 * WIDTH, color=color, label=label)
        ax.set_yticks(place, [self.feature_names[k] for k in rows])
        ax.invert_yaxis()
        for side in ("top", "right", "left"):
            ax.spines[side].set_visible(False)
        ax.tick_params(axis="y", length=0.0)
        ax.set_xlabel("contribution to the distance")
        ax.legend(
            title="mean distance", loc="upper left", bbox_to_anchor=(0.0, -0.16), frameon=False
        )
        return self
