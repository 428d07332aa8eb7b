"""The metric that a map pulls back: a decoder's, a surface's, any differentiable function's."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Literal

import torch
from numpy.typing import ArrayLike

from ...decoders.pretrained import adopt
from ..maps.frozen import user_map
from ..spaces.embedded import Embedded
from ..types import AnyRandomState, ArrayOrTensor, ArrayT, TensorMap
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
        ``torch.nn.Module`` is copied and put into evaluation mode; see :meth:`from_decoder` for
        decoders whose output is something else, or should be unsure away from the data.
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
        compact = self._map.compact() if hasattr(self._map, "compact") else self._map
        self._space = Embedded(compact)
        self.fingerprint = getattr(self._map, "fingerprint", None) or self.fingerprint
        if warning is not None:
            warnings.warn(warning, UserWarning, stacklevel=2)

    @classmethod
    def from_decoder(
        cls,
        decoder: Callable[..., Any],
        codes: ArrayOrTensor,
        *,
        data: ArrayOrTensor | None = None,
        likelihood: Literal["auto", "gaussian", "bernoulli", "poisson"] | None = "auto",
        output: Callable[[Any], Any] | None = None,
        features: TensorMap | None = None,
        noise: float | None = None,
        n_centers: int | Literal["auto"] = "auto",
        bandwidth: float = 1.0,
        contrast: float = 30.0,
        random_state: AnyRandomState = None,
    ) -> PullbackMetric:
        """The metric of a decoder that was trained elsewhere, with walls around codes.

        Parameters
        ----------
        decoder : torch.nn.Module or callable
            Maps codes (n, d), each row on its own, to a tensor of any shape (n, ...), a mapping
            with one tensor or with a tensor called "reconstruction", or a torch distribution. A
            module, or the module of a method such as ``model.decode``, is copied, and the copy is
            converted to float64; other functions are given float64.
        codes : array-like or Tensor of shape (n, d)
            Codes of data. The decoder is sure of what it says around them, and searches for
            geodesics lead through them, or through 1000 of them.
        data : array-like or Tensor of shape (n, ...), default=None
            What the codes are of, in the unit and shape of the output, or flattened. Says how
            large the noise of a "gaussian" is, and where; of no use to others.
        likelihood : {"auto", "gaussian", "bernoulli", "poisson"} or None, default="auto"
            What the output says of data, and so what is measured.

            - "gaussian": the output is a mean. Its noise is found around the codes as in
              :class:`~skriem.VAETransformer`, and the metric is the expected one.
            - "bernoulli", "poisson": the output is a probability of ones or the mean of counts,
              and the metric is Fisher-Rao's, with distributions that become unsure away from the
              codes.
            - None: the output is all there is. No noise, no walls.
            - "auto": "gaussian" for tensors, and with `features`. Normal distributions have
              their own standard deviations, and no walls but these; Bernoulli, Poisson,
              NegativeBinomial, Categorical and OneHotCategorical ones have Fisher-Rao's metric.

            Of a distribution all but "auto" use the mean.
        output : callable, default=None
            Picks the tensor or distribution from what `decoder` returns, such as
            ``lambda out: out[2]``, or makes the mean of it, such as ``torch.sigmoid``.
        features : torch.nn.Module or callable, default=None
            Where lengths are measured, in place of the space of the output: maps outputs, in
            their own shape, to tensors (n, ...). Of `data` the features are taken too.
        noise : float, default=None
            Standard deviation of a "gaussian" without `data`, in the unit of the output or of
            the features. None takes a tenth of the standard deviation of what codes decode to.
        n_centers : int or "auto", default="auto"
            Bumps around which the decoder is sure, at most. "auto": one for every 8 codes, at
            most 64.
        bandwidth : float, default=1.0
            Width of a bump, in mean distances of its codes to its centre.
        contrast : float, default=30.0
            Noise (standard deviation) far from all codes, in multiples of that at codes. 1 for
            no walls.
        random_state : int, RandomState instance, Generator or None, default=None
            Where bumps begin to be looked for, and which codes are kept of many.

        Returns
        -------
        PullbackMetric
            Distances are in the unit of the output or of the features; Fisher-Rao's have none.

        Raises
        ------
        TypeError
            If it is not clear which tensor is the output, or nothing is known of its
            distribution.
        ValueError
            If `decoder` or `features` have dropout or batch normalisation in training mode, or
            rows depend on each other; if outputs have another shape than `data`, are not finite,
            carry no gradient or are no means of the likelihood; if `codes` are not two-dimensional
            or not finite; for options out of range.

        Warns
        -----
        UserWarning
            If the decoder has kinks, as ReLU makes them.

        Notes
        -----
        A decoder that takes codes of another shape, such as (n, d, 1, 1), becomes one of rows
        by ``torch.nn.Sequential(torch.nn.Unflatten(1, (d, 1, 1)), decoder)``.

        References
        ----------
        Laine, *Feature-based metrics for exploring the latent space of generative models*, ICLR
        workshop 2018.

        Examples
        --------
        Codes on a circle, and a decoder that puts out what it gets:

        >>> import torch
        >>> from skriem.geometry import PullbackMetric
        >>> class Decoder(torch.nn.Module):
        ...     def forward(self, z):
        ...         return {"reconstruction": z}
        >>> angle = torch.linspace(0.0, 6.28, 400)
        >>> codes = torch.stack([angle.cos(), angle.sin()], dim=1)
        >>> mean = PullbackMetric.from_decoder(Decoder(), codes, likelihood=None)
        >>> metric = PullbackMetric.from_decoder(
        ...     Decoder(), codes, noise=0.1, bandwidth=2.0, random_state=0
        ... )
        >>> a, b = torch.tensor([[-1.0, 0.0]]), torch.tensor([[1.0, 0.0]])
        >>> mean.distance(a, b).round(decimals=3)  # through the middle
        tensor([2.])
        >>> bool(metric.distance(a, b) > 2.8)  # round it, along the codes
        True
        """
        adopted = adopt(
            decoder,
            codes,
            data,
            likelihood,
            output,
            features,
            noise,
            n_centers,
            bandwidth,
            contrast,
            random_state,
        )
        if adopted.warning is not None:
            warnings.warn(adopted.warning, UserWarning, stacklevel=2)
        return cls(adopted.embed, adopted.points.shape[1], adopted.points)

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
