"""Autoencoders whose codes come in groups: where the groups start, and what they say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.cluster import KMeans
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from ...geometry.types import FloatArray
from ...nn.priors.base import NormalPrior, Prior
from ...nn.priors.mixture import mixture_of
from ...support.blocks import by_blocks
from ...support.parts import by_dense_rows
from .mixture_prior import PRIORS, MixturePrior


def check_prior(vae):
    """Raise for a prior that cannot be used."""
    prior = vae.prior
    if isinstance(prior, str) and prior not in PRIORS:
        raise ValueError(f"prior must be one of {sorted(PRIORS)}, got {prior!r}.")
    if not isinstance(prior, (str, MixturePrior)):
        raise TypeError(f"prior must be one of {sorted(PRIORS)} or a MixturePrior, got {prior!r}.")
    settings = settings_of(prior)
    if settings is None:
        return
    settings._check()
    if vae.n_importance_samples > 1:
        raise ValueError(
            "n_importance_samples > 1 needs prior='normal': divergences from a mixture are exact "
            "for one posterior, not for several draws of it."
        )


def settings_of(prior):
    """Parameters of a mixture, None for a normal prior."""
    return PRIORS[prior]() if isinstance(prior, str) else prior


def has_groups(vae):
    """Whether there are labels: by what is fitted, or else by what is asked for."""
    fitted = getattr(vae, "_prior", None)
    if fitted is not None:
        return fitted.n_labels > 0
    # Where an error should say what is wrong with a parameter, it is not for this to raise.
    return not (isinstance(vae.prior, str) and vae.prior == "normal")


def has_probabilities(vae):
    """Whether there are labels and, for scikit-learn's sake, a fit that was to no sparse data."""
    # What has probabilities of sparse data scikit-learn's checks take for a classifier.
    if not hasattr(vae, "_is_sparse"):
        raise AttributeError("predict_proba is there after fit.")
    if vae._is_sparse:
        raise AttributeError(
            "predict_proba is not there for sparse data: use predict, or fit to an array."
        )
    return has_groups(vae)


class _Groups:
    """Labels, and the mixture behind them; see :class:`skriem.VAETransformer`."""

    fit: Callable[..., Any]
    _checked: Callable[..., Any]
    _encoded: Callable[..., Any]

    def _start_prior(self, X, weights, rng, n_before=0.0):
        """The prior to train with: the present one where it will do, or one that starts from
        k-means; `n_before` is how much other data weigh that have been learned from.
        """
        settings = settings_of(self.prior)
        if settings is None:
            self._prior: Prior = NormalPrior()
            return
        concentration = settings._share_concentration
        if self._prior.is_like(settings.n_components, settings.component):
            self._prior = self._prior.under(n_before + float(weights.sum()), concentration)
            return
        mean, _ = self._encoded(X)
        n_distinct = len(np.unique(mean.numpy(), axis=0))
        kmeans = KMeans(
            min(settings.n_components, n_distinct), n_init=1, random_state=rng.randint(2**31 - 1)
        )
        labels = kmeans.fit(mean.numpy(), sample_weight=weights).labels_
        self._prior = mixture_of(
            mean,
            torch.as_tensor(weights),
            torch.as_tensor(labels, dtype=torch.long),
            settings.n_components,
            concentration,
            settings.component,
        ).stored()

    def _settle_prior(self, X, weights):
        """What the prior says after training of all data, whatever the last batch was."""
        if self._prior.n_labels:
            prior = self._prior.on()
            self._prior = prior.settled(*self._encoded(X), torch.as_tensor(weights)).stored()

    @available_if(has_groups)
    @by_dense_rows
    @by_blocks
    def predict(self, X: ArrayLike) -> NDArray[np.intp]:
        """Most probable components of the mixture prior; for a prior that is a mixture.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data, in the units of those of ``fit``.

        Returns
        -------
        ndarray of shape (n_samples,)
            Numbers of components, as in `weights_`.
        """
        return self._shares(X).argmax(1)

    @available_if(has_probabilities)
    @by_dense_rows
    @by_blocks
    def predict_proba(self, X: ArrayLike) -> FloatArray:
        """Probabilities of the components of the mixture prior; for a prior that is a mixture.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data, in the units of those of ``fit``.

        Returns
        -------
        ndarray of shape (n_samples, n_groups)
            With rows that sum to one.
        """
        return self._shares(X)

    @available_if(has_groups)
    def fit_predict(
        self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None
    ) -> NDArray[np.intp]:
        """``fit`` and then ``predict`` of the same data; for a prior that is a mixture.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : Ignored
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights; None weighs all rows alike.

        Returns
        -------
        ndarray of shape (n_samples,)
            Numbers of components.
        """
        return self.fit(X, sample_weight=sample_weight).predict(X)

    # The class says what these are.

    @property
    def weights_(self) -> FloatArray:
        return self._mixture("weights_").shares.numpy()

    @property
    def means_(self) -> FloatArray:
        return self._mixture("means_").means.numpy()

    @property
    def covariances_(self) -> FloatArray:
        return self._mixture("covariances_").covariances.numpy()

    def _mixture(self, name):
        prior = getattr(self, "_prior", None)
        if prior is None or not prior.n_labels:
            raise AttributeError(f"{name} is there after a fit with a prior that is a mixture.")
        return prior.on().conjugate

    def _shares(self, X):
        check_is_fitted(self, "metric_")
        return self._prior.on().shares(*self._encoded(self._checked(X))).numpy()
