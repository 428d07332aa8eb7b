"""Decoders of tables whose columns are of different kinds: several decoders side by side."""

import hashlib

import numpy as np
import torch

from ..calculus.linearised import beside
from ..calculus.maps import Map
from ..calculus.tensors import KeepsTensors
from ..geometry.maps.decoder import Decoder


class CompositeEmbedding(KeepsTensors, Decoder):
    """Decoders of the same codes side by side, each of columns of its own.

    Squares of lengths add up, and so do logarithms of probabilities: columns are independent
    given the code.

    Immutable, and so must the arrays be that it is given.

    Parameters
    ----------
    members : sequence of Decoder
    scales : sequence of ndarray
        What the outputs of each member as a map are multiplied by, (m_k,): the units in which
        lengths of the members can be added.
    features : sequence of ndarray
        The feature of the data that each of a member's means is about, (n_k,) int.
    n_features : int
        How many there are.
    """

    follows_dtype = True

    def __init__(self, members, scales, features, n_features):
        self._members = list(members)
        self._scale = np.concatenate(scales)
        self._sizes = [len(scale) for scale in scales]
        self._features, self._n_features = list(features), n_features

    def __call__(self, z):
        return torch.cat([member(z) for member in self._members], dim=-1) * self._on(z)

    def linearise(self, z):
        return beside([member.linearise(z) for member in self._members]) * self._on(z)

    def bend(self, z, direction):
        bent = [member.bend(z, direction) for member in self._members]
        return torch.cat(bent, dim=-1) * self._on(z)

    def bent_jacobian(self, z, direction):
        found = zip(*(member.bent_jacobian(z, direction) for member in self._members))
        jacobian, bent = (torch.cat(parts, dim=-1) * self._on(z) for parts in found)
        return jacobian, bent

    def by_feature(self, parts):
        found = parts.new_zeros(*parts.shape[:-1], self._n_features)
        for member, share, features in zip(
            self._members, parts.split(self._sizes, dim=-1), self._features
        ):
            places = torch.as_tensor(features, device=parts.device)
            found = found.index_add(-1, places, member.by_feature(share))
        return found

    def mean(self, z):
        """Means of all distributions, (n, m)."""
        return torch.cat([member.mean(z) for member in self._members], dim=-1)

    def draw(self, z, rng):
        """A draw from every distribution at every row of `z`, ndarray (n, m)."""
        return np.concatenate([member.draw(z, rng) for member in self._members], axis=1)

    def log_prob(self, x, z):
        """Logarithm of the probability of what is known of rows `x` (n, m) given `z`, (n,)."""
        return sum(member.log_prob(share, z) for member, share in self._shared(x))

    def given(self, x, z):
        found = [member.given(share, z) for member, share in self._shared(x)]
        log_probs, means = zip(*found)
        return sum(log_probs), torch.cat(means, dim=-1)

    def _shared(self, x):
        """Every distribution and its columns."""
        shares = x.split([len(features) for features in self._features], dim=-1)
        return zip(self._members, shares)

    @property
    def fingerprint(self):
        """Digest of everything the map depends on; equal maps have equal fingerprints."""
        said = [member.fingerprint for member in self._members]
        said += [features.tolist() for features in self._features]
        return hashlib.sha256(repr(said).encode() + self._scale.tobytes()).hexdigest()

    def _made_for(self, dtype, device):
        return torch.as_tensor(self._scale, dtype=dtype, device=device)

    def __repr__(self):
        return f"CompositeEmbedding({self._members!r})"


class CompositeInformation(Map):
    """Diagonal Fisher information of the outputs of a :class:`CompositeEmbedding`.

    Parameters
    ----------
    blocks : sequence of tuple
        For every member the number of its means, and the weights of the information about
        locations and standard deviations, which then follow the means; None for weights where
        lengths are those of Fisher and Rao already.
    """

    def __init__(self, blocks):
        self._blocks = list(blocks)
        said = f"composite {self._blocks!r}"
        self.fingerprint = hashlib.sha256(said.encode()).hexdigest()

    def __call__(self, x):
        """Diagonals at outputs, (n, m) each."""
        found, first = [], 0
        for n, weights in self._blocks:
            last = first + (n if weights is None else 2 * n)
            if weights is None:
                found.append(torch.ones_like(x[:, first:last]))
            else:
                precision = x[:, first + n : last].square().reciprocal()
                found += [weight * precision for weight in weights]
            first = last
        return torch.cat(found, dim=1)
