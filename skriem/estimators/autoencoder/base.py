"""Fitting, encoding and decoding of a variational autoencoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ...geometry import MetricField, PullbackMetric
from ...geometry.types import FloatArray, RandomState
from ...support.blocks import by_blocks
from ...support.fitting import all_or_nothing, later_generator
from ...support.parts import by_dense_rows, some_rows
from ...support.rows import distinct_rows
from ...support.state import Estimator
from .density import _Density
from .dynamics_prior import DynamicsPrior
from .export import _Export
from .geometry import embedding_of, metric_of
from .missing import _Missing, known, without_empty_rows
from .mixture_prior import MixturePrior
from .neighbors import Neighbors, neighbors_of
from .networks import NetworkSettings, network_of
from .noise import NoiseSettings, noise_of
from .parts import check_parameters, nearest_rows
from .prior import _Groups, check_prior
from .reading import _Reading
from .renamed import check_names, knows_old_names
from .sequences import _Sequences, distinct_sequences, in_sequences, order_of, refuse_groups
from .sparse import _Sparse, distinct
from .training import _Training

if TYPE_CHECKING:
    from typing_extensions import Self

LikelihoodName = Literal[
    "gaussian", "student_t", "bernoulli", "categorical", "poisson", "negative_binomial", "auto"
]
MAX_GRAPH_POINTS = 1000
# Rows kept by partial_fit to estimate the noise and the graph from.
MAX_RESERVOIR = 2000
# Steps from neighbour to neighbour between samples whose codes attract each other.
N_STEPS = 6


class _VAE(
    _Groups,
    _Sequences,
    _Density,
    _Training,
    _Missing,
    _Reading,
    _Sparse,
    _Export,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    Estimator,
):
    """Everything but the metric on the codes; see :class:`skriem.VAETransformer`.

    scikit-learn wraps the ``transform`` of every class to honour ``set_output``. The metric has
    to go on after that, hence a class above this one.
    """

    def __init__(
        self,
        n_components: int = 2,
        *,
        network: Sequence[int] | NetworkSettings = (64, 32),
        likelihood: LikelihoodName | dict[Any, LikelihoodName] = "gaussian",
        prior: Literal["normal", "mixture", "student_t", "dynamics"]
        | MixturePrior
        | DynamicsPrior = "normal",
        geometry: Literal["auto", "expected", "fisher_rao"] = "auto",
        noise: Literal["rbf", "mlp", "constant"] | NoiseSettings = "rbf",
        neighbors: int | Neighbors | None = None,
        alpha: float = 1e-5,
        flatness: float = 0.0,
        n_importance_samples: int = 1,
        batch_size: int | Literal["auto"] = "auto",
        learning_rate_init: float = 3e-3,
        max_iter: int = 200,
        tol: float = 1e-3,
        n_iter_no_change: int = 20,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        warm_start: bool = False,
        device: str = "auto",
        mixed_precision: bool = False,
        random_state: RandomState = None,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.network = network
        self.likelihood = likelihood
        self.prior = prior
        self.geometry = geometry
        self.noise = noise
        self.neighbors = neighbors
        self.alpha = alpha
        self.flatness = flatness
        self.n_importance_samples = n_importance_samples
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.warm_start = warm_start
        self.device = device
        self.mixed_precision = mixed_precision
        self.random_state = random_state
        self.verbose = verbose

    def set_params(self, **params: Any) -> Self:
        """Set parameters of this estimator and of its parts; see scikit-learn's."""
        check_names(params)
        for name in params:
            part = name.partition("__")[0]
            value = params.get(part, getattr(self, part, None))
            if "__" in name and not isinstance(value, BaseEstimator) and hasattr(self, part):
                raise ValueError(
                    f"{name} is a parameter of a part, but {part}={value!r} is none: pass one, "
                    "such as noise=RBFNoise(), network=Perceptron(), neighbors=Neighbors() or "
                    "prior=MixturePrior()."
                )
        return super().set_params(**params)

    @all_or_nothing
    def fit(
        self,
        X: ArrayLike,
        y: object = None,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Train the autoencoder, then the precision network on its codes.

        The result depends on the weighted set of distinct rows only: neither their order nor
        whether a row is repeated or has a larger weight matters. An interrupt from the keyboard
        during training ends it there, with a warning and a model that can be used. Where joblib
        runs the fit, as in searches, cross-validation and pipelines, the interrupt ends all that.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Data, at least two different rows. Entries may be missing, NaN: encoders then see
            which are, and the others count.
        y : Ignored
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights; None weighs all rows alike.
        groups : array-like of shape (n_samples,), default=None
            Which sequence each row belongs to, for ``prior="dynamics"``; None: all to one. Rows of
            a sequence are in the order of time, and others may lie between them. Their weights
            are the same, and rows that are NaN throughout are missing steps.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ValueError
            If all rows are the same, the data are not of the kind that the likelihood is for,
            or training diverges: the loss is no longer finite.

        Warns
        -----
        ConvergenceWarning
            If training was interrupted.
        """
        check_parameters(self)
        check_prior(self)
        values, weights = self._read_first(X, sample_weight)
        asked = values, groups
        values, weights, steps = self._distinct(values, weights, groups)
        if values.shape[0] < 2:
            raise ValueError("All rows of X are the same: there is nothing to encode.")
        rng = check_random_state(self.random_state)
        warm = self.warm_start and self._continues(values)
        if warm:
            self._check(values)
        else:
            seen = slice(None) if steps is None else ~np.isnan(values).all(axis=1)
            self._init(values[seen], weights[seen], rng)
        neighbors, settings = None, self._neighbors
        if settings is not None:
            neighbors = nearest_rows(known(self._in_unit(values)), settings.n_neighbors)
        self._start_prior(values, weights, rng, steps)
        warm_up = 0 if warm else self.max_iter // 4
        history = self._train(values, weights, rng, self.max_iter, warm_up, neighbors, steps=steps)
        self.loss_curve_: list[float] = history.loss
        if settings is not None and settings.attraction > 0.0 and not history.interrupted:
            # Codes tell better who is a neighbour of whom than the data do.
            neighbors = nearest_rows(self._codes(values).numpy(), settings.n_neighbors)
            history = self._train(
                values, weights, rng, self.max_iter, 0, neighbors, N_STEPS, settings.attraction
            )
            self.loss_curve_ = self.loss_curve_ + history.loss
        self.n_iter_ = len(self.loss_curve_)
        self._settle_prior(values, weights, steps)
        if issparse(values):
            some = some_rows(values, rng)
            values, weights = values[some].toarray(), weights[some]
        self._fit_metric(values, weights, rng, steps)
        self._reservoir: Any = None
        self._end_with(*asked)
        return self

    @all_or_nothing
    def partial_fit(self, X: ArrayLike, y: object = None, groups: ArrayLike | None = None) -> Self:
        """Train for one pass over `X`, for data that come in parts.

        The first call fixes the scale of the data and the shape of the networks. Noise and
        geometry are estimated anew each time, from a uniform sample of at most 2000 of the rows
        seen by ``partial_fit`` so far.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The next part of the data; at least two rows in the first call. `neighbors` has no
            effect: neighbours may be in other parts.
        y : Ignored
        groups : array-like of shape (n_samples,), default=None
            Which sequence each row belongs to, for ``prior="dynamics"``; None: all to one. Each
            part has whole sequences, and the last one says noise and geometry.

        Returns
        -------
        self
            The fitted estimator.
        """
        check_parameters(self)
        check_prior(self)
        first = not hasattr(self, "_encoder")
        values, weights = self._read_first(X, None, reset=first, at_least=2 if first else 1)
        values = values.toarray() if issparse(values) else values
        asked = values, groups
        if in_sequences(self):
            values, weights, steps = self._distinct(values, weights, groups)
        else:
            refuse_groups(groups)
            weights, steps = without_empty_rows(values, weights), None
            values, weights = values[weights > 0.0], weights[weights > 0.0]
        rng = later_generator(self.random_state, 0 if first else self.n_iter_)
        if first:
            self._init(values, weights, rng)
            self.loss_curve_, self.n_iter_ = [], 0
        else:
            self._likelihood.check(known(values))
        self._start_prior(values, weights, rng, steps, more=not first)
        history = self._train(values, weights, rng, 1, 0, steps=steps)
        self.loss_curve_ = self.loss_curve_ + history.loss
        self.n_iter_ += 1
        if steps is not None:
            self._fit_metric(values, weights, rng, steps)
            self._reservoir = None
            self._end_with(*asked)
            return self
        # Every row ever seen gets a random key; those with the largest keys are kept.
        rows, keys = values, rng.uniform(size=len(values))
        if getattr(self, "_reservoir", None) is not None:
            rows = np.concatenate([self._reservoir[0], rows])
            keys = np.concatenate([self._reservoir[1], keys])
        kept = np.sort(np.argsort(-keys, kind="stable")[:MAX_RESERVOIR])
        self._reservoir = rows[kept], keys[kept]
        rows, weights = distinct_rows(rows[kept], np.ones(len(kept)))
        self._fit_metric(rows, weights, rng)
        return self

    @by_dense_rows
    @by_blocks
    def transform(self, X: ArrayLike, groups: ArrayLike | None = None) -> Any:
        """Encode data as latent codes.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Data, in the units of those of ``fit``.
        groups : array-like of shape (n_samples,), default=None
            Which sequence each row belongs to, for ``prior="dynamics"``; None: all to one. Codes
            of a sequence then depend on all its rows, those that come later included.

        Returns
        -------
        ndarray of shape (n_samples, n_components)
            Means of the approximate posterior, float64 or, for float32 input, float32. The
            array carries the decoder's metric; so does a pandas data frame, in ``attrs``.
        """
        check_is_fitted(self, "metric_")
        values, order = self._ordered(X, groups)
        codes = self._codes(values, order.steps).numpy()[order.back]
        return codes.astype(values.dtype, copy=False)

    def inverse_transform(self, Z: ArrayLike) -> FloatArray:
        """Decode codes to the means of the data they stand for.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_components)
            Codes.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            In the units of the data, float64: means, or the most probable categories. A data
            frame like that of ``fit`` where columns have likelihoods of their own.

        Raises
        ------
        ValueError
            If `Z` has another number of columns.
        """
        check_is_fitted(self, "metric_")
        given, Z = Z, np.array(Z, dtype=np.float64, subok=False)
        if Z.ndim != 2 or Z.shape[1] != self._n_features_out:
            raise ValueError(
                f"Codes must have shape (n_samples, {self._n_features_out}), got {Z.shape}."
            )
        decoded = self._likelihood.decoded(self._embedding.mean(torch.as_tensor(Z)).numpy())
        return self._restored(decoded, given)

    # Settings, whatever they are given as ------------------------------------------------

    @property
    def _network(self):
        return network_of(self.network)

    @property
    def _noise(self):
        return noise_of(self.noise)

    @property
    def _neighbors(self):
        return neighbors_of(self.neighbors)

    # Geometry ----------------------------------------------------------------------------

    def _distinct(self, X, weights, groups):
        """Distinct rows, or sequences and what rows are in them, and their weights."""
        if in_sequences(self):
            without_empty_rows(X, weights)
            return distinct_sequences(X, weights, groups)
        refuse_groups(groups)
        return *distinct(X, weights), None

    def _end_with(self, X, groups):
        """Keep where sequences end, which forecasts begin with."""
        self._end_states = None
        if self._prior.has_steps:
            order = order_of(X, groups)
            self._end_states = self._ends(X[order.rows], order)

    def _fit_metric(self, X, weights, rng, steps=None):
        """Uncertainty around the codes of the trained encoder, and the metric of it all."""
        mean, log_variance = self._posterior(X, steps)
        if steps is not None:
            # Missing steps have codes, but say nothing of noise.
            seen = steps.seen.numpy()
            X, weights, mean, log_variance = (
                part[seen] for part in (X, weights, mean, log_variance)
            )
        noise = torch.as_tensor(rng.standard_normal(mean.shape))
        z = mean + torch.exp(0.5 * log_variance) * noise
        targets = torch.as_tensor(self._targets(X))
        self._embedding = embedding_of(self, mean, z, targets, torch.as_tensor(weights), rng)
        points = mean.numpy()
        if len(points) > MAX_GRAPH_POINTS:
            points = points[np.sort(rng.choice(len(points), MAX_GRAPH_POINTS, replace=False))]
        self.metric_: PullbackMetric | MetricField = metric_of(self, self._embedding, points)
        self._n_features_out = points.shape[1]

    def _posterior(self, X, steps=None):
        """Means and log variances of the codes, two (n, d) tensors."""
        return self._prior.on().normal(*self._encoded(X, steps), steps)

    def _codes(self, X, steps=None):
        return self._posterior(X, steps)[0]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.sparse = True
        tags.input_tags.categorical = tags.input_tags.string = self._is_mixed
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


# Type checkers take what is decorated in a circle of modules for anything.
if not TYPE_CHECKING:
    _VAE.__init__ = knows_old_names(_VAE.__init__)
