"""The metric that a map pulls back: a decoder's, a surface's, any differentiable function's."""

from __future__ import annotations

from typing import Any, NoReturn

import torch
from numpy.typing import ArrayLike

from ...calculus.slopes import all_digits
from ..callers import warn
from ..maps.users import user_map
from ..spaces.embedded import Embedded
from ..types import ArrayT, TensorMap
from .riemannian import RiemannianMetric


class PullbackMetric(RiemannianMetric):
    """Riemannian metric that a differentiable map pulls back from Euclidean space.

    Distances between points are lengths of the shortest curves, measured after `embed`. With
    the embedding z -> (mean(z), standard deviation(z)) of a random decoder this is the
    decoder's expected metric (Arvanitidis, Hansen and Hauberg, *Latent Space Oddity*, ICLR
    2018, theorem 1).

    Parameters
    ----------
    embed : callable
        Differentiable torch function from (n, n_dims) to (n, m), each row on its own. A
        ``torch.nn.Module`` is copied and put into evaluation mode; :func:`skriem.decoder_metric`
        is for decoders whose output is something else, or should be unsure away from the data.
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
        If `n_dims` is below 1, or `points` have another number of columns or are not finite; if
        `embed` is a module that does not return (n, m) numbers that depend on its input, or has
        dropout or batch normalisation in training mode.

    Warns
    -----
    UserWarning
        If `embed` is a module with kinks, as ReLU makes them.

    See Also
    --------
    MetricField : A metric from its tensor, where no embedding is known.
    NearestNeighborMetric : A metric of data, in which gaps are long.

    Notes
    -----
    A geodesic is looked for from the straight line, with `points` from shortest paths through
    them, and in two and three dimensions, where walls ask for it or no points are known, from
    shortest paths along a lattice. What is found is locally shortest, and the shortest of what
    was tried.

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

    def __init__(
        self,
        embed: TensorMap,
        n_dims: int,
        points: ArrayLike | None = None,
        tabulate: bool = True,
    ) -> None:
        super().__init__(None, n_dims, points, tabulate, None)
        self._map, warning = user_map(embed, "embed", self.n_dims, self.points)
        # What is solved with may be any isometric copy.
        self._space = Embedded(self._map.compact())
        self.fingerprint = self._map.fingerprint or self.fingerprint
        if warning is not None:
            warn(warning)

    @classmethod
    def from_decoder(cls, *args: Any, **kwargs: Any) -> NoReturn:
        """Gone: see :func:`skriem.decoder_metric`."""
        raise TypeError(
            "PullbackMetric.from_decoder is called skriem.decoder_metric now; it takes the same."
        )

    @all_digits()
    def embed(self, Z: ArrayT) -> ArrayT:
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

    def _chord_parts(self, points):
        places = self._map(points.flatten(0, 1)).unflatten(0, points.shape[:2])
        return self._map.by_feature(places.diff(dim=1).square())

    def with_points(self, points: ArrayLike) -> PullbackMetric:
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
