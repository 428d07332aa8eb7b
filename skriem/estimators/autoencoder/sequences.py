"""Autoencoders of sequences: which rows follow which, and what comes next."""

from __future__ import annotations

import importlib
import numbers
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.utils import check_scalar
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, column_or_1d

from ...geometry.types import FloatArray
from ...nn.priors.steps import Steps
from .dynamics_prior import DynamicsPrior


class Order(NamedTuple):
    """How rows are put one sequence after the other, each in the order of time."""

    rows: Any = slice(None)  # what comes at each place
    back: Any = slice(None)  # the place of each row
    steps: Steps | None = None  # None where rows have no order


def sequences_of(groups, n):
    """The order of n rows of which `groups` says what sequences they belong to, and where in that
    order sequences start.
    """
    if groups is None:
        return np.arange(n), np.arange(n) == 0
    groups = column_or_1d(groups)
    if len(groups) != n:
        raise ValueError(
            f"groups must say for each of the {n} rows of X which sequence it belongs to, got "
            f"{len(groups)} entries."
        )
    _, ids = np.unique(groups, return_inverse=True)
    rows = np.argsort(ids, kind="stable")
    return rows, np.r_[True, np.diff(ids[rows]) > 0]


def order_of(X, groups):
    """The order of rows, :class:`Order`."""
    rows, starts = sequences_of(groups, len(X))
    back = np.empty_like(rows)
    back[rows] = np.arange(len(rows))
    return Order(rows, back, steps_of(X[rows], starts))


def steps_of(X, starts):
    """What rows in their order are in sequences."""
    starts = torch.as_tensor(starts)
    return Steps(starts, ~starts, torch.as_tensor(~np.isnan(X).all(axis=1)))


def distinct_sequences(X, weights, groups):
    """The distinct sequences that have weight, one after the other in an order of their own.

    What is fitted to the result depends neither on the order of sequences nor on their labels,
    and cannot tell a sequence of weight two from one that comes twice.

    Returns
    -------
    X : ndarray of shape (n, n_features)
    weights : ndarray of shape (n,)
    steps : Steps
    """
    rows, starts = sequences_of(groups, len(X))
    bounds, found = np.r_[np.flatnonzero(starts), len(rows)], {}
    for first, last in zip(bounds, bounds[1:]):
        part, weight = X[rows[first:last]], weights[rows[first]]
        if (weights[rows[first:last]] != weight).any():
            raise ValueError(
                "sample_weight must be the same for all rows of a sequence: it says how often "
                "the sequence counts."
            )
        if weight > 0.0:
            # Zeros have no sign and missing values are alike.
            plain = np.where(np.isnan(part), np.nan, part.astype(np.float64) + 0.0)
            key = len(part), plain.tobytes()
            found[key] = part, found.get(key, (part, 0.0))[1] + weight
    parts = [found[key] for key in sorted(found)]
    sizes = [len(part) for part, _ in parts]
    X = np.concatenate([part for part, _ in parts])
    starts = np.zeros(len(X), dtype=bool)
    starts[np.cumsum(sizes) - sizes] = True
    return X, np.repeat([weight for _, weight in parts], sizes), steps_of(X, starts)


def table_of_steps(rows, n_sequences, n_steps):
    """Rows of sequences, all of a length, as an array of three dimensions or a frame of rows."""
    if isinstance(rows, np.ndarray):
        return rows.reshape(n_sequences, n_steps, -1)
    if not hasattr(rows, "set_axis"):
        return rows
    pandas = importlib.import_module("pandas")
    places = range(n_sequences), range(1, n_steps + 1)
    return rows.set_axis(pandas.MultiIndex.from_product(places, names=["sequence", "step"]))


def foresees(vae):
    """Whether there are forecasts: by what is fitted, or else by what is asked for."""
    fitted = getattr(vae, "_prior", None)
    return in_sequences(vae) if fitted is None else fitted.has_steps


def in_sequences(vae):
    """Whether rows are asked to be taken for steps of sequences."""
    return isinstance(vae.prior, DynamicsPrior) or (
        isinstance(vae.prior, str) and vae.prior == "dynamics"
    )


class _Sequences:
    """Rows that are steps of sequences; see :class:`skriem.VAETransformer`."""

    _prior: Any
    _embedding: Any
    _likelihood: Any
    _n_features_out: int
    _restored: Callable[..., Any]
    _checked: Callable[..., Any]
    _encoded: Callable[..., Any]
    _end_states: Any

    @available_if(foresees)
    def forecast(
        self, n_steps: int = 1, X: ArrayLike | None = None, groups: ArrayLike | None = None
    ) -> Any:
        """What is expected to come next in sequences; for a prior of these.

        The state at the end of a sequence goes on by the expected transition, and its code is
        decoded.

        Parameters
        ----------
        n_steps : int, default=1
            How far to look.
        X : array-like of shape (n_samples, n_features), default=None
            Sequences up to now, in the units of those of ``fit``; rows that are NaN throughout
            are missing steps. None: those of the last fit.
        groups : array-like of shape (n_samples,), default=None
            Which sequence each row of `X` belongs to. None: all to one.

        Returns
        -------
        ndarray of shape (n_sequences, n_steps, n_features)
            Means of the next rows, or the most probable categories, in the sorted order of the
            labels in `groups`. Where columns have likelihoods of their own and ``fit`` was to a
            data frame, one like that with n_sequences * n_steps rows, the steps of a sequence one
            after the other; the index of pandas frames has the place of the sequence and the step,
            from 1.

        Raises
        ------
        ValueError
            If `n_steps` is not positive, or `groups` is given without `X`.
        """
        check_is_fitted(self, "metric_")
        check_scalar(n_steps, "n_steps", numbers.Integral, min_val=1)
        if X is None and groups is not None:
            raise ValueError("groups says what sequences the rows of X belong to: pass X too.")
        states = self._end_states if X is None else self._ends(*self._ordered(X, groups))
        ahead = self._prior.on().ahead(torch.as_tensor(states), n_steps)
        codes = ahead[..., : self._n_features_out].flatten(0, 1)
        decoded = self._likelihood.decoded(self._embedding.mean(codes).numpy())
        return table_of_steps(self._restored(decoded), len(states), n_steps)

    # The class says what these are.

    @property
    def transition_matrix_(self) -> FloatArray:
        return self._system("transition_matrix_").linear.map[:, :-1].numpy()

    @property
    def transition_offset_(self) -> FloatArray:
        return self._system("transition_offset_").linear.map[:, -1].numpy()

    @property
    def transition_covariance_(self) -> FloatArray:
        return self._system("transition_covariance_").linear.covariance.numpy()

    @property
    def initial_mean_(self) -> FloatArray:
        return self._system("initial_mean_").start.means[0].numpy()

    @property
    def initial_covariance_(self) -> FloatArray:
        return self._system("initial_covariance_").start.covariances[0].numpy()

    def _system(self, name: str) -> Any:
        prior = getattr(self, "_prior", None)
        if prior is None or not prior.has_steps:
            raise AttributeError(f"{name} is there after a fit with prior='dynamics'.")
        return prior.on()

    @property
    def _rows_together(self):
        """Whether what a row gets depends on others, so that blocks of rows will not do."""
        return self._prior.has_steps

    def _ordered(self, X, groups):
        """Checked rows in the order of their sequences, and that order."""
        values = self._checked(X)
        if not self._prior.has_steps:
            refuse_groups(groups)
            return values, Order()
        order = order_of(values, groups)
        return values[order.rows], order

    def _ends(self, X, order):
        """Expected states at the ends of sequences, (n_sequences, n_states)."""
        prior = self._prior.on()
        states = prior.infer(*self._encoded(X, order.steps), order.steps).marginals.means
        last = torch.cat([order.steps.starts[1:], torch.ones(1, dtype=torch.bool)])
        return states[last].numpy()


def refuse_groups(groups):
    """Raise where there are groups but no sequences."""
    if groups is not None:
        raise ValueError(
            "groups says which sequence each row belongs to, of which only prior='dynamics' "
            "makes use."
        )
