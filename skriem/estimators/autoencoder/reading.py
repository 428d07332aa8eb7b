"""How a variational autoencoder reads data: arrays of one likelihood, or tables of several."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import validate_data

from ...nn.likelihoods import LIKELIHOODS
from ...nn.likelihoods.composite import Composite
from ...support.parts import is_large
from ...support.rows import check_size, check_weights, names_refused, validated
from .columns import Columns


class _Reading:
    """Data as numbers and back; see :class:`skriem.VAETransformer`."""

    likelihood: Any
    n_features_in_: int
    _columns: Columns | None
    _check_sparse: Callable[..., None]

    @property
    def _is_mixed(self) -> bool:
        """Whether columns are asked to have likelihoods of their own."""
        return not isinstance(self.likelihood, str) or self.likelihood == "auto"

    def _read_first(self, X, sample_weight, reset=True, at_least=2):
        """Data of a fit, (n, p) with NaN for what is missing, and weights of rows."""
        if not (self._is_mixed if reset else self._columns is not None):
            options = {"ensure_all_finite": True if issparse(X) else "allow-nan"}
            with names_refused("likelihood='auto'"):
                values = validated(
                    self,
                    X,
                    reset=reset,
                    accept_sparse="csr",
                    ensure_min_samples=at_least,
                    **options,
                )
            self._columns, self._is_sparse = None, issparse(values)
            if self._is_sparse and not is_large(values):
                values = values.toarray()
            elif self._is_sparse:
                self._check_sparse()
            return values, check_weights(sample_weight, range(values.shape[0]))
        X = self._as_table(X, reset)
        weights = check_weights(sample_weight, range(len(X)))
        if len(X) < at_least:
            raise ValueError(
                f"Found array with {len(X)} sample(s) while a minimum of {at_least} is required."
            )
        if reset:
            self._is_sparse = False
            self._columns = Columns(self.likelihood).fit(X, weights)
        # Rows without weight may well have categories that no other has.
        return self._numbers(X, quiet=reset), weights

    def _read(self, X):
        """New data, of the kind that was fitted."""
        if self._columns is None:
            return validated(self, X, reset=False, ensure_all_finite="allow-nan")
        X = self._as_table(X, reset=False)
        if not len(X):
            raise ValueError("Found array with 0 sample(s) while a minimum of 1 is required.")
        return self._numbers(X)

    def _as_table(self, X, reset):
        """A frame or an array of two dimensions, whose features are those of the fit."""
        if issparse(X):
            raise TypeError(
                f"Sparse matrices have one likelihood for all columns, not {self.likelihood!r}: "
                "name it, such as likelihood='poisson', or pass a data frame or an array."
            )
        if not hasattr(X, "columns"):
            X = np.asarray(X)
            if X.dtype.kind not in "biufOUS":
                raise ValueError(f"X must be made of numbers or names, got {X.dtype}.")
            if X.ndim != 2:
                raise ValueError(f"Expected 2D array, got {X.ndim}D array instead. Reshape it.")
        validate_data(self, X, skip_check_array=True, reset=reset)
        return X

    def _numbers(self, X, quiet=False):
        assert self._columns is not None
        values = self._columns.values(X, quiet)
        check_size(values)
        return values

    def _restored(self, values, like=None, filled=False):
        """Numbers of the kind that were fitted as a table; see :meth:`.Columns.restored`."""
        return values if self._columns is None else self._columns.restored(values, like, filled)

    @property
    def _places(self):
        """The feature that each column of numbers is."""
        if self._columns is None:
            return np.arange(self.n_features_in_)
        return self._columns.kept

    def _asked_likelihood(self):
        """The likelihood that is asked for, not fitted."""
        if self._columns is None:
            return LIKELIHOODS[self.likelihood]()
        return Composite(self._columns.names, self._columns.n_levels)
