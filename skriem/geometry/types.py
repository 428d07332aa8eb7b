"""What annotations share."""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

# For what answers in kind: arrays with arrays, tensors with tensors.
ArrayT = TypeVar("ArrayT", NDArray[Any], Tensor)
ArrayOrTensor = ArrayLike | Tensor
FloatArray = NDArray[np.float64]
# Rows to rows, each on its own.
TensorMap = Callable[[Tensor], Tensor]
RandomState = int | np.random.RandomState | None
# Where nothing depends on scikit-learn.
AnyRandomState = RandomState | np.random.Generator
