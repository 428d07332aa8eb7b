"""What every metric offers, tangent vectors or not: the object that users hold."""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from typing import Any

import torch
from numpy.typing import ArrayLike

from ...calculus.slopes import no_gradients
from ..callers import warn
from ..chunks import in_chunks
from ..containers import checked_points, enter
from ..solvers.solution import Geodesics
from ..types import ArrayOrTensor, ArrayT, FloatArray

# What a metric claims to be large at the least: a decoder and the tables made from it.
MIN_SIZE = 2**20


class ConvergenceWarning(UserWarning):
    """Some geodesics or means did not converge."""


class Metric(ABC):
    """Base of all metrics: tensors at points, shortest curves, distances and means.

    Those with tangent vectors are a :class:`~skriem.geometry.RiemannianMetric`.

    Methods take arrays or tensors of shape (n, n_dims) and answer in kind: the same container,
    dtype and device. Arrays are computed on in float64, on the processor.

    The object is immutable; copies and clones are the object itself.

    Attributes
    ----------
    n_dims : int
    points : ndarray of shape (n_points, n_dims) or None
        Points where the metric is meant to be used.
    fingerprint : str
        Metrics with equal fingerprints are equal.
    """

    def __init__(
        self, space: Any, n_dims: int, points: ArrayLike | None, fingerprint: str | None
    ) -> None:
        self.n_dims = int(n_dims)
        if self.n_dims < 1:
            raise ValueError(f"n_dims must be at least 1, got {n_dims}.")
        self.points: FloatArray | None = None
        if points is not None:
            self.points = checked_points(points, self.n_dims)
        self.fingerprint = fingerprint or uuid.uuid4().hex
        self._space = space

    # Identity ----------------------------------------------------------------------------

    def __eq__(self, other):
        return isinstance(other, Metric) and self.fingerprint == other.fingerprint

    def __hash__(self):
        return hash(self.fingerprint)

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self

    def __sklearn_clone__(self):
        return self

    def __sizeof__(self):
        # Asked by schedulers, which send large arguments to every worker once.
        return object.__sizeof__(self) + MIN_SIZE

    def __repr__(self):
        return f"{type(self).__name__}(n_dims={self.n_dims}, fingerprint={self.fingerprint[:8]})"

    # Pointwise ---------------------------------------------------------------------------

    @no_gradients()
    def tensor(self, Z: ArrayT) -> ArrayT:
        """Metric tensors at points.

        Parameters
        ----------
        Z : array-like of shape (n, n_dims)

        Returns
        -------
        (n, n_dims, n_dims)
        """
        Z, answer = self._enter(Z)
        return answer(self._space.tensor(Z))

    @no_gradients()
    def norm(self, Z: ArrayT, V: ArrayOrTensor) -> ArrayT:
        """Lengths of tangent vectors, sqrt(v' M(z) v): how fast a path with velocity v is.

        Parameters
        ----------
        Z, V : array-like of shape (n, n_dims)
            Points, and tangent vectors at them in coordinates.

        Returns
        -------
        (n,)
        """
        (z, v), answer = self._enter_pairs(Z, V, "V")
        return answer(((self._space.tensor(z) @ v[..., None]).squeeze(-1) * v).sum(-1).sqrt())

    @no_gradients()
    def log_volume(self, Z: ArrayT) -> ArrayT:
        """Logarithm of the magnification factor, log sqrt(det M).

        Parameters
        ----------
        Z : array-like of shape (n, n_dims)

        Returns
        -------
        (n,)
        """
        Z, answer = self._enter(Z)
        return answer(self._space.log_volume(Z))

    @no_gradients()
    def geodesic(
        self, A: ArrayOrTensor, B: ArrayOrTensor, tol: float = 1e-3, max_iter: int = 100
    ) -> Geodesics:
        """Shortest curves from the rows of `A` to the rows of `B`.

        Parameters
        ----------
        A, B : array-like of shape (n, n_dims)
        tol : float, default=1e-3
            Relative tolerance of the lengths. Curves are refined until their length changes
            by less.
        max_iter : int, default=100
            Newton iterations at each resolution.

        Returns
        -------
        Geodesics
            Curves, lengths and one status per pair. A curve that did not converge is returned
            as far as it got; see :attr:`Geodesics.status`.
        """
        (A, B), answer = self._enter_pairs(A, B, "B")
        return Geodesics(*(answer(field) for field in self._between(A, B, tol, max_iter)))

    @no_gradients()
    def contributions(self, geodesics: Geodesics) -> ArrayOrTensor:
        """How much of the length of curves every feature accounts for.

        Speed is the root of a sum of squares. A feature with the square s among them accounts for
        s over the speed. A step that moves a single feature is all of that feature.

        Parameters
        ----------
        geodesics : Geodesics
            What :meth:`geodesic` returned.

        Returns
        -------
        (n, n_features)
            In the unit of the metric; rows add up to the lengths. Features are the outputs of a
            map or, where there is none, coordinates. Those of a decoder are the features of its
            data, mean and noise of one taken together. Only coordinates that are not orthogonal
            can account for less than nothing.

        Examples
        --------
        >>> import numpy as np
        >>> from skriem.geometry import PullbackMetric
        >>> plane = PullbackMetric(lambda z: z, n_dims=2)
        >>> way = plane.geodesic(np.zeros((1, 2)), np.array([[3.0, 4.0]]))
        >>> plane.contributions(way).round(6)
        array([[1.8, 3.2]])
        """
        n_curves, n_nodes = geodesics.points.shape[:2]
        flat, answer = self._enter(geodesics.points.reshape(-1, self.n_dims))
        points = flat.unflatten(0, (n_curves, n_nodes))
        arcs = torch.as_tensor(geodesics.arc_length).to(points).diff(dim=1)
        # Lengths are more accurate than sums of arcs.
        length, whole = torch.as_tensor(geodesics.length).to(points), arcs.sum(1)
        arcs = arcs * (length / torch.where(whole > 0, whole, 1.0))[:, None]
        n_features = self._chord_parts(points[:1, :2]).shape[-1] if n_curves else 0

        def shared(rows):
            parts = self._chord_parts(points[rows])
            total = parts.sum(-1, keepdim=True)
            speeds = arcs[rows, :, None] / torch.where(total > 0, total, 1.0)
            return ((parts * speeds).sum(1),)

        return answer(in_chunks(shared, torch.arange(n_curves), n_nodes * n_features)[0])

    def _chord_parts(self, points):
        """What adds up to the squared chords of curves (B, N+1, d), (B, N, n_features)."""
        middle, step = 0.5 * (points[:, 1:] + points[:, :-1]), points.diff(dim=1)
        parts = self._space.tensor_fn.parts(middle.flatten(0, 1), step.flatten(0, 1))
        return parts.unflatten(0, middle.shape[:2])

    def distance(
        self, A: ArrayT, B: ArrayOrTensor, tol: float = 1e-3, max_iter: int = 100
    ) -> ArrayT:
        """Geodesic distances between the rows of `A` and the rows of `B`.

        Parameters
        ----------
        A, B : array-like of shape (n, n_dims)
        tol : float, default=1e-3
            Relative tolerance of the lengths; see :meth:`geodesic`.
        max_iter : int, default=100
            Newton iterations at each resolution.

        Returns
        -------
        (n,)

        Warns
        -----
        ConvergenceWarning
            Once, with counts, if some pairs did not converge.
        """
        geodesics = self.geodesic(A, B, tol=tol, max_iter=max_iter)
        warn_unconverged(geodesics)
        return geodesics.length

    @no_gradients()
    def pairwise(
        self, A: ArrayT, B: ArrayOrTensor | None = None, tol: float = 1e-3, max_iter: int = 100
    ) -> ArrayT:
        """Geodesic distances between all rows of `A` and all rows of `B` (or `A`).

        Parameters
        ----------
        A : array-like of shape (n, n_dims)
        B : array-like of shape (m, n_dims), default=None
            None takes `A`.
        tol : float, default=1e-3
            Relative tolerance of the lengths; see :meth:`geodesic`.
        max_iter : int, default=100
            Newton iterations at each resolution.

        Returns
        -------
        (n, m)

        Warns
        -----
        ConvergenceWarning
            Once, with counts, if some pairs did not converge.
        """
        a, answer = self._enter(A)
        if B is None:
            i, j = torch.triu_indices(len(a), len(a), offset=1, device=a.device)
            length = self.distance(a[i], a[j], tol=tol, max_iter=max_iter)
            result = a.new_zeros(len(a), len(a))
            result[i, j] = length
            result[j, i] = length
            return answer(result)
        b = self._enter(B)[0].to(a)
        i = torch.arange(len(a), device=a.device).repeat_interleave(len(b))
        j = torch.arange(len(b), device=a.device).repeat(len(a))
        length = self.distance(a[i], b[j], tol=tol, max_iter=max_iter)
        return answer(length.reshape(len(a), len(b)))

    @abstractmethod
    def frechet_mean(
        self,
        Z: ArrayT,
        sample_weight: ArrayOrTensor | None = None,
        tol: float = 1e-6,
        max_iter: int = 100,
    ) -> ArrayT:
        """Point with the least weighted sum of squared geodesic distances.

        Parameters
        ----------
        Z : array-like of shape (n, n_dims)
        sample_weight : array-like of shape (n,), default=None
            Non-negative weights; None weighs all points alike.
        tol : float, default=1e-6
            How accurate the mean is to be, relative to the distances to it.
        max_iter : int, default=100

        Returns
        -------
        (n_dims,)
        """

    @abstractmethod
    def with_points(self, points: ArrayLike) -> Metric:
        """The same metric with other points for its graph."""

    @abstractmethod
    def path_lengths(self, A: ArrayT, B: ArrayOrTensor) -> ArrayT:
        """Lengths of shortest paths through the points between all rows of `A` and of `B`.

        Parameters
        ----------
        A : array-like of shape (n, n_dims)
        B : array-like of shape (m, n_dims)

        Returns
        -------
        (n, m)
            Never below the distances.
        """

    @abstractmethod
    def approximate_pairwise(self, A: ArrayT, B: ArrayOrTensor | None = None) -> ArrayT:
        """Geodesic distances between all rows of `A` and all rows of `B` (or `A`), roughly.

        Parameters
        ----------
        A : array-like of shape (n, n_dims)
        B : array-like of shape (m, n_dims), default=None
            None takes `A`.

        Returns
        -------
        (n, m)
        """

    @abstractmethod
    def _between(self, a: Any, b: Any, tol: float, max_iter: int) -> Geodesics:
        """Geodesics between the rows of two tensors."""

    # Containers --------------------------------------------------------------------------

    def _enter_pairs(self, A, B, name):
        """Two inputs with one row for each pair, as checked tensors."""
        (A, answer), (B, _) = self._enter(A), self._enter(B)
        if A.shape != B.shape:
            raise ValueError(
                f"{name} must have one row per pair: {len(A)} and {len(B)} rows do not match. "
                "For all pairs of distances use pairwise(A, B)."
            )
        return (A, B.to(A)), answer

    def _enter(self, Z):
        return enter(Z, self.n_dims)


def warn_unconverged(geodesics, category=ConvergenceWarning):
    """One warning, with a count for each way in which solves ended that is not success."""
    failures = geodesics.summary()
    if failures:
        warn("Some geodesics did not converge. " + " ".join(failures), category)
