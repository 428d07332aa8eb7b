"""What fitted mixtures of normal distributions say of samples, and samples of theirs."""

from __future__ import annotations

import numbers
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state, check_scalar
from sklearn.utils.validation import check_is_fitted

from ..geometry.callers import warn
from ..geometry.models import density
from ..geometry.models.normal import Mixture
from ..geometry.models.proposal import Gaussians
from ..geometry.types import FloatArray, RandomState
from ..support.blocks import by_blocks

# This share of the curves may run out of iterations before there is a warning.
MAX_MISSED = 0.02


class DensityAnswersMixin:
    """For estimators with ``_points``, which checks samples, and the attributes of a mixture."""

    metric_: Any
    weights_: Any
    means_: Any
    log_normalizers_: Any
    _points: Any
    _space: Any
    _units: Any
    _precisions: Any
    _kernels: Any
    _log_bounds: Any
    _n_parameters: Any

    @by_blocks
    def score_samples(
        self, X: ArrayLike, *, measure: Literal["lebesgue", "riemannian"] = "lebesgue"
    ) -> FloatArray:
        """Log density of every sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Of the same kind as in ``fit``.
        measure : {"lebesgue", "riemannian"}, default="lebesgue"
            What the density is with respect to: the volume of the coordinates, which makes it
            comparable with other densities of the same codes, or Riemannian volume.

        Returns
        -------
        ndarray of shape (n_samples,)
            In nats. Where an encoder was fitted, this is the density of the codes.

        Raises
        ------
        ValueError
            If `X` carry another metric than `metric_`, or `measure` is unknown.
        """
        if measure not in ("lebesgue", "riemannian"):
            raise ValueError(f"measure must be 'lebesgue' or 'riemannian', got {measure!r}.")
        points = self._points(X)
        log_density = np.logaddexp.reduce(self._log_joint(points), axis=1)
        if measure == "riemannian":
            return log_density
        return log_density + self.metric_.log_volume(points)

    def score(self, X: ArrayLike, y: object = None) -> float:
        """Mean log density of the samples, by Lebesgue measure; see :meth:`score_samples`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Of the same kind as in ``fit``.
        y : Ignored

        Returns
        -------
        float
            In nats; the larger the better.
        """
        return float(self.score_samples(X).mean())

    @by_blocks
    def predict(self, X: ArrayLike) -> NDArray[np.intp]:
        """Most probable component of every sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Of the same kind as in ``fit``.

        Returns
        -------
        ndarray of shape (n_samples,)
            Integers below `n_components`.
        """
        return self._log_joint(self._points(X)).argmax(1)

    @by_blocks
    def predict_proba(self, X: ArrayLike) -> FloatArray:
        """Probability of every component given the sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Of the same kind as in ``fit``.

        Returns
        -------
        ndarray of shape (n_samples, n_components)
            Rows add up to one.
        """
        joint = self._log_joint(self._points(X))
        return np.exp(joint - np.logaddexp.reduce(joint, axis=1, keepdims=True))

    def bic(self, X: ArrayLike) -> float:
        """Bayesian information criterion; the lower the better.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Of the same kind as in ``fit``.

        Returns
        -------
        float
            Minus twice the log-likelihood, by Lebesgue measure, plus the number of free
            parameters times the logarithm of the number of samples. As for
            :class:`sklearn.mixture.GaussianMixture`, so that the two compare.
        """
        points = self._points(X)
        return -2.0 * len(points) * self.score(X) + self._n_parameters * np.log(len(points))

    def aic(self, X: ArrayLike) -> float:
        """Akaike information criterion; the lower the better.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Of the same kind as in ``fit``.

        Returns
        -------
        float
            Minus twice the log-likelihood plus twice the number of free parameters.
        """
        return -2.0 * len(self._points(X)) * self.score(X) + 2.0 * self._n_parameters

    def sample(
        self, n_samples: int = 1, *, random_state: RandomState = None
    ) -> tuple[FloatArray, NDArray[np.intp]]:
        """Draw points from the distribution.

        Parameters
        ----------
        n_samples : int, default=1
            How many, at least 1.
        random_state : int, RandomState instance or None, default=None
            An int makes the points reproducible; None draws others in every call.

        Returns
        -------
        X : ndarray of shape (n_samples, n_dims)
            In the coordinates of `metric_`, grouped by component. Decode them with the
            encoder's ``inverse_transform``.
        y : ndarray of shape (n_samples,)
            Their components.

        Notes
        -----
        By rejection from the points' kernel density. The bound on the ratio of the densities
        is the largest that was met among all points so far.
        """
        check_is_fitted(self)
        check_scalar(n_samples, "n_samples", numbers.Integral, min_val=1)
        rng = check_random_state(random_state)
        counts = rng.multinomial(n_samples, self.weights_)
        parts = zip(
            torch.as_tensor(self.means_ / self._units),
            torch.as_tensor(self._precisions),
            torch.as_tensor(self.log_normalizers_),
            [[Gaussians(*map(torch.as_tensor, part)) for part in each] for each in self._kernels],
            self._log_bounds,
        )
        points = [
            density.draw_points(self._space, *part, count, rng).numpy() * self._units
            for part, count in zip(parts, counts)
            if count
        ]
        return np.concatenate(points), np.repeat(np.arange(len(counts)), counts)

    def _log_joint(self, points):
        """Log of weight times density by Riemannian volume, (n, n_components)."""
        parameters = self.weights_, self.means_ / self._units, self._precisions
        joint, finished = density.log_joint(
            self._space,
            Mixture(*map(torch.as_tensor, parameters)),
            torch.as_tensor(self.log_normalizers_),
            torch.as_tensor(points / self._units),
        )
        if (~finished).double().mean() > MAX_MISSED:
            warn(
                f"{int((~finished).sum())} of {len(finished)} geodesics to the samples were still "
                "getting shorter when the iterations ran out: their densities are a little low.",
                ConvergenceWarning,
            )
        return joint.numpy()
