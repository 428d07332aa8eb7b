"""Autoencoders of tables in which entries are missing: what encoders see, and what is filled in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.utils.validation import check_is_fitted

from ...geometry.types import FloatArray
from ...nn.importance import conditional_means
from ...nn.train import encode
from ...support.blocks import by_blocks
from ...support.parts import dense_parts

# Rounds of filling in and encoding again, where the encoder was trained on complete rows.
N_ROUNDS = 10


class _Missing:
    """Inputs with missing entries, NaN; see :class:`skriem.VAETransformer`."""

    _importance: Any
    _ordered: Any
    _prior: Any
    _likelihood: Any
    _read: Callable[..., Any]
    _restored: Callable[..., Any]

    @by_blocks
    def impute(
        self, X: ArrayLike, n_samples: int = 100, groups: ArrayLike | None = None
    ) -> FloatArray:
        """Fill in missing entries with their expectations given the others.

        Codes are drawn around the encoder's posterior and weighed by how well they explain what
        is known of the row, as in :meth:`score_samples` (Mattei and Frellsen, *MIWAE: deep
        generative modelling and imputation of incomplete data sets*, ICML 2019), then again where
        those weigh most. With ``likelihood="gaussian"`` the errors of known entries say more of
        missing ones, by their covariance in ``fit``, of up to 100 features.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data with NaN where they are missing, in the units of those of ``fit``.
        n_samples : int, default=100
            Draws per row.
        groups : array-like of shape (n_samples,), default=None
            Which sequence each row belongs to, for ``prior="dynamics"``; None: all to one. The
            others are then those of the whole sequence.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            `X` in float64 with conditional means, or the most probable categories, in place of
            NaN; a data frame as from ``inverse_transform``.
        """
        check_is_fitted(self, "metric_")
        values, order = self._ordered(X, groups)
        found = values.astype(np.float64)
        missing = np.isnan(found)
        rows = missing.any(axis=1)
        if rows.any():
            draws = self._importance(found, n_samples, rows, order.steps, "others")
            means = self._likelihood.decoded(conditional_means(*draws).numpy())
            found[missing] = means[missing[rows]]
        return self._restored(found[order.back], X, filled=True)

    def _checked(self, X):
        """Data of the kind that the likelihood is for, NaN included."""
        values = self._read(X)
        self._likelihood.check(known(values))
        return values

    def _in_unit(self, X):
        """What there is to be seen of data, in the network's unit; NaN where it is missing."""
        # In one order in memory: results are the same to the last bit whatever X came in.
        inputs = self._likelihood.inputs(X).astype(np.float64, order="C")
        return (inputs - self._center) / self._scale

    def _inputs(self, X, steps=None):
        """What the encoder sees: zeros for missing entries, and which these are."""
        x = self._in_unit(X)
        missing = np.isnan(x)
        if self._sees_missing:
            return np.concatenate([np.where(missing, 0.0, x), missing], axis=1)
        if not has_gaps(x):
            return np.where(missing, 0.0, x)
        # Where rows depend on each other all of them are asked.
        rows = missing.any(axis=1) | (steps is not None)
        x[rows] = self._completed(x[rows], missing[rows], steps)
        return x

    def _completed(self, x, missing, steps):
        """Rows for an encoder of complete ones: with what it and the decoder say of the rest."""
        x = np.where(missing, 0.0, x)
        encoder, prior = self._encoder.on(), self._prior.on()
        for _ in range(N_ROUNDS):
            codes, _ = prior.normal(*encode(torch.as_tensor(x), encoder), steps)
            seen = self._likelihood.seen(self._embedding.mean(codes).numpy())
            x = np.where(missing, (seen - self._center) / self._scale, x)
        return x

    def _encoded(self, X, steps=None):
        """What the encoder says, two (n, d) tensors; the prior alone of rows without entries."""
        if issparse(X):
            return tuple(torch.cat(parts) for parts in zip(*map(self._encoded, dense_parts(X))))
        mean, log_variance = encode(torch.as_tensor(self._inputs(X, steps)), self._encoder.on())
        empty = torch.as_tensor(np.isnan(X).all(axis=1))[:, None]
        return mean.masked_fill(empty, 0.0), log_variance.masked_fill(empty, self._prior.silence)


def has_gaps(X):
    """Whether there are rows of which only a part is known."""
    missing = np.isnan(X)
    return bool((missing.any(axis=1) & ~missing.all(axis=1)).any())


def known(X):
    """Data with zeros, which every likelihood is for, where they are missing."""
    return np.where(np.isnan(X), 0.0, X)


def without_empty_rows(X, weights):
    """Weights of zero for rows in which nothing is known; raise for columns like that."""
    missing = np.isnan(X)
    weights = np.where(missing.all(axis=1), 0.0, weights)
    empty = missing[weights > 0.0].all(axis=0)
    if empty.any():
        columns = np.flatnonzero(empty).tolist()
        raise ValueError(f"Nothing is known of columns {columns} of X: leave them out.")
    return weights
