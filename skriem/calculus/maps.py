"""What is asked of a map, and what it may know of itself."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from numpy.typing import NDArray
from torch import Tensor

from .linearised import Jet, Linearised
from .slopes import along, gradient, gradients, jacobian, usable


class Map(ABC):
    """A function of rows, each on its own, with two derivatives.

    A map needs to define ``__call__``. Derivatives are automatic unless it knows its own, which
    are exact too and cost less. What else it may know makes work cheaper, never different.

    Attributes
    ----------
    follows_dtype : bool
        Whether it computes in the dtype that it is given, on the device where that is.
    fingerprint : str or None
        Equal for equal content. None if the content cannot be read.
    is_separable : bool
        Whether some of its outputs cost less than all.
    """

    follows_dtype: bool = False
    is_separable: bool = False
    fingerprint: str | None = None

    @abstractmethod
    def __call__(self, z: Tensor) -> Tensor:
        """Values at the rows of `z`: (n, d) to (n, m)."""

    def linearise(self, z: Tensor) -> Linearised:
        """Value, Jacobian and curvature at the rows of `z`."""
        return linearise(self, z)

    def bend(self, z: Tensor, direction: Tensor) -> Tensor:
        """Second derivative along a direction (n, d) at every row of `z`, (n, m)."""
        return bend(self, z, direction)

    def bent_jacobian(self, z: Tensor, direction: Tensor) -> tuple[Tensor, Tensor]:
        """The Jacobian, (n, d, m), and the second derivative along a direction, (n, m)."""
        return self.linearise(z).jacobian, self.bend(z, direction)

    def jet(self, z: Tensor, direction: Tensor) -> Jet:
        """Value and two derivatives along a direction (n, d) at every row of `z`."""
        value, slopes, _ = self.linearise(z)
        return Jet(value, (direction[:, None] @ slopes).squeeze(1), self.bend(z, direction))

    def by_feature(self, parts: Tensor) -> Tensor:
        """What outputs account for (..., m), added up for each feature of the data they are of.

        Outputs are features but where several speak of one, such as its mean and its noise.
        """
        return parts

    def compact(self) -> Map:
        """An isometric map with fewer outputs where there is one, else this one."""
        return self

    def halves(self) -> tuple[Map, Map] | None:
        """A map that varies slowly, and the others of its outputs as a map that costs little.

        None where they are not known to be so.
        """
        return None

    def thinned(self, codes: NDArray) -> Map | None:
        """A map with about the same geometry and far fewer outputs, or None.

        Parameters
        ----------
        codes : ndarray of shape (n_codes, d)
            Where it will be used: between these.
        """
        return None


def linearise(function, z):
    """The derivatives of any row-wise function at `z`, automatically; gradients flow through.

    Parameters
    ----------
    function : callable
        Maps (n, d) to (n, m).
    z : Tensor of shape (n, d)

    Returns
    -------
    Linearised
    """

    def curvature(weights):
        with gradients():
            at = usable(z).detach().requires_grad_()
            slope = gradient((usable(weights) * function(at)).sum(), at)
            rows = [gradient(slope[:, k].sum(), at) for k in range(z.shape[-1])]
        return torch.stack(rows, dim=1).detach()

    value, slopes = jacobian(function, z)
    if not z.requires_grad:
        value, slopes = value.detach(), slopes.detach()
    return Linearised(value, slopes, curvature)


def bend(function, z, direction):
    """Second derivative of any row-wise function along a direction at every point, (n, m)."""

    def slope(at):
        return along(function, at, [direction])[1][:, 0]

    return along(slope, z.detach(), [direction])[1][:, 0].detach()
