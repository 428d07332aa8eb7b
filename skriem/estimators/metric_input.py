"""The one rule by which estimators find the geometry of their input."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.validation import check_is_fitted, has_fit_parameter, validate_data

from ..geometry import Metric, local_metric
from ..support.cells import NUMBER, read_table
from ..support.latent import find_metric
from ..support.pipelines import first_step
from ..support.rows import check_weights, distinct_rows, names_refused, validated
from .autoencoder.base import MAX_GRAPH_POINTS
from .autoencoder.vae import VAETransformer
from .count_rows import CountRows, are_counts
from .dense_rows import DenseRows
from .sparse_rows import SparseRows
from .table_rows import TableRows, mixed_table

# What attaches a metric to what it puts out.
ENCODERS = "VAETransformer", "NeighborEncoder", "DeepRegressionTransformer"


class MetricConsumerMixin:
    """For estimators that work on points of a Riemannian space and may have to find it first.

    ``metric="auto"`` means: codes bring their metric along; anything else is data, and an
    encoder is fitted to it, a :class:`VAETransformer` unless the estimator says otherwise.
    """

    _rows: DenseRows | None
    # Whether the encoder reads samples itself, as in a pipeline: validated rows are its codes.
    _reads_tables: bool

    @property
    def _makes_rows(self) -> bool:
        """Whether sparse matrices and tables of mixed columns are taken, too."""
        return False

    def _default_geometry(self, values):
        return VAETransformer()

    def _fit_metric(self, X, sample_weight=None):
        """Settle ``metric_`` and ``encoder_``.

        Returns
        -------
        values : ndarray of shape (n_samples, n_features)
            Validated `X`, or what an encoder that reads tables made of it.
        rng : RandomState
        """
        carried, metric = find_metric(X), self.metric
        rng = check_random_state(self.random_state)
        self.encoder_: Any = None
        self._reads_tables = carried is None and _takes_tables(metric, X)
        values = X if self._reads_tables else self._fit_rows(X, sample_weight, rng)
        if isinstance(metric, str) and metric == "auto":
            metric = self._default_geometry(values) if carried is None else carried
        if isinstance(metric, str) and metric == "local":
            rows, weights = distinct_rows(values, check_weights(sample_weight, values))
            if len(rows) < 2:
                raise ValueError("All rows of X are the same: they have no variance.")
            metric = local_metric(rows, points=self._some(rows, rng), sample_weight=weights)
        if isinstance(metric, Metric):
            self._check_carried(carried, metric)
            if values.shape[1] != metric.n_dims:
                raise ValueError(
                    f"X has {values.shape[1]} columns, but the metric has {metric.n_dims} "
                    "coordinates."
                )
        elif hasattr(metric, "fit") and hasattr(metric, "transform"):
            if carried is not None:
                raise ValueError(
                    "X are codes that carry their own metric, but metric= asks to fit an "
                    "encoder to them. Leave metric='auto' to use the codes' metric, or pass "
                    "the original data."
                )
            self._check_not_stripped(X)
            metric, values = self._fit_encoder(metric, values, sample_weight, rng)
        else:
            raise ValueError(
                "metric must be 'auto', 'local', a metric such as "
                "skriem.geometry.PullbackMetric, or an "
                f"estimator such as VAETransformer(); got {self.metric!r}."
            )
        if metric.points is None:
            metric = metric.with_points(self._some(self._embed_values(values), rng))
        self.metric_: Metric = metric
        return values, rng

    def _some(self, points, rng):
        """As many of the points as a graph can take."""
        if len(points) <= MAX_GRAPH_POINTS:
            return points
        return points[np.sort(rng.choice(len(points), MAX_GRAPH_POINTS, replace=False))]

    def _fit_encoder(self, encoder, values, sample_weight, rng):
        """Fit a clone of the encoder and return the metric of its codes, and validated rows."""
        encoder = clone(encoder)
        weighted = {}
        if not isinstance(encoder, FrozenEstimator):
            if encoder.get_params(deep=False).get("random_state", 0) is None:
                encoder.set_params(random_state=rng.randint(2**31 - 1))
            if sample_weight is not None:
                if not has_fit_parameter(encoder, "sample_weight"):
                    raise ValueError(
                        f"{encoder!r} does not take sample_weight. Use a VAETransformer, or "
                        "fit the encoder first and pass FrozenEstimator(encoder)."
                    )
                weighted["sample_weight"] = sample_weight
        # A frozen estimator insists on its second argument.
        self.encoder_ = encoder.fit(values, None, **weighted)
        if self._reads_tables:
            self._rows = None
            validate_data(self, values, skip_check_array=True)
            codes = self._encode(values)
            values = np.array(codes, dtype=np.float64, subok=False)
        else:
            codes = self._encode(values[:1])
        metric = find_metric(codes)
        if metric is None:
            raise ValueError(
                f"What {encoder!r} returns carries no metric. Its last step must be a "
                f"{' or a '.join(ENCODERS)} that puts out arrays or pandas frames."
            )
        return metric, values

    def _group_means(self, n):
        """Means of the `n` main groups of the encoder's codes, a list of one array (n, d); of none
        where it knows of no so many.
        """
        encoder = encoder_within(self.encoder_)
        return encoder._main_means(n) if isinstance(encoder, VAETransformer) else []

    def _encode(self, values):
        """What the encoder makes of values, in arrays whatever users want to see elsewhere."""
        with config_context(transform_output="default"):
            return self.encoder_.transform(values)

    def _check_not_stripped(self, X):
        """Refuse codes that are known by the names of their columns only."""
        # Behind a ColumnTransformer names have the name of its branch in front.
        names = [str(name).rsplit("__", 1)[-1] for name in getattr(X, "columns", ())]
        for encoder in ENCODERS:
            if names and all(name.startswith(encoder.lower()) for name in names):
                raise ValueError(
                    f"These columns are codes of a {encoder}, but their metric was lost on the "
                    "way: polars frames cannot carry it, and some steps drop it. Let the "
                    f"{encoder} put out arrays or pandas frames, or pass the fitted encoder, "
                    "metric=FrozenEstimator(encoder), with the original data."
                )

    def _embed_values(self, values):
        """Validated values as points in the coordinates of the metric, float64 (n, d)."""
        if self.encoder_ is not None and not self._reads_tables:
            values = self._encode(values)
        return np.array(values, dtype=np.float64, subok=False, order="C")

    def _points(self, X):
        """New samples as points in the coordinates of the fitted metric, float64 (n, d)."""
        check_is_fitted(self)
        self._check_carried(find_metric(X), self.metric_)
        if find_metric(X) is not None and self.encoder_ is not None:
            # Codes that this estimator's own encoder made.
            return np.array(X, dtype=np.float64, subok=False, order="C")
        return self._embed_values(self._dense(X))

    def _fit_rows(self, X, sample_weight, rng):
        """Validated `X` as a dense table of numbers."""
        self._rows = None
        table = mixed_table(X) if self._makes_rows else None
        if table is not None:
            validate_data(self, X, skip_check_array=True)
            self._rows = TableRows().fit(table, sample_weight)
            return self._rows.transform(table)
        takes = "csr" if self._makes_rows else False
        if issparse(X) and not takes:
            asked = f"metric={self.metric!r}" if isinstance(self.metric, str) else "this metric"
            raise TypeError(
                f"Sparse X is not taken by {type(self).__name__} with {asked}, which is for points "
                "of few coordinates. Let a step before it make them, such as TruncatedSVD(10) or "
                "VAETransformer() in a pipeline; RiemannianKMeans with metric='auto' takes sparse "
                "matrices as they are."
            )
        with names_refused("metric=VAETransformer(likelihood='auto')"):
            values = validated(self, X, accept_sparse=takes, ensure_min_samples=2)
        if issparse(values):
            self._rows = SparseRows(rng.randint(2**31 - 1)).fit(values, sample_weight)
            values = self._rows.transform(values)
        elif self._makes_rows and are_counts(values):
            self._rows = CountRows().fit(values, sample_weight)
            values = self._rows.transform(values)
        return values

    def _dense(self, X):
        """New samples, validated, as rows of the kind that was fitted."""
        if self._reads_tables:
            validate_data(self, X, skip_check_array=True, reset=False)
            return np.asarray(self._encode(X))
        if isinstance(self._rows, TableRows):
            if hasattr(X, "columns"):
                validate_data(self, X, skip_check_array=True, reset=False)
            return self._rows.transform(X)
        takes = "csr" if self._makes_rows or self._rows is not None else False
        try:
            values = validated(self, X, reset=False, accept_sparse=takes)
        except ValueError as error:
            if self._makes_rows and mixed_table(X) is not None:
                raise ValueError(
                    "X has gaps or columns that are no numbers, and the frame in fit had none: "
                    "what it takes to fill in or encode was not learned. Fit to rows of which "
                    f"some have them, or fill in and encode X first. ({error})"
                ) from error
            raise
        if self._rows is not None:
            return self._rows.transform(values)
        return values.toarray() if issparse(values) else values

    def _check_carried(self, carried, metric):
        if carried is not None and carried != metric:
            raise ValueError(
                f"These codes belong to another metric ({carried!r}) than the one that "
                f"{type(self).__name__} uses ({metric!r}). Transform the data with the encoder "
                "that was used in fit, or fit again."
            )


def encoder_within(estimator):
    """What puts out codes: the last step of pipelines, frozen or not."""
    while isinstance(estimator, (FrozenEstimator, Pipeline)):
        frozen = isinstance(estimator, FrozenEstimator)
        estimator = estimator.estimator if frozen else estimator[-1]
    return estimator


def _takes_tables(metric, X):
    """Whether an encoder is to read `X` itself, since nobody else makes numbers of it."""
    if isinstance(metric, (str, Metric)) or not hasattr(metric, "fit"):
        return False
    first = first_step(metric)
    if hasattr(first, "__sklearn_tags__") and get_tags(first).input_tags.string:
        return True
    is_frame = hasattr(X, "columns") and hasattr(X, "dtypes")
    return is_frame and any(kind != NUMBER for kind in read_table(X).kinds)
