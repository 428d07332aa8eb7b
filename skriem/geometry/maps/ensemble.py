"""Several decoders at once: the geometry of their average metric."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...calculus.linearised import Linearised, beside
from ..types import TensorMap
from .decoder import Decoder
from .users import as_map


class EnsembleEmbedding(Decoder):
    """Decoders side by side, so that the pulled-back metric is the mean of theirs.

    Where they disagree, away from the data, their derivatives are large and so is the metric
    (Syrota, Moreno-Muñoz and Hauberg, *Decoder ensembling for learned latent geometries*,
    GRaM 2024).

    Immutable.

    Parameters
    ----------
    members : sequence of callable
        Decoders of the same codes, torch functions from (n, d) to (n, m). What is asked of them
        is what members offer: of plain functions, the metric alone. Modules are copied and put
        into evaluation mode.

    Raises
    ------
    TypeError
        If a member is no function.
    ValueError
        If there is none, or a module computes something else in training and is in it.

    Examples
    --------
    >>> import numpy as np
    >>> from skriem.geometry import EnsembleEmbedding, PullbackMetric
    >>> ensemble = EnsembleEmbedding([lambda z: z, lambda z: 3.0 * z])
    >>> PullbackMetric(ensemble, n_dims=1).tensor(np.zeros((1, 1)))
    array([[[5.]]])
    """

    def __init__(self, members: Sequence[TensorMap]) -> None:
        self._members = [as_map(member, "a member") for member in members]
        if not self._members:
            raise ValueError("An ensemble needs at least one member.")
        self.follows_dtype = all(member.follows_dtype for member in self._members)
        self._share = 1.0 / math.sqrt(len(self._members))

    def __call__(self, z: Tensor) -> Tensor:
        """Embed the rows of `z`: tensor (n, d) -> tensor (n, S m)."""
        return self._share * torch.cat([member(z) for member in self._members], dim=-1)

    def linearise(self, z: Tensor) -> Linearised:
        """Value, Jacobian and curvature at rows of `z`.

        Parameters
        ----------
        z : Tensor of shape (n, d)

        Returns
        -------
        value : Tensor of shape (n, S m)
        jacobian : Tensor of shape (n, d, S m)
        curvature : callable
            Maps weights (n, S m) to the weighted sums of the outputs' Hessians, (n, d, d).
        """
        return beside([member.linearise(z) for member in self._members]) * self._share

    def bend(self, z: Tensor, direction: Tensor) -> Tensor:
        """Second derivative along a direction at every row of `z`.

        Parameters
        ----------
        z, direction : Tensor of shape (n, d)

        Returns
        -------
        Tensor of shape (n, S m)
        """
        bent = [member.bend(z, direction) for member in self._members]
        return self._share * torch.cat(bent, dim=-1)

    def bent_jacobian(self, z: Tensor, direction: Tensor) -> tuple[Tensor, Tensor]:
        """The Jacobian, and the second derivative along a direction, at every row of `z`.

        Parameters
        ----------
        z, direction : Tensor of shape (n, d)

        Returns
        -------
        jacobian : Tensor of shape (n, d, S m)
        bend : Tensor of shape (n, S m)
        """
        found = zip(*(member.bent_jacobian(z, direction) for member in self._members))
        jacobian, bent = (self._share * torch.cat(parts, dim=-1) for parts in found)
        return jacobian, bent

    def by_feature(self, parts: Tensor) -> Tensor:
        """What outputs account for, added up for each feature of the data, of all members.

        Parameters
        ----------
        parts : Tensor of shape (..., S m)

        Returns
        -------
        Tensor of shape (..., n_features)
        """
        shares = parts.tensor_split(len(self._members), dim=-1)
        return sum(member.by_feature(part) for member, part in zip(self._members, shares))

    def compact(self) -> EnsembleEmbedding:
        """A map with the same geometry and fewer outputs, where members have one.

        Returns
        -------
        EnsembleEmbedding
        """
        return EnsembleEmbedding([member.compact() for member in self._members])

    def in_noises(self, weight: float) -> EnsembleEmbedding:
        """The means in units of the members' constant noise.

        Parameters
        ----------
        weight : float
            What the squared unit is divided by.

        Returns
        -------
        EnsembleEmbedding
        """
        return EnsembleEmbedding([member.in_noises(weight) for member in self._members])

    def mean(self, z: Tensor) -> Tensor:
        """Mean of the members' means.

        Parameters
        ----------
        z : Tensor of shape (n, d)

        Returns
        -------
        Tensor of shape (n, m)
        """
        return torch.stack([member.mean(z) for member in self._members]).mean(0)

    def draw(self, z: Tensor, rng: np.random.RandomState) -> NDArray[Any]:
        """A draw from a random member at every row of `z`.

        Parameters
        ----------
        z : Tensor of shape (n, d)
        rng : RandomState

        Returns
        -------
        ndarray of shape (n, m)
        """
        drawn = torch.stack([torch.as_tensor(m.draw(z, rng)) for m in self._members]).numpy()
        return drawn[rng.randint(len(self._members), size=len(z)), range(len(z))]

    def log_prob(self, x: Tensor, z: Tensor) -> Tensor:
        """Logarithm of the members' mean probability of rows given codes.

        Parameters
        ----------
        x : Tensor of shape (n, m)
        z : Tensor of shape (n, d)

        Returns
        -------
        Tensor of shape (n,)
        """
        each = torch.stack([member.log_prob(x, z) for member in self._members])
        return torch.logsumexp(each, dim=0) - math.log(len(self._members))

    def given(self, x: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """The same of rows given several codes each, and what is then expected of all outputs.

        Parameters
        ----------
        x : Tensor of shape (n, m)
        z : Tensor of shape (n, K, d)

        Returns
        -------
        log_prob : Tensor of shape (n, K)
        means : Tensor of shape (n, K, m)
            Members count by how probable they make what is known.
        """
        each, means = map(torch.stack, zip(*(m.given(x, z) for m in self._members)))
        log_prob = torch.logsumexp(each, dim=0)
        expected = ((each - log_prob).exp()[..., None] * means).sum(0)
        return log_prob - math.log(len(self._members)), expected

    @property
    def fingerprint(self) -> str | None:  # type: ignore[override]
        """Digest of everything the map depends on, or None if a member has none."""
        parts = [member.fingerprint for member in self._members]
        return None if None in parts else hashlib.sha256(repr(parts).encode()).hexdigest()

    def __repr__(self):
        return f"EnsembleEmbedding({len(self._members)} of {self._members[0]!r})"


def ensemble_energy(embeddings: Sequence[TensorMap], points: Tensor) -> Tensor:
    """Energy of curves when the two ends of every chord are decoded by independent decoders.

    The expectation over both decoders of N times the sum of the N squared chords,
    ``E |f_s(c_(t+1)) - f_r(c_t)|^2``: the squared chord of the mean decoder, plus the variance over
    the decoders at either end. Where decoders disagree it is costly to be, not only to move,
    so that the energy grows with the square of the number of chords there (Syrota,
    Moreno-Muñoz and Hauberg, *Decoder ensembling for learned latent geometries*, GRaM 2024).

    Parameters
    ----------
    embeddings : sequence of callable
        Decoders, torch functions from (n, d) to (n, m).
    points : Tensor of shape (B, N+1, d)
        Points of the curves.

    Returns
    -------
    Tensor of shape (B,)
        Differentiable.

    Examples
    --------
    >>> import torch
    >>> from skriem.geometry import ensemble_energy
    >>> decoders = [lambda z: z, lambda z: 3.0 * z]
    >>> ensemble_energy(decoders, torch.tensor([[[0.0], [1.0], [2.0]]]))
    tensor([28.])
    """
    flat = points.flatten(0, 1)
    values = torch.stack([embed(flat) for embed in embeddings]).unflatten(1, points.shape[:2])
    mean = values.mean(0)
    variance = (values - mean).square().sum(-1).mean(0)
    chords = (mean[:, 1:] - mean[:, :-1]).square().sum(-1)
    return chords.shape[1] * (chords + variance[:, 1:] + variance[:, :-1]).sum(-1)
