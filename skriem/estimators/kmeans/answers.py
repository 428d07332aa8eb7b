"""What fitted clusters say of samples: labels, distances, memberships and scores."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import TransformerMixin
from sklearn.utils.metaestimators import available_if

from ...geometry.types import FloatArray
from ...support.blocks import by_blocks
from ...support.rows import check_weights
from ..sparse_rows import SparseRows


def _has_memberships(estimator: Any) -> bool:
    # What has memberships of sparse data scikit-learn's checks take for a classifier.
    if not hasattr(estimator, "labels_"):
        raise AttributeError("predict_proba is there after fit.")
    if isinstance(getattr(estimator, "_rows", None), SparseRows):
        raise AttributeError("predict_proba is not there for clusters of sparse data.")
    return True


class ClusterAnswersMixin(TransformerMixin):
    """For estimators with ``_points``, which checks samples, and ``_clusters``, which know them."""

    _points: Any
    _clusters: Any

    @by_blocks
    def predict(self, X: ArrayLike) -> NDArray[np.intp]:
        """Cluster of each sample: that of the nearest centre.

        For plain data, of the nearest mean if the partition is that of k-means, and otherwise
        that of the nearest datum.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Of the same kind as in ``fit``: data if the estimator fitted its own encoder,
            otherwise points of the metric's space.

        Returns
        -------
        ndarray of shape (n_samples,)
            Integers below `n_clusters`.

        Raises
        ------
        ValueError
            If `X` carry another metric than `metric_`.
        """
        return self._clusters.labels(self._points(X))

    @by_blocks
    def transform(self, X: ArrayLike) -> FloatArray:
        """Geodesic distances of the samples to the centres.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Of the same kind as in ``fit``; see :meth:`predict`.

        Returns
        -------
        ndarray of shape (n_samples, n_clusters)
            In the unit of the metric; float64.
        """
        return self._clusters.to_centers(self._points(X))

    @available_if(_has_memberships)
    @by_blocks
    def predict_proba(self, X: ArrayLike) -> FloatArray:
        """Memberships of the samples in the clusters, as in fuzzy c-means with exponent 2.

        They are inverse to the squares of the distances to the centres or, for plain data, to the
        nearest sample of each cluster, from one ordinary step between neighbours on. The largest
        is that of the cluster that :meth:`predict` says, up to the accuracy of distances. They are
        no probabilities of a model; those of :class:`RiemannianNormal` are.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Of the same kind as in ``fit``; see :meth:`predict`.

        Returns
        -------
        ndarray of shape (n_samples, n_clusters)
            Rows sum to one.

        Raises
        ------
        AttributeError
            Before the fit, and after one to sparse data, for which it is not there.
        """
        return self._clusters.memberships(self._points(X))

    @by_blocks
    def score_samples(self, X: ArrayLike) -> FloatArray:
        """How ordinary samples are: minus their distance to the data, the lower the more abnormal.

        For plain data the distance to the fifth nearest sample, itself included, in units of its
        median in the cluster, so that -1 is ordinary in dense clusters and in sparse ones.
        Otherwise the geodesic distance to the centre of the cluster.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Of the same kind as in ``fit``; see :meth:`predict`.

        Returns
        -------
        ndarray of shape (n_samples,)
            Not positive.
        """
        return self._clusters.scores(self._points(X))

    def score(
        self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None
    ) -> float:
        """Minus the weighted sum of squared geodesic distances to the centres of the clusters.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Of the same kind as in ``fit``; see :meth:`predict`.
        y : Ignored
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights; None weighs all samples alike.

        Returns
        -------
        float
            Not positive; the larger the better. For the samples of ``fit`` it is minus
            ``inertia_``, up to the accuracy of the distances.
        """
        points = self._points(X)
        weights = check_weights(sample_weight, points)
        return -float(weights @ self._clusters.to_own(points)[1] ** 2)
