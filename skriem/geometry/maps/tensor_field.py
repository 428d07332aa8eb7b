"""What is asked of a metric that is given by its tensor at every point."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor

from ...calculus.slopes import gradient, gradients

# Numbers that derivatives of a tensor keep for every one that it is made from, roughly.
NUMBERS_PER_ENTRY = 8


class Jets(NamedTuple):
    """The quadratic form e(z, v) = v' M(z) v with its first and second derivatives."""

    value: Tensor  # (n,)
    z: Tensor  # (n, d)
    v: Tensor  # (n, d): 2 M v
    zz: Tensor  # (n, d, d)
    zv: Tensor  # (n, d, d): row k is 2 dM/dz_k v
    vv: Tensor  # (n, d, d): 2 M


class TensorField(ABC):
    """A symmetric positive definite matrix for every point, twice differentiable.

    A field needs to define ``__call__``. Derivatives are automatic unless it knows its own.

    Attributes
    ----------
    numbers_per_point : int
        Numbers that one evaluation needs, roughly.
    fingerprint : str or None
        Equal for equal content. None if the content cannot be read.
    """

    numbers_per_point: int = 64
    fingerprint: str | None = None

    @abstractmethod
    def __call__(self, z: Tensor) -> Tensor:
        """Metric tensors at the rows of `z`, (n, d, d)."""

    def form(self, z: Tensor, v: Tensor) -> Tensor:
        """The quadratic form v' M(z) v for rows of `z` and `v`, (n,): it may cost less than M."""
        return self.parts(z, v).sum(-1)

    def parts(self, z: Tensor, v: Tensor) -> Tensor:
        """What adds up to the form at rows of `z` and `v`, (n, m): here, of each coordinate."""
        return (self(z) @ v[..., None]).squeeze(-1) * v

    def jets(self, z: Tensor, v: Tensor) -> Jets:
        """The same with its derivatives."""
        d, tensor = z.shape[1], self(z).detach()
        by_step = (tensor @ v[..., None]).squeeze(-1)
        # Derivatives by v are known: only those by z are taken automatically.
        with gradients():
            at = torch.cat([z, v], dim=-1).detach().requires_grad_()
            form = self.form(*at.tensor_split(2, dim=-1)).sum()
            slope = gradient(form, at)
            bend = torch.stack([gradient(slope[:, k].sum(), at) for k in range(d)], dim=1).detach()
        return Jets(
            (by_step * v).sum(-1),
            slope[:, :d].detach(),
            2.0 * by_step,
            bend[:, :, :d],
            bend[:, :, d:],
            2.0 * tensor,
        )
