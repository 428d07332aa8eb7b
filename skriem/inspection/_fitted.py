"""What can be drawn of a fitted estimator: its points, their metric, labels and centres."""

from typing import NamedTuple

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from ..estimators.metric_input import MetricConsumerMixin
from ..estimators.neighbor_encoder import _NeighborEncoder
from ..geometry import Metric
from ..support.latent import find_metric


class Fitted(NamedTuple):
    """What is known of samples through an estimator."""

    points: np.ndarray  # (n, d)
    metric: Metric
    labels: np.ndarray | None  # (n,)
    centers: np.ndarray | None  # (k, d)
    covariances: np.ndarray | None  # (k, d, d), where codes have a mixture for a prior
    what: str | None  # labels are
    axis_names: list[str]

    def title(self, y):
        """What points are coloured by: these labels, or `y` in place of them."""
        return self.what if y is None else str(getattr(y, "name", None) or "y")


def look_into(estimator, X):
    """Points, metric, labels and centres of samples `X`, as a :class:`Fitted`.

    Of a pipeline, the last step that has a metric counts, and the labels are the pipeline's.
    """
    labels = None
    if isinstance(estimator, Pipeline):
        with_metric = [k for k, (_, step) in enumerate(estimator.steps) if hasattr(step, "metric_")]
        if not with_metric:
            raise _unknown(estimator)
        last = with_metric[-1]
        if last < len(estimator) - 1 and hasattr(estimator, "predict"):
            labels = np.asarray(estimator.predict(X))
        X = estimator[:last].transform(X) if last else X
        estimator = estimator[last]
    check_is_fitted(estimator)
    if not isinstance(getattr(estimator, "metric_", None), Metric):
        raise _unknown(estimator)
    centers = getattr(estimator, "cluster_centers_", getattr(estimator, "means_", None))
    names = _axis_names(estimator, X)
    if isinstance(estimator, MetricConsumerMixin):
        if labels is None and hasattr(estimator, "predict"):
            labels = estimator.predict(X)
        what = "component" if hasattr(estimator, "means_") else "cluster"
        return Fitted(estimator._points(X), estimator.metric_, labels, centers, None, what, names)
    if find_metric(X) is not None:
        # Codes: what an autoencoder says of data it cannot say of them.
        points = np.array(X, dtype=float)
        return Fitted(points, estimator.metric_, labels, None, None, "label", names)
    points, covariances = np.array(estimator.transform(X), dtype=float), None
    what = "label" if hasattr(estimator, "predict") and labels is not None else "component"
    if hasattr(estimator, "predict"):
        groups = estimator.predict(X)
        labels = groups if labels is None else labels
        # Those of the largest share come first; from some point on no sample belongs to any.
        n_used = int(np.max(groups)) + 1
        centers, covariances = centers[:n_used], estimator.covariances_[:n_used]
    return Fitted(points, estimator.metric_, labels, centers, covariances, what, names)


def _axis_names(estimator, X):
    """What the coordinates of points are called: features are those of the data, or codes."""
    encoder = estimator
    if isinstance(estimator, MetricConsumerMixin):
        encoder = estimator.encoder_
    n, kind = estimator.metric_.n_dims, "code"
    are_data = isinstance(encoder, _NeighborEncoder) and encoder.encoder_ is None
    if are_data or (encoder is None and find_metric(X) is None):
        kind = "feature" if are_data else "coordinate"
        names = list(getattr(estimator, "feature_names_in_", ()))
        if len(names) == n:
            return names
    return [f"{kind} {k + 1}" for k in range(n)]


def _unknown(estimator):
    return TypeError(
        f"{type(estimator).__name__} has no fitted metric to draw. Pass a fitted VAETransformer, "
        "NeighborEncoder, DeepRegressionTransformer, RiemannianKMeans, RiemannianSingleLinkage, "
        "RiemannianNormal or GeodesicDistance, or a fitted Pipeline with one of them."
    )
