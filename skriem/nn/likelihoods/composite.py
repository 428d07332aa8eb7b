"""Tables whose columns are of different kinds: a likelihood for each, side by side."""

import numpy as np
import torch

from .base import NOISE_FLOOR, Likelihood, known_average
from .location_scale import LEAST_KNOWN, Gaussian, StudentT
from .natural import Bernoulli, Categorical, NegativeBinomial, Poisson


class GaussianColumns(Gaussian):
    """Real numbers with a noise for every column, which are in units of their own.

    Parameters
    ----------
    log_unit : ndarray of shape (m,) or float
        Logarithms of these units: densities are with respect to the units of the data.
    """

    def __init__(self, log_unit=0.0):
        super().__init__()
        self.log_unit = log_unit

    def loss(self, natural, target, weights, parts):
        squares, known, n_known = self._by_column(natural, target, weights)
        mse = weights @ squares / n_known + NOISE_FLOOR**2
        return 0.5 * (n_known * mse.log()).sum()

    def of_draws(self, natural, target, weights, parts):
        squares, known, n_known = self._by_column(natural, target, weights)
        variance = weights @ squares.detach().mean(0) / n_known + NOISE_FLOOR**2
        return -0.5 * (squares / variance + known * variance.log()).sum(-1)

    def _by_column(self, natural, target, weights):
        """Squared errors of what is known, what that is, and how much of every column it is."""
        missing = target.isnan()
        squares = (target - natural).masked_fill(missing, 0.0).square()
        known = 1.0 - missing.to(squares)
        return squares, known, (1.0 - weights @ (1.0 - known)).clamp(min=LEAST_KNOWN)

    def log_density(self, x, mean, std):
        return super().log_density(x, mean, std) - torch.as_tensor(self.log_unit).to(x)

    def typical_noise(self, squares, weights, parts):
        return (weights @ squares / weights.sum()).sqrt().numpy()


class StudentTColumns(StudentT):
    """Real numbers with heavy tails and a noise for every column; see :class:`GaussianColumns`."""

    def __init__(self, log_unit=0.0):
        super().__init__()
        self.log_unit = log_unit

    def init_parts(self, n_outputs):
        return [torch.zeros(n_outputs)]

    def log_density(self, x, mean, std):
        return super().log_density(x, mean, std) - torch.as_tensor(self.log_unit).to(x)

    def typical_noise(self, squares, weights, parts):
        return np.sqrt(np.exp(2.0 * np.asarray(parts[0], dtype=np.float64)) + NOISE_FLOOR**2)


# Of columns of a table, by name; in this order they stand in the decoder's output.
OF_COLUMNS = {
    "gaussian": GaussianColumns,
    "student_t": StudentTColumns,
    "bernoulli": Bernoulli,
    "categorical": Categorical,
    "poisson": Poisson,
    "negative_binomial": NegativeBinomial,
}


class Block:
    """Columns that have one likelihood, and their outputs.

    Parameters
    ----------
    likelihood : Likelihood
    columns : ndarray of shape (n_columns,), int
    outputs : slice
        Where they stand in the decoder's output.
    parts : slice
        Where its further parameters stand among all.
    """

    def __init__(self, likelihood, columns, outputs, parts):
        self.likelihood, self.columns = likelihood, columns
        self._outputs = outputs.start, outputs.stop
        self._parts = parts.start, parts.stop

    @property
    def outputs(self):
        """Where its outputs stand among all, slice."""
        return slice(*self._outputs)

    @property
    def parts(self):
        """Where its further parameters stand among all, slice."""
        return slice(*self._parts)

    @property
    def n_outputs(self):
        """How many outputs it has."""
        return self._outputs[1] - self._outputs[0]


class Composite(Likelihood):
    """Likelihoods of columns, independent given the code.

    What an encoder sees of a column has variance one, that of all indicators of a category
    together, and so have the targets of real numbers.

    Parameters
    ----------
    names : sequence of str
        Name of the likelihood of every column, among ``OF_COLUMNS``.
    n_levels : sequence of int or None
        How many categories each has, if that is known before; others than these are another kind.

    Attributes
    ----------
    blocks : list of Block
    features : ndarray of shape (m,), int
        The column that each output speaks of.
    center, unit : ndarray of shape (m,)
        Of what encoders see.
    """

    is_mixed = True

    def __init__(self, names, n_levels=None):
        self.names, self.n_levels = list(names), n_levels

    def fit(self, X, weights=None):
        """Learn units and categories of data (n, p) in which NaN are missing."""
        self.blocks, first, features, n_parts = [], 0, [], 0
        for name, make in OF_COLUMNS.items():
            columns = np.flatnonzero([own == name for own in self.names])
            if not len(columns):
                continue
            likelihood = make().fit(np.nan_to_num(X[:, columns]))
            of_outputs = columns[likelihood.features(len(columns))]
            n = len(of_outputs)
            more = len(likelihood.init_parts(n))
            self.blocks.append(
                Block(likelihood, columns, slice(first, first + n), slice(n_parts, n_parts + more))
            )
            first, n_parts = first + n, n_parts + more
            features.append(of_outputs)
        self.features = np.concatenate(features)
        self._measure(X, np.ones(len(X)) if weights is None else weights)
        return self

    def _measure(self, X, weights):
        """Find centres and units of what encoders see."""
        seen = np.concatenate([self._seen_of(block, X) for block in self.blocks], axis=1)
        self.center = known_average(seen, weights)
        variance = known_average((seen - self.center) ** 2, weights)
        # What rounding alone makes of a constant column is not variance.
        variance[variance <= (4 * np.finfo(float).eps * np.abs(self.center)) ** 2] = 0.0
        of_columns = np.bincount(self.features, variance, minlength=len(self.names))
        self.unit = np.sqrt(np.where(of_columns > 0.0, of_columns, 1.0))[self.features]
        for block in self.blocks:
            if block.likelihood.is_location_scale:
                block.likelihood.n_varying = block.n_outputs
                block.likelihood.log_unit = np.log(self.unit[block.outputs])

    def check(self, X):
        for block in self.blocks:
            block.likelihood.check(X[:, block.columns])

    def is_like(self, other):
        return super().is_like(other) and (self.names, self.n_levels) == (
            other.names,
            other.n_levels,
        )

    def inputs(self, X):
        seen = np.concatenate([self._seen_of(block, X) for block in self.blocks], axis=1)
        return (seen - self.center) / self.unit

    def _seen_of(self, block, X):
        return block.likelihood.inputs(X[:, block.columns])

    def targets(self, X):
        found = [
            self._in_unit(block, X[:, block.columns])
            if block.likelihood.is_location_scale
            else block.likelihood.targets(X[:, block.columns])
            for block in self.blocks
        ]
        return np.concatenate(found, axis=1)

    def _in_unit(self, block, seen):
        return (seen - self.center[block.outputs]) / self.unit[block.outputs]

    def start(self, targets, sample_weight):
        """Natural parameters of the mean of the data, and slopes over the inputs, (m,) each."""
        bias, slope = np.zeros(len(self.unit)), np.ones(len(self.unit))
        for block in self.blocks:
            if not block.likelihood.is_location_scale:
                at = block.outputs
                bias[at], slope[at] = block.likelihood.start(targets[:, at], sample_weight)
                slope[at] *= self.unit[at]
        return bias, slope

    def init_parts(self, n_outputs):
        parts = [block.likelihood.init_parts(block.n_outputs) for block in self.blocks]
        return [part for of_block in parts for part in of_block]

    def loss(self, natural, target, weights, parts):
        return sum(
            block.likelihood.loss(
                natural[..., block.outputs], target[..., block.outputs], weights, parts[block.parts]
            )
            for block in self.blocks
        )

    def of_draws(self, natural, target, weights, parts):
        return sum(
            block.likelihood.of_draws(
                natural[..., block.outputs], target[..., block.outputs], weights, parts[block.parts]
            )
            for block in self.blocks
        )

    def decoded(self, mean):
        found = np.empty((len(mean), len(self.names)))
        for block in self.blocks:
            of_block = mean[:, block.outputs]
            if block.likelihood.is_location_scale:
                of_block = of_block * self.unit[block.outputs] + self.center[block.outputs]
            found[:, block.columns] = block.likelihood.decoded(of_block)
        return found

    def seen(self, mean):
        found = [
            mean[:, block.outputs]
            if block.likelihood.is_location_scale
            else self._in_unit(block, block.likelihood.seen(mean[:, block.outputs]))
            for block in self.blocks
        ]
        return np.concatenate(found, axis=1)
