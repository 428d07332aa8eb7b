"""What regression networks do as distributions: likelihoods, restored data, samples."""

from __future__ import annotations

import numbers

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state, check_scalar
from sklearn.utils.validation import check_is_fitted

from ...geometry.types import FloatArray, RandomState
from ...nn.regression.inference import log_mean, log_weights, most_probable
from ...nn.regression.network import draw_data, draw_units, means
from ...nn.regression.restoration import restored
from ...support.blocks import by_blocks
from ..autoencoder.parts import torch_generator
from .base import _DeepRegression, double, same_starts


class _Generative(_DeepRegression):
    """Data without labels; see :class:`skriem.DeepRegressionTransformer`."""

    def restore(self, X: ArrayLike, *, flip_rate: float = 0.0, n_samples: int = 20) -> FloatArray:
        """Expect the data that damaged ones come from.

        The mean over draws of the units given what was seen: a missing value says nothing, and
        a value of which it is not known whether it was flipped as much as it can.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data, NaN where they are missing. With ``likelihood="bernoulli"`` shares are
            probabilities of a one.
        flip_rate : float, default=0.0
            With ``likelihood="bernoulli"``, the share of zeros and ones that were flipped, below
            one half.
        n_samples : int, default=20
            Draws per row, by Gibbs sampling.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            In the units of the data, float64. Without flips, values that are not missing stay as
            they are.

        Raises
        ------
        ValueError
            If `flip_rate` is not in [0, 0.5), or not zero with ``likelihood="gaussian"``.
        """
        check_is_fitted(self)
        values = self._validated(X, finite="allow-nan")
        check_scalar(n_samples, "n_samples", numbers.Integral, min_val=1)
        if not 0.0 <= flip_rate < 0.5 or (flip_rate and self._kind == "gaussian"):
            raise ValueError(
                "flip_rate must be in [0, 0.5), and 0 with likelihood='gaussian', whose data are "
                f"not flipped; got {flip_rate!r}."
            )
        found = restored(self._network(), double(values), flip_rate, n_samples, same_starts())
        return found.numpy()

    def score_samples(
        self, X: ArrayLike, n_samples: int = 100, return_std: bool = False
    ) -> FloatArray | tuple[FloatArray, FloatArray]:
        """Log-likelihood of every row, estimated by importance sampling.

        Units are drawn around the most probable ones, one after the other from their
        conditional probabilities. In expectation the estimate is a lower bound.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        n_samples : int, default=100
            Draws per row.
        return_std : bool, default=False
            Whether to return the standard errors of the estimates as well.

        Returns
        -------
        log_likelihood : ndarray of shape (n_samples,)
            In nats: densities with respect to Lebesgue measure in the units of the data,
            probabilities where data are zeros and ones.
        std : ndarray of shape (n_samples,)
            Only if `return_std`.
        """
        if return_std:
            return self._log_likelihoods(X, n_samples)
        return self._log_likelihoods_alone(X, n_samples)

    @by_blocks
    def _log_likelihoods_alone(self, X, n_samples):
        return self._log_likelihoods(X, n_samples)[0]

    def _log_likelihoods(self, X, n_samples):
        check_is_fitted(self)
        values = self._validated(X)
        check_scalar(n_samples, "n_samples", numbers.Integral, min_val=1)
        generator = torch_generator(check_random_state(self.random_state))
        hidden = self._hidden(values)
        found = log_weights(self._network(), double(values), hidden, n_samples, generator)
        estimate, error = (part.numpy() for part in log_mean(found))
        return estimate, error

    def score(self, X: ArrayLike, y: object = None) -> float:
        """Mean log-likelihood of the rows; see :meth:`score_samples`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : Ignored

        Returns
        -------
        float
            In nats; the larger the better.
        """
        return float(np.mean(self.score_samples(X)))

    def sample(
        self, n_samples: int = 1, *, noise: bool = True, random_state: RandomState = None
    ) -> FloatArray:
        """Draw units from the top down, and data.

        Parameters
        ----------
        n_samples : int, default=1
            How many.
        noise : bool, default=True
            Whether to draw data from the units of the first layer or return their mean.
        random_state : int, RandomState instance or None, default=None
            An int makes the rows reproducible; None draws others in every call.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            In the units of the data.
        """
        check_is_fitted(self)
        check_scalar(n_samples, "n_samples", numbers.Integral, min_val=1)
        generator, network = torch_generator(check_random_state(random_state)), self._network()
        units = draw_units(network, n_samples, generator)
        return (draw_data(network, units, generator) if noise else means(network, units)).numpy()

    def _hidden(self, values):
        return most_probable(self._network(), double(values), same_starts())
