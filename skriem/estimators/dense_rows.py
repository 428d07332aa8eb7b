"""What is asked of that which makes dense rows of other data."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from ..geometry.types import FloatArray
from ..support.state import Estimator


class DenseRows(Estimator, ABC):
    """Dense rows of numbers in one unit, made of data that are no such table."""

    @abstractmethod
    def fit(self, X: Any, sample_weight: Any = None) -> DenseRows:
        """Learn how rows are made."""

    @abstractmethod
    def transform(self, X: Any) -> FloatArray:
        """Rows of the same kind of data, (n, q) float64; each depends on its own data only."""

    @abstractmethod
    def feature_squares(self, steps: FloatArray) -> FloatArray:
        """Squares of what changes of each feature of the data with steps (n, q), (n, p)."""
