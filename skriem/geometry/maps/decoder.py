"""What is asked of a map whose points stand for distributions of data."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ...calculus.maps import Map


class Decoder(Map):
    """Codes to where lengths are Euclidean, and the distributions of data given codes."""

    @abstractmethod
    def mean(self, z: Tensor) -> Tensor:
        """Means of the distributions at rows of `z` (n, d), (n, m)."""

    @abstractmethod
    def draw(self, z: Tensor, rng: np.random.RandomState) -> NDArray:
        """A draw from the distribution at every row of `z`, (n, m)."""

    @abstractmethod
    def log_prob(self, x: Tensor, z: Tensor) -> Tensor:
        """Logarithm of the probability of what is known of rows `x` (n, m) given `z`, (n,)."""
