"""Values with their first and second derivatives, and what these become under the chain rule."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


class Derivatives(ABC):
    """What follows from products with numbers and from functions of outputs."""

    value: Tensor

    @abstractmethod
    def then(self, value, first, second):
        """A function of each output, given by its values and two derivatives there, (n, m)."""

    @abstractmethod
    def __mul__(self, other):
        """The product with a number, or with another of the same kind."""

    def __rmul__(self, other):
        return self * other

    def __neg__(self):
        return self * -1.0

    def exp(self):
        """The exponential function of each output."""
        value = self.value.exp()
        return self.then(value, value, value)


@dataclass(frozen=True, eq=False)
class Linearised(Derivatives):
    """What a row-wise map is to second order at some points.

    Sums, products and functions of it are so again: the chain rule stands here and nowhere else.

    Parameters
    ----------
    value : Tensor of shape (n, m)
    jacobian : Tensor of shape (n, d, m)
        Entry [i, k] is the derivative of the value at point i along coordinate k.
    curvature : callable
        Maps weights (n, m) to the weighted sums over outputs of the Hessians, (n, d, d).
    """

    value: Tensor
    jacobian: Tensor
    curvature: Callable[[Tensor], Tensor]

    def __iter__(self):
        return iter((self.value, self.jacobian, self.curvature))

    def then(self, value, first, second):
        def curvature(weights):
            outer = (self.jacobian * (weights * second)[:, None]) @ self.jacobian.mT
            return outer + self.curvature(weights * first)

        return Linearised(value, self.jacobian * first[:, None], curvature)

    def log_normalised(self, logs, totals):
        """Logarithms of shares in proportion to the exponentials of outputs.

        Parameters
        ----------
        logs : Tensor of shape (n, m)
            Their values.
        totals : callable
            Sums (..., m) over what each output is a share of.
        """
        shares = logs.exp()
        centred = self.jacobian - totals(shares[:, None] * self.jacobian)

        def curvature(weights):
            pulled = shares * totals(weights)
            return self.curvature(weights - pulled) - (centred * pulled[:, None]) @ centred.mT

        return Linearised(logs, centred, curvature)

    def __add__(self, other):
        """The sum with another, whose single column or all columns go with those of this one."""

        def curvature(weights):
            return self.curvature(weights) + other.curvature(_gathered(weights, other))

        jacobian = self.jacobian + other.jacobian
        return Linearised(self.value + other.value, jacobian, curvature)

    def __mul__(self, other):
        """The product with a number, a row of numbers, or another of a single column."""
        if not isinstance(other, Linearised):
            return Linearised(
                self.value * other,
                self.jacobian * other,
                lambda weights: self.curvature(weights * other),
            )
        slope = other.jacobian.squeeze(-1)

        def curvature(weights):
            total = (weights * self.value).sum(1, keepdim=True)
            crossed = (self.jacobian @ weights[..., None]) * slope[:, None]
            bent = self.curvature(weights * other.value) + other.curvature(total)
            return bent + crossed + crossed.mT

        jacobian = self.jacobian * other.value[:, None] + other.jacobian * self.value[:, None]
        return Linearised(self.value * other.value, jacobian, curvature)


def _gathered(weights, part):
    """Weights of the columns of a part that may be one for all."""
    return weights if part.value.shape[1] == weights.shape[1] else weights.sum(1, keepdim=True)


def beside(parts):
    """The outputs of several, one after the other."""
    sizes = [part.value.shape[-1] for part in parts]

    def curvature(weights):
        shares = weights.split(sizes, dim=-1)
        return sum(part.curvature(share) for part, share in zip(parts, shares))

    value = torch.cat([part.value for part in parts], dim=-1)
    return Linearised(value, torch.cat([part.jacobian for part in parts], dim=-1), curvature)


@dataclass(frozen=True, eq=False)
class Jet(Derivatives):
    """The same along one direction at every point: no more than three (n, m) tensors.

    Parameters
    ----------
    value, slope, bend : Tensor of shape (n, m)
        Value, first and second derivative.
    """

    value: Tensor
    slope: Tensor
    bend: Tensor

    def then(self, value, first, second):
        return Jet(value, first * self.slope, second * self.slope.square() + first * self.bend)

    def log_normalised(self, logs, totals):
        """See :meth:`Linearised.log_normalised`."""
        shares = logs.exp()
        slope = self.slope - totals(shares * self.slope)
        return Jet(logs, slope, self.bend - totals(shares * (self.bend + slope.square())))

    def __add__(self, other):
        return Jet(self.value + other.value, self.slope + other.slope, self.bend + other.bend)

    def __mul__(self, other):
        if not isinstance(other, Jet):
            return Jet(self.value * other, self.slope * other, self.bend * other)
        bend = self.bend * other.value + 2.0 * self.slope * other.slope + self.value * other.bend
        slope = self.slope * other.value + self.value * other.slope
        return Jet(self.value * other.value, slope, bend)
