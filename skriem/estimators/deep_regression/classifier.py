"""DeepRegressionClassifier: labels as further data of layered regressions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from ...geometry.types import FloatArray, RandomState
from ...nn.likelihoods import LIKELIHOODS
from ...nn.regression.labels import discriminate, label_logits, label_scores
from ...support.fitting import all_or_nothing
from ...support.progress import Progress
from ...support.rows import check_weights, distinct_rows, validated
from ..autoencoder.parts import torch_generator
from .base import (
    _DeepRegression,
    double,
    in_data_unit,
    in_unit,
    same_starts,
)

if TYPE_CHECKING:
    from typing_extensions import Self


class DeepRegressionClassifier(ClassifierMixin, _DeepRegression):
    """Deep regression Bayesian network of data with labels.

    Labels are further columns, zeros and ones, that the first layer of units explains together
    with the data. A new row gets the label with which it is most probable, with the units that
    fit best.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int, default=(32, 8)
        Number of units in each layer, from the data up.
    likelihood : {"bernoulli", "gaussian"}, default="gaussian"
        Distribution of the data given the first layer. "gaussian": real numbers. "bernoulli":
        zeros and ones, or shares between.
    objective : {"generative", "discriminative"}, default="generative"
        "generative": the joint probability of data and labels. "discriminative": then, for as
        many passes again, the probability of the label given the data, by the expected units
        that a mean field finds in ten steps; labels are then predicted in the same way.
    alpha : float, default=1e-3
        Half of this times the sum of squared weights, in nats per sample, is what weights cost
        in either kind of learning.
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
        Units and weights at the start, and batches.
    verbose : int, default=0
        Whether to show a bar (tqdm, if installed) or lines with rate, time left and loss.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels.
    coefs_ : list of ndarray of shape (n_below, n_units)
        Weights of every layer's units in the regressions of the layer below, from the data up;
        the last rows of the first are those of the labels.
    intercepts_ : list of ndarray
        Intercepts of these regressions, (n_below,), and last the logits of the top layer's
        units.
    n_iter_ : int
        Passes over the data with all layers together, before any discriminative ones.
    loss_curve_ : list of float
        Negative logarithm of the joint probability of data, labels and units per sample, in each
        of these passes, in the unit of training.
    n_features_in_ : int
        Number of features seen in ``fit``.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Defined when the data have feature names that are all strings.

    See Also
    --------
    DeepRegressionTransformer : The same without labels.

    References
    ----------
    Nie, Zheng and Ji, *Deep regression Bayesian network and its applications*, IEEE Transactions
    on Pattern Analysis and Machine Intelligence, 2018.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skriem import DeepRegressionClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = DeepRegressionClassifier((16,), random_state=0).fit(X, y)
    >>> classifier.score(X, y) > 0.9
    True
    """

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int] = (32, 8),
        *,
        likelihood: Literal["bernoulli", "gaussian"] = "gaussian",
        objective: Literal["generative", "discriminative"] = "generative",
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
        self.objective = objective

    @all_or_nothing
    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Learn the joint distribution of data and labels.

        The result depends on the weighted set of distinct rows only.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data, without missing values.
        y : array-like of shape (n_samples,)
            Labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights; None weighs all rows alike.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ValueError
            If `y` is no set of classes, or other ones than those of the fit that a warm start goes
            on from, the data are not of the kind that the likelihood is for,
            or training diverges: the loss is no longer finite.

        Warns
        -----
        ConvergenceWarning
            If training was interrupted.
        """
        self._check_parameters()
        values, y = validated(self, X, y)
        check_classification_targets(y)
        LIKELIHOODS[self.likelihood]().check(values)
        weights = check_weights(sample_weight, values)
        classes, label = np.unique(y, return_inverse=True)
        if self.warm_start and not np.array_equal(getattr(self, "classes_", classes), classes):
            raise ValueError(
                "warm_start goes on with the classes of the fit before, "
                f"{self.classes_.tolist()}, but y has {classes.tolist()}."
            )
        both = np.column_stack([values.astype(np.float64), label])
        both, weights = distinct_rows(both, weights)
        values, label = both[:, :-1], both[:, -1].astype(np.intp)
        rng = check_random_state(self.random_state)
        network, history = self._learn(values, np.eye(len(classes))[label], weights, rng)
        if self.objective == "discriminative":
            network = self._discriminate(network, values, label, weights, rng)
        self._by_mean_field = self.objective == "discriminative"
        self._keep(network)
        self.classes_: NDArray[Any] = classes
        self.loss_curve_: list[float] = history.loss
        self.n_iter_ = len(self.loss_curve_)
        return self

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The most probable label of every row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        best = self._scores(X).argmax(1)
        return self.classes_[best]

    def predict_proba(self, X: ArrayLike) -> FloatArray:
        """Probabilities of the labels, each with the units that fit it best.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        return self._scores(X).softmax(1).numpy()

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Share of the rows whose label is predicted right.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            Labels.
        sample_weight : array-like of shape (n_samples,), default=None
            None weighs all rows alike.

        Returns
        -------
        float
        """
        return float(super().score(X, y, sample_weight))

    def _scores(self, X):
        check_is_fitted(self)
        x = double(self._validated(X))
        if self._by_mean_field:
            return label_logits(self._network(), x, len(self.classes_))
        return label_scores(self._network(), x, len(self.classes_), same_starts())

    def _discriminate(self, network, values, label, weights, rng):
        unit = self._unit(values, weights)
        x, w = self._tensors(values, values[:, :0], weights, unit)
        with Progress(type(self).__name__, "epoch", self.max_iter, self.verbose) as progress:
            network = discriminate(
                in_unit(network, *unit).to(x),
                x,
                torch.as_tensor(label, device=x.device),
                w,
                batch_size=self._batch_size(len(x)),
                learning_rate=self.learning_rate_init,
                weight_decay=self.alpha,
                max_iter=self.max_iter,
                generator=torch_generator(rng),
                on_epoch=lambda loss: progress.step(f"loss {loss:.6g}"),
            )
        return in_data_unit(network, *unit)

    def _check_parameters(self):
        super()._check_parameters()
        if self.objective not in ("generative", "discriminative"):
            raise ValueError(
                f"objective must be 'generative' or 'discriminative', got {self.objective!r}."
            )
