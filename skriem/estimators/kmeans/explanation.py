"""Which features distances to centres are made of."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from ...geometry import Metric
from ...geometry.metrics.base import warn_unconverged
from ...geometry.types import FloatArray
from ...support.latent import find_metric
from ...support.pipelines import last_step
from ..dense_rows import DenseRows
from ..neighbor_encoder import _NeighborEncoder
from .clusters import TOL


def has_coordinates(estimator: Any) -> bool:
    """Whether samples are more than their distances; a reason where they are not."""
    # What was fitted stays what it is, whatever parameters are set to afterwards.
    is_fitted = hasattr(estimator, "labels_")
    if not (hasattr(estimator, "metric_") if is_fitted else not estimator._is_precomputed):
        raise AttributeError(
            "partial_fit and explain need samples, and metric='precomputed' has no coordinates: "
            "use fit and transform, or give the samples and a metric."
        )
    return True


class Samples(NamedTuple):
    """Samples that are encoded once, however often they are asked about."""

    points: FloatArray  # (n, d)
    seen: Any  # what the encoder was given


class ExplanationMixin:
    """For estimators of ``MetricConsumerMixin`` with ``_clusters``."""

    _clusters: Any
    _check_carried: Any
    _embed_values: Any
    encoder_: Any
    metric_: Metric
    _rows: DenseRows | None
    _reads_tables: bool
    _dense: Any

    @available_if(has_coordinates)
    def explain(self, X: ArrayLike, label: ArrayLike | None = None) -> FloatArray:
        """How much every feature contributes to the distances from samples to a centre.

        Along the shortest way to the centre, a step that moves several features is divided among
        them as their squares make up the square of its length. The features with large shares of
        the ways to other centres are what tells clusters apart.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Of the same kind as in ``fit``; see :meth:`predict`.
        label : int or array-like of shape (n_samples,), default=None
            To which centre. None: to that of the sample's own cluster, as :meth:`predict` says.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            In the unit of the metric. Rows add up to the distances in :meth:`transform`, up to
            the accuracy of these. Where the metric is that of a decoder, its data's features,
            of each the mean and the noise; where a metric of one's own was given, the outputs
            of its map or, if it has none, coordinates.

        Raises
        ------
        ValueError
            If labels are no clusters or do not match the samples.

        Notes
        -----
        Data that :class:`~skriem.NeighborEncoder` encodes are compared along at most 50 principal
        components, and so are their features here: ways are made of steps from sample to sample,
        each as long as it is among the codes.
        """
        samples = self._samples(X)
        if label is None:
            return self._explained(samples, self._clusters.labels(samples.points))
        return self._explained(samples, self._checked(label, len(samples.points)))

    def _samples(self, X):
        """Samples as they are explained, :class:`Samples`."""
        check_is_fitted(self)
        self._check_carried(find_metric(X), self.metric_)
        values = self._dense(X)
        return Samples(self._embed_values(values), X if self._reads_tables else values)

    def _explained(self, samples, labels):
        """Contributions to the distances to the centres of some labels, (n, n_features)."""
        way = self.metric_.geodesic(samples.points, self._clusters.centers[labels], tol=TOL)
        warn_unconverged(way, ConvergenceWarning)
        encoder = self.encoder_
        if isinstance(encoder, FrozenEstimator):
            encoder = encoder.estimator
        last = encoder[-1] if isinstance(encoder, Pipeline) else encoder
        if isinstance(last, _NeighborEncoder) and (last.encoder_ or self._rows):
            seen = last_step(encoder, samples.seen)[1]
            return shared(way, last._steps_to(seen, way), self._rows)
        return np.asarray(self.metric_.contributions(way))

    def _checked(self, label, n):
        """Given labels, one for each of n samples."""
        labels, n_clusters = np.asarray(label), len(self._clusters.centers)
        if labels.shape not in ((), (n,)) or labels.dtype.kind not in "iu":
            raise ValueError(f"label must be one cluster's number or {n} of them, got {label!r}.")
        if labels.size and not (labels.min() >= 0 and labels.max() < n_clusters):
            raise ValueError(f"label must be from 0 to {n_clusters - 1}, got {label!r}.")
        return np.broadcast_to(labels, n)


def shared(way, steps, made=None):
    """Lengths of ways divided among features, as their squares make up those of the steps.

    Parameters
    ----------
    way : Geodesics
    steps : iterable
        Of every way its steps (n_steps, q) and their lengths up to a factor, (n_steps,).
    made : DenseRows or None
        What the q columns were made by, if not features themselves.

    Returns
    -------
    ndarray of shape (n, n_features)
    """
    rows = []
    for length, (moves, arcs) in zip(way.length, steps):
        squares = np.square(moves) if made is None else made.feature_squares(moves)
        total = squares.sum(1)
        parts = arcs / np.where(total > 0.0, total, 1.0) @ squares
        rows.append(parts * (length / (parts.sum() or 1.0)))
    return np.array(rows)
