"""How probable rows are under a trained autoencoder, and draws from it."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state, check_scalar
from sklearn.utils.validation import check_is_fitted

from ...geometry.types import FloatArray, RandomState
from ...nn.importance import log_weights
from ...nn.likelihoods.base import Likelihood
from ...nn.priors.base import Prior
from ...support.blocks import by_blocks
from ...support.parts import by_dense_rows
from .parts import torch_generator


class _Density:
    """Likelihoods and samples; see :class:`skriem.VAETransformer`."""

    _embedding: Any
    _likelihood: Likelihood
    _prior: Prior
    _n_features_out: int
    _checked: Callable[..., Any]
    _posterior: Callable[..., Any]
    _restored: Callable[..., Any]

    @by_dense_rows
    @by_blocks
    def score_samples(self, X: ArrayLike, n_samples: int = 100) -> FloatArray:
        """Log-likelihood of every row, estimated by importance sampling.

        Codes are drawn from the encoder's posterior and from wider ones around it (Burda,
        Grosse and Salakhutdinov, *Importance weighted autoencoders*, ICLR 2016); the estimate
        is a lower bound in expectation and rises to the true value with `n_samples`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        n_samples : int, default=100
            Draws per row.

        Returns
        -------
        ndarray of shape (n_samples,)
            In nats: densities with respect to Lebesgue measure in the units of the data,
            probabilities where data are counts, categories or zeros and ones.
        """
        found = torch.logsumexp(self._log_weights(X, n_samples), dim=1)
        return (found - math.log(n_samples)).numpy()

    @by_dense_rows
    def evidence_lower_bound(self, X: ArrayLike, n_samples: int = 100) -> FloatArray:
        """Evidence lower bound of every row's log-likelihood.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data, in the units of those of ``fit``.
        n_samples : int, default=100
            Draws per row from the encoder's posterior; under a mixture prior from the normal
            distribution with its mean and variances.

        Returns
        -------
        ndarray of shape (n_samples,)
            In nats: densities with respect to Lebesgue measure in the units of the data,
            probabilities where data are counts, categories or zeros and ones.
        """
        return self._log_weights(X, n_samples, widths=(1.0,)).mean(1).numpy()

    def _log_weights(self, X, n_samples, **options):
        check_is_fitted(self, "metric_")
        values = self._checked(X).astype(np.float64)
        return log_weights(*self._importance(values, n_samples), **options)

    def _importance(self, X, n_samples):
        """What codes are weighed by; see :func:`.nn.importance.weighted_draws`."""
        check_scalar(n_samples, "n_samples", numbers.Integral, min_val=1)
        generator = torch_generator(check_random_state(self.random_state), torch.device("cpu"))
        targets = torch.as_tensor(np.array(self._likelihood.targets(X), order="C"))
        posterior, prior = self._posterior(X), self._prior.on()
        return targets, *posterior, self._embedding, prior, n_samples, generator

    def score(self, X: ArrayLike, y: object = None) -> float:
        """Mean log-likelihood of the rows; see :meth:`score_samples`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data, in the units of those of ``fit``.
        y : Ignored

        Returns
        -------
        float
            In nats; the larger the better.
        """
        return float(self.score_samples(X).mean())

    def sample(
        self, n_samples: int = 1, *, noise: bool = True, random_state: RandomState = None
    ) -> FloatArray:
        """Draw codes from the prior and decode them.

        Parameters
        ----------
        n_samples : int, default=1
            How many.
        noise : bool, default=True
            Whether to draw from the decoder's distribution or return its mean.
        random_state : int, RandomState instance or None, default=None
            An int makes the rows reproducible; None draws others in every call.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            In the units of the data; a data frame as from ``inverse_transform``.
        """
        check_is_fitted(self, "metric_")
        check_scalar(n_samples, "n_samples", numbers.Integral, min_val=1)
        rng = check_random_state(random_state)
        z = torch.as_tensor(self._prior.on().draw(n_samples, self._n_features_out, rng))
        X = self._embedding.draw(z, rng) if noise else self._embedding.mean(z).numpy()
        return self._restored(self._likelihood.decoded(X))
