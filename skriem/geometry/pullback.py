"""The metric that a map pulls back: a decoder's, a surface's, any differentiable function's."""

import copy
import hashlib

import torch

from .embedded import Embedded
from .metric import Metric


class FrozenModule:
    """A copy of a torch module, in evaluation mode, for inputs of any dtype on any device."""

    follows_dtype = True

    def __init__(self, module):
        self._module = copy.deepcopy(module).cpu().eval().requires_grad_(False)
        self._copies = {}
        digest = hashlib.sha256(repr(self._module).encode())
        for name, value in self._module.state_dict().items():
            digest.update(name.encode() + value.numpy().tobytes())
        self.fingerprint = digest.hexdigest()

    def __call__(self, z):
        key = (z.dtype, z.device)
        if key not in self._copies:
            self._copies[key] = copy.deepcopy(self._module).to(device=z.device, dtype=z.dtype)
        return self._copies[key](z)

    def __getstate__(self):
        return {**self.__dict__, "_copies": {}}


class PullbackMetric(Metric):
    """Riemannian metric that a differentiable map pulls back from Euclidean space.

    Distances between points are lengths of the shortest curves, measured after `embed`. With
    the embedding z -> (mean(z), standard deviation(z)) of a random decoder this is the
    decoder's expected metric (Arvanitidis, Hansen and Hauberg, *Latent Space Oddity*, ICLR
    2018, theorem 1).

    Parameters
    ----------
    embed : callable
        Differentiable torch function from (n, n_dims) to (n, m), each row on its own. A
        ``torch.nn.Module`` is copied and put into evaluation mode.
    n_dims : int
        Number of coordinates.
    points : array-like of shape (n_points, n_dims), default=None
        Points where the metric is meant to be used, such as the codes of training data.
        Searches for geodesics then start from shortest paths through them as well as from
        straight lines. The work grows with the square of their number.
    tabulate : bool, default=True
        With `points` and up to 3 dimensions, look the metric up in a table around the points,
        made on first use, where that is accurate enough; otherwise geodesics found through the
        table are polished without it.

    Attributes
    ----------
    n_dims : int
    points : ndarray of shape (n_points, n_dims) or None
    fingerprint : str
        Digest of the embedding. Metrics with equal fingerprints are equal. An embedding whose
        content cannot be read (a plain function) is equal to itself and its pickles only.

    Raises
    ------
    TypeError
        If `embed` is no function.
    ValueError
        If `n_dims` is below 1, or `points` have another number of columns or are not finite.

    See Also
    --------
    MetricField : A metric from its tensor, where no embedding is known.
    NearestNeighborMetric : A metric of data, in which gaps are long.

    Notes
    -----
    A geodesic is looked for from the straight line and, with `points`, from shortest paths
    through them. What is found is locally shortest, and the shortest of what was tried.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from skriem.geometry import PullbackMetric
    >>> def sphere(z):
    ...     polar, azimuth = z.unbind(-1)
    ...     return torch.stack([polar.sin() * azimuth.cos(), polar.sin() * azimuth.sin(),
    ...                         polar.cos()], dim=-1)
    >>> metric = PullbackMetric(sphere, n_dims=2)
    >>> a, b = np.array([[1.0, 0.0]]), np.array([[1.0, 1.5]])
    >>> metric.distance(a, b).round(4)
    array([1.2217])
    """

    def __init__(self, embed, n_dims, points=None, tabulate=True):
        if not callable(embed):
            raise TypeError(f"embed must be a function on torch tensors, got {embed!r}.")
        self._map = FrozenModule(embed) if isinstance(embed, torch.nn.Module) else embed
        # What is solved with may be any isometric copy.
        compact = self._map.compact() if hasattr(self._map, "compact") else self._map
        fingerprint = getattr(self._map, "fingerprint", None)
        super().__init__(Embedded(compact), n_dims, points, tabulate, fingerprint)

    def embed(self, Z):
        """Embed points.

        Parameters
        ----------
        Z : array-like or Tensor of shape (n, n_dims)

        Returns
        -------
        ndarray or Tensor of shape (n, m)
            What `Z` was; gradients flow through tensors.
        """
        points, answer = self._enter(Z)
        return answer(self._map(Z if isinstance(Z, torch.Tensor) else points))

    def with_points(self, points):
        """The same metric with other points for its graph.

        Parameters
        ----------
        points : array-like of shape (n_points, n_dims)
            Points where the metric is meant to be used; see the class.

        Returns
        -------
        PullbackMetric
            Equal to this one: points do not change distances, only where they are looked for.
        """
        return self._derived(PullbackMetric(self._map, self.n_dims, points, self._tabulate))
