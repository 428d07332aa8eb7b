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
    _ordered: Callable[..., Any]
    _encoded: Callable[..., Any]
    _n_features_out: int
    _posterior: Callable[..., Any]
    _restored: Callable[..., Any]

    @by_dense_rows
    @by_blocks
    def score_samples(
        self, X: ArrayLike, n_samples: int = 100, groups: ArrayLike | None = None
    ) -> FloatArray:
        """Log-likelihood of every row, estimated by importance sampling.

        Codes are drawn from the encoder's posterior and from wider ones around it (Burda,
        Grosse and Salakhutdinov, *Importance weighted autoencoders*, ICLR 2016); the estimate
        is a lower bound in expectation and rises to the true value with `n_samples`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        n_samples : int, default=100
            Draws per row.
        groups : array-like of shape (n_samples,), default=None
            Which sequence each row belongs to, for ``prior="dynamics"``; None: all to one. A
            row's density is then that given those before it, so that they add up to the
            sequence's; a missing step has 0.

        Returns
        -------
        ndarray of shape (n_samples,)
            In nats: densities with respect to Lebesgue measure in the units of the data,
            probabilities where data are counts, categories or zeros and ones.
        """
        weights, order = self._log_weights(X, n_samples, groups, "past")
        found = (torch.logsumexp(weights, dim=1) - math.log(n_samples)).numpy()
        if order.steps is not None:
            found = np.where(order.steps.seen, found, 0.0)
        return found[order.back]

    @by_dense_rows
    def evidence_lower_bound(
        self, X: ArrayLike, n_samples: int = 100, groups: ArrayLike | None = None
    ) -> FloatArray:
        """Evidence lower bound of every row's log-likelihood.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data, in the units of those of ``fit``.
        n_samples : int, default=100
            Draws per row from the encoder's posterior; under a mixture prior from the normal
            distribution with its mean and variances.
        groups : array-like of shape (n_samples,), default=None
            Which sequence each row belongs to, for ``prior="dynamics"``; None: all to one. What
            rows of a sequence have adds up to its bound.

        Returns
        -------
        ndarray of shape (n_samples,)
            In nats: densities with respect to Lebesgue measure in the units of the data,
            probabilities where data are counts, categories or zeros and ones.
        """
        weights, order = self._log_weights(X, n_samples, groups, "all", widths=(1.0,))
        return weights.mean(1).numpy()[order.back]

    def _log_weights(self, X, n_samples, groups, given, **options):
        check_is_fitted(self, "metric_")
        values, order = self._ordered(X, groups)
        rows = slice(None)
        draws = self._importance(values.astype(np.float64), n_samples, rows, order.steps, given)
        return log_weights(*draws, **options), order

    def _importance(self, X, n_samples, rows, steps, given):
        """What codes of some rows are weighed by; see :func:`.nn.importance.log_weights` and
        :meth:`.Prior.proposals`.
        """
        check_scalar(n_samples, "n_samples", numbers.Integral, min_val=1)
        generator = torch_generator(check_random_state(self.random_state), torch.device("cpu"))
        targets = torch.as_tensor(np.array(self._likelihood.targets(X[rows]), order="C"))
        if steps is None:
            X = X[rows]
        proposals = self._prior.on().proposals(*self._encoded(X, steps), steps, given)
        if steps is not None:
            proposals = proposals.of_rows(rows)
        return targets, proposals, self._embedding, n_samples, generator

    def score(self, X: ArrayLike, y: object = None, groups: ArrayLike | None = None) -> float:
        """Mean log-likelihood of the rows; see :meth:`score_samples`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data, in the units of those of ``fit``.
        y : Ignored
        groups : array-like of shape (n_samples,), default=None
            Which sequence each row belongs to; see :meth:`score_samples`.

        Returns
        -------
        float
            In nats; the larger the better.
        """
        return float(self.score_samples(X, groups=groups).mean())

    def sample(
        self, n_samples: int = 1, *, noise: bool = True, random_state: RandomState = None
    ) -> FloatArray:
        """Draw codes from the prior and decode them.

        Parameters
        ----------
        n_samples : int, default=1
            How many; under ``prior="dynamics"`` the steps of one sequence.
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
