"""Priors of autoencoders: where they start, and what groups of codes say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from ...geometry.types import FloatArray
from ...nn.priors.base import NormalPrior, Prior
from ...nn.priors.moves import FREE
from ...support.blocks import by_blocks
from ...support.parts import by_dense_rows
from .dynamics_prior import DynamicsPrior
from .mixture_prior import PRIORS, MixturePrior


def check_prior(vae):
    """Raise for a prior that cannot be used."""
    prior = vae.prior
    if isinstance(prior, str) and prior not in PRIORS:
        raise ValueError(f"prior must be one of {sorted(PRIORS)}, got {prior!r}.")
    if not isinstance(prior, (str, MixturePrior, DynamicsPrior)):
        raise TypeError(
            f"prior must be one of {sorted(PRIORS)}, a MixturePrior or a DynamicsPrior, got "
            f"{prior!r}."
        )
    settings = settings_of(prior)
    if settings is None:
        return
    settings._check(vae.n_components)
    if vae.n_importance_samples > 1:
        raise ValueError(
            "n_importance_samples > 1 needs prior='normal': divergences from a mixture or a "
            "dynamical system are exact for one posterior, not for several draws of it."
        )
    if vae.neighbors is not None and isinstance(settings, DynamicsPrior):
        raise ValueError("neighbors draws rows in any order: it does not go with prior='dynamics'.")


def settings_of(prior):
    """Parameters of a prior, None for the normal one."""
    return PRIORS[prior]() if isinstance(prior, str) else prior


def has_groups(vae):
    """Whether there are labels: by what is fitted, or else by what is asked for."""
    fitted = getattr(vae, "_prior", None)
    if fitted is not None:
        return fitted.n_labels > 0
    # Where an error should say what is wrong with a parameter, it is not for this to raise.
    if isinstance(vae.prior, str):
        return vae.prior not in ("normal", "dynamics")
    return not isinstance(vae.prior, DynamicsPrior)


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

    def _start_prior(self, X, weights, rng, steps=None, more=False):
        """The prior to train with: the present one where it will do, or a new one that suits the
        codes so far; `more` is whether data come on top of others that were learned from.
        """
        settings = settings_of(self.prior)
        if settings is None:
            self._prior: Prior = NormalPrior()
        elif settings._continues(self._prior, self.n_components):
            self._prior = settings._continued(self._prior, weights, steps, more)
        else:
            codes, _ = self._encoded(X, steps)
            self._prior = settings._started(codes, weights, steps, rng).stored()

    def _settle_prior(self, X, weights, steps=None):
        """What the prior says after training of all data, whatever the last batch was."""
        # A normal prior learns nothing, and needs no codes for it.
        if settings_of(self.prior) is not None:
            prior, found = self._prior.on(), self._encoded(X, steps)
            self._prior = prior.settled(*found, torch.as_tensor(weights), steps).stored()

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

    def _main_means(self, n):
        """Means of the largest components, a list of one array (n, d); of none where so many are
        not needed, or there are no components.
        """
        prior = self._prior
        if not prior.n_labels:
            return []
        mixture = prior.on().conjugate
        order = torch.argsort(mixture.shares, descending=True, stable=True)[:n]
        needed = mixture.shares[order] > FREE / prior.n_labels
        return [mixture.means[order].numpy()] if len(order) == n and needed.all() else []

    def _shares(self, X):
        check_is_fitted(self, "metric_")
        return self._prior.on().shares(*self._encoded(self._checked(X))).numpy()
