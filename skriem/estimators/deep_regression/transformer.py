"""DeepRegressionTransformer: binary codes of layered regressions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ...geometry import PullbackMetric
from ...geometry.types import FloatArray, RandomState
from ...nn.likelihoods import LIKELIHOODS
from ...nn.regression.network import means_below, sweep
from ...support.blocks import by_blocks
from ...support.fitting import all_or_nothing, later_generator
from ...support.latent import LatentArray, attach_metric
from ...support.rows import check_weights, distinct_rows, validated
from ..autoencoder.base import MAX_GRAPH_POINTS
from .base import double
from .generative import _Generative
from .geometry import metric_of

if TYPE_CHECKING:
    from typing_extensions import Self


class _Transformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, _Generative):
    """Everything but the metric on the codes; see :class:`skriem.DeepRegressionTransformer`."""

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int] = (32, 8),
        *,
        likelihood: Literal["bernoulli", "gaussian"] = "gaussian",
        output: Literal["map", "proba"] = "map",
        alpha: float = 1e-3,
        batch_size: int | Literal["auto"] = "auto",
        learning_rate_init: float = 0.03,
        max_iter: int = 60,
        tol: float = 1e-3,
        n_iter_no_change: int = 10,
        warm_start: bool = False,
        device: str = "auto",
        random_state: RandomState = None,
        verbose: int = 0,
    ) -> None:
        super().__init__(
            hidden_layer_sizes,
            likelihood=likelihood,
            alpha=alpha,
            batch_size=batch_size,
            learning_rate_init=learning_rate_init,
            max_iter=max_iter,
            tol=tol,
            n_iter_no_change=n_iter_no_change,
            warm_start=warm_start,
            device=device,
            random_state=random_state,
            verbose=verbose,
        )
        self.output = output

    @all_or_nothing
    def fit(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Learn layer by layer, then all layers together.

        The result depends on the weighted set of distinct rows only. An interrupt from the
        keyboard ends the learning of the last layers, with a warning and a model that can be
        used.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data, at least two different rows, without missing values.
        y : Ignored
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights; None weighs all rows alike.

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
        self._check_parameters()
        values = validated(self, X, ensure_min_samples=2)
        LIKELIHOODS[self.likelihood]().check(values)
        values, weights = distinct_rows(values, check_weights(sample_weight, values))
        if len(values) < 2:
            raise ValueError("All rows of X are the same: there is nothing to encode.")
        rng = check_random_state(self.random_state)
        network, history = self._learn(values, values[:, :0], weights, rng)
        self._keep(network)
        self._parts_unit, self._n_seen = self._unit(values, weights), len(values)
        self.loss_curve_: list[float] = history.loss
        self.n_iter_ = len(self.loss_curve_)
        self._fit_metric(values, rng)
        return self

    @all_or_nothing
    def partial_fit(self, X: ArrayLike, y: object = None) -> Self:
        """Learn from one pass over `X`, for data that come in parts.

        The first part is learned as by ``fit``; give it enough rows to know the units by.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The next part of the data; at least two different rows in the first call, which
            settles the unit of the data.
        y : Ignored

        Returns
        -------
        self
            The fitted estimator.
        """
        self._check_parameters()
        first = not hasattr(self, "coefs_")
        values = validated(self, X, reset=first, ensure_min_samples=2 if first else 1)
        LIKELIHOODS[self.likelihood if first else self._kind]().check(values)
        rng = later_generator(self.random_state, 0 if first else self.n_iter_)
        self._learn_more(values, values[:, :0], rng)
        self._fit_metric(values, rng)
        return self

    @by_blocks
    def transform(self, X: ArrayLike) -> Any:
        """Encode data as units of the top layer.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data, in the units of those of ``fit``.

        Returns
        -------
        ndarray of shape (n_samples, n_top)
            With ``output="map"`` zeros and ones, the most probable units that were found; with
            "proba" how probable a one is given the data and all other units. Float64 or, for
            float32 input, float32. The array carries the metric of the regressions; so does a
            pandas data frame, in ``attrs``.
        """
        check_is_fitted(self, "metric_")
        values = self._validated(X)
        hidden = self._hidden(values)
        found = hidden[-1]
        if self.output == "proba":
            top = len(hidden) - 1
            found = sweep(self._network(), top, double(values), hidden, None)[1].sigmoid()
        return found.numpy().astype(values.dtype, copy=False)

    def inverse_transform(self, Z: ArrayLike) -> FloatArray:
        """Decode codes to the means of the data they stand for.

        Units between are taken for their probabilities.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_top)
            Codes, or numbers between.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            In the units of the data, float64.

        Raises
        ------
        ValueError
            If `Z` has another number of columns.
        """
        check_is_fitted(self, "metric_")
        Z = np.array(Z, dtype=np.float64, subok=False)
        n_top = len(self.intercepts_[-1])
        if Z.ndim != 2 or Z.shape[1] != n_top:
            raise ValueError(f"Codes must have shape (n_samples, {n_top}), got {Z.shape}.")
        return means_below(self._network(), torch.as_tensor(Z)).numpy()

    def _check_parameters(self):
        super()._check_parameters()
        if self.output not in ("map", "proba"):
            raise ValueError(f"output must be 'map' or 'proba', got {self.output!r}.")

    def _fit_metric(self, values, rng):
        if len(values) > MAX_GRAPH_POINTS:
            values = values[np.sort(rng.choice(len(values), MAX_GRAPH_POINTS, replace=False))]
        codes = np.unique(self._hidden(values)[-1].numpy(), axis=0)
        self.metric_: PullbackMetric = metric_of(self._network(), codes)
        self._n_features_out = codes.shape[1]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


class DeepRegressionTransformer(_Transformer):
    """Deep regression Bayesian network: binary codes that are causes of the data.

    Layers of zeros and ones, each of which is a logistic regression on all units of the layer
    above; the data are logistic or linear regressions on the first layer. Codes are the most
    probable units of the top layer given the data, found by coordinate ascent. Units that
    explain the same thing compete, so that codes are sparse, and new data are drawn without
    any Markov chain.

    Learning is hard expectation maximisation: the units of every row are improved a little
    whenever its batch comes by, and the regressions take a step towards them; first layer by
    layer, then all layers together.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int, default=(32, 8)
        Number of units in each layer, from the data up. The last is the number of components
        of a code.
    likelihood : {"bernoulli", "gaussian"}, default="gaussian"
        Distribution of the data given the first layer. "gaussian": real numbers, with a noise of
        its own for every feature. "bernoulli": zeros and ones, or shares between.
    output : {"map", "proba"}, default="map"
        What :meth:`transform` returns: zeros and ones, or the probability of a one given the
        data and all other units, as pseudo-likelihood takes it.
    alpha : float, default=1e-3
        Half of this times the sum of squared weights, in nats per sample, is what weights cost.
    batch_size : int or "auto", default="auto"
        "auto": a tenth of the samples, at least 16 and at most 200.
    learning_rate_init : float, default=0.03
        Step size of Adam; it falls to zero over the last third of `max_iter`.
    max_iter : int, default=60
        Largest number of passes over the data, for each layer and then for all together.
    tol : float, default=1e-3
        Smallest improvement of the loss, in nats per sample, that counts.
    n_iter_no_change : int, default=10
        Training ends after so many passes without an improvement.
    warm_start : bool, default=False
        Whether ``fit`` goes on from the network of the previous fit, all layers together.
    device : str, default="auto"
        Where to train: a torch device, or "auto" for a CUDA device if there is one.
    random_state : int, RandomState instance or None, default=None
        Units and weights at the start, batches, and the draws of :meth:`score_samples`.
    verbose : int, default=0
        Whether to show a bar (tqdm, if installed) or lines with rate, time left and loss.

    Attributes
    ----------
    coefs_ : list of ndarray of shape (n_below, n_units)
        Weights of every layer's units in the regressions of the layer below, from the data up.
    intercepts_ : list of ndarray
        Intercepts of these regressions, (n_below,), and last the logits of the top layer's
        units.
    metric_ : PullbackMetric
        Fisher-Rao metric of the data's distributions, pulled back to codes between zero and
        one; see Notes.
    n_iter_ : int
        Passes over the data with all layers together.
    loss_curve_ : list of float
        Negative logarithm of the joint probability of data and units per sample, in each of
        these passes, in the unit of training.
    n_features_in_ : int
        Number of features seen in ``fit``.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Defined when the data have feature names that are all strings.

    See Also
    --------
    DeepRegressionClassifier : The same with labels among the data.
    VAETransformer : Codes that are real numbers.

    Notes
    -----
    Inference takes one step of coordinate ascent for a unit after the other, from several
    starts, until no single flip makes the joint probability larger; for up to a dozen units
    that is nearly always the exact maximum. The first steps cost as many operations as the
    layer below has units, for each unit and row.

    Between zeros and ones codes are relaxed: a unit passes on its probability. The embedding
    that ``metric_`` pulls back is 2 arcsin sqrt(p) of the data's probabilities, or their
    means divided by the noise.

    References
    ----------
    Nie, Zheng and Ji, *Deep regression Bayesian network and its applications*, IEEE Transactions
    on Pattern Analysis and Machine Intelligence, 2018.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skriem import DeepRegressionTransformer
    >>> X = (load_digits().data > 7).astype(float)
    >>> network = DeepRegressionTransformer((16, 4), likelihood="bernoulli", max_iter=5,
    ...                                     random_state=0).fit(X)
    >>> codes = network.transform(X)
    >>> codes.shape
    (1797, 4)
    >>> bool(((codes == 0) | (codes == 1)).all())
    True
    >>> network.sample(3, random_state=0).shape
    (3, 64)
    """

    def transform(self, X: ArrayLike) -> LatentArray:
        return attach_metric(super().transform(X), self.metric_)

    transform.__doc__ = _Transformer.transform.__doc__
