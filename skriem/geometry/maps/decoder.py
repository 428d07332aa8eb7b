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

    def given(self, x: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """The same of rows `x` (n, m) given K codes each, `z` (n, K, d), and what is then expected
        of all outputs: (n, K) and (n, K, m).
        """
        flat = z.flatten(0, 1)
        log_prob = self.log_prob(x.repeat_interleave(z.shape[1], dim=0), flat)
        return log_prob.unflatten(0, z.shape[:2]), self.mean(flat).unflatten(0, z.shape[:2])
