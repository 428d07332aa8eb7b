"""Maps with weights, which are arrays where they are stored and tensors where they compute."""

import hashlib

import torch

from ..calculus.maps import Map


class Weighted(Map):
    """A map that depends on weights.

    Immutable. With arrays as weights it can be stored; :meth:`on` gives one that computes.

    Parameters
    ----------
    parts : sequence of ndarray or Tensor
    """

    def __init__(self, parts):
        self.parts = list(parts)

    def _with(self, parts):
        """The same with other weights."""
        return type(self)(parts)

    def on(self, dtype=torch.float64, device=None):
        """A copy with tensors as weights, of a dtype where they are floating point numbers."""
        return self._with(
            torch.tensor(part, dtype=dtype if part.dtype.kind == "f" else None, device=device)
            for part in self.parts
        )

    def stored(self):
        """A copy with arrays as weights."""
        return self._with(part.detach().cpu().numpy() for part in self.parts)

    def __repr__(self):
        return f"{type(self).__name__}()"

    @property
    def fingerprint(self):
        """Digest of kind and weights (arrays)."""
        digest = hashlib.sha256(repr(self).encode())
        for part in self.parts:
            digest.update(str(part.shape).encode() + part.tobytes())
        return digest.hexdigest()


class Noise(Weighted):
    """A standard deviation for every output, (n, m), that depends on the code."""
