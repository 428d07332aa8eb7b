"""What a geodesic solver returns: curves, lengths, and how each solve ended."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
import torch

from ..curves import resample, subdivide
from ..types import ArrayOrTensor


class Status(IntEnum):
    """How the search for one geodesic ended.

    Attributes
    ----------
    CONVERGED
        Value 0: the curve is locally shortest, none that it was compared with is shorter, and
        its length is within the tolerance. That no other curve is shorter is not known.
    MAX_ITER
        Value 1: the curve was still getting shorter when the iterations ran out.
    UNRESOLVED
        Value 2: the length still changes at the finest resolution, or a curve that was given up
        for this one turned out shorter.
    DEGENERATE
        Value 3: the points are different, but the metric does not tell them apart.
    NOT_FINITE
        Value 4: the metric is NaN or infinite on the way.
    message : str
        One sentence that says what happened and what to do.

    Examples
    --------
    >>> from skriem.geometry import Status
    >>> Status(1).name
    'MAX_ITER'
    """

    CONVERGED = 0
    MAX_ITER = 1
    UNRESOLVED = 2
    DEGENERATE = 3
    NOT_FINITE = 4

    @property
    def message(self) -> str:
        """One sentence that says what happened and what to do."""
        return _MESSAGES[self]


_MESSAGES = {
    Status.CONVERGED: (
        "The curve is locally shortest, none that it was compared with is shorter, and its length "
        "is within the tolerance."
    ),
    Status.MAX_ITER: (
        "The curve was still getting shorter when the iterations ran out; raise max_iter or "
        "loosen tol."
    ),
    Status.UNRESOLVED: (
        "The length still changes at the finest resolution, or a curve that was given up for this "
        "one is shorter after all: the metric varies faster than curves can follow; loosen tol or "
        "smooth the metric."
    ),
    Status.DEGENERATE: (
        "The two points are different but the metric does not tell them apart: it "
        "is degenerate along this curve."
    ),
    Status.NOT_FINITE: (
        "The metric is NaN or infinite on the way between the points; check what it is made of "
        "there."
    ),
}


class Geodesics(NamedTuple):
    """A batch of n geodesics.

    All fields are tensors or all are arrays, like the points that were asked about.

    Attributes
    ----------
    points : (n, N+1, d)
        Points of the curves, from start to end.
    arc_length : (n, N+1)
        Length from the start to every point.
    length : (n,)
        Geodesic distances. The length of the curve found, whether or not it converged; NaN
        only where the status is ``NOT_FINITE``.
    error : (n,)
        Estimated error of the length: its changes when the curve was last refined, and when it
        is measured by half as many chords.
    status : (n,) int
        :class:`Status` of each solve.
    n_iter : (n,) int
        Newton iterations spent.
    n_segments : (n,) int
        Resolution that was needed: segments of the polyline whose energy was minimised.
    gap : (n,)
        How much longer the best of the other curves is that were compared, as a share of the
        length; infinite where all starts led to the same curve.
    energy : (n,)
        Energy of the curves at constant speed over [0, 1]: the squared length.
    converged : (n,) bool
        Whether each solve converged.

    Examples
    --------
    >>> import numpy as np
    >>> from skriem.geometry import PullbackMetric
    >>> plane = PullbackMetric(lambda z: z, n_dims=2)
    >>> geodesics = plane.geodesic(np.zeros((1, 2)), np.array([[3.0, 4.0]]))
    >>> geodesics.length.round(6)
    array([5.])
    >>> geodesics.curve([0.5]).round(6)
    array([[[1.5, 2. ]]])
    """

    # Arrays or tensors; which of the two, a tuple cannot say.
    points: Any
    arc_length: Any
    length: Any
    error: Any
    status: Any
    n_iter: Any
    n_segments: Any
    gap: Any

    def rows(self, index: ArrayOrTensor | slice) -> Geodesics:
        """The same for some of the pairs.

        Parameters
        ----------
        index : int array-like, slice or bool array-like
            As in indexing the first axis of an array.

        Returns
        -------
        Geodesics
        """
        return Geodesics(*(field[index] for field in self))

    def replaced(self, index: ArrayOrTensor | slice, others: Geodesics) -> Geodesics:
        """The same with the solutions for some pairs exchanged; their iterations add up."""
        others = others._replace(n_iter=others.n_iter + self.n_iter[index])
        n_chords = max(self.points.shape[1], others.points.shape[1]) - 1
        fields = [field.clone() for field in self._on_chords(n_chords)]
        for field, other in zip(fields, others._on_chords(n_chords)):
            field[index] = other
        return Geodesics(*fields)

    def _on_chords(self, n_chords):
        """The same curves by so many chords, a multiple of what there are."""
        n_sub = n_chords // (self.points.shape[1] - 1)
        arc_length = subdivide(self.arc_length[..., None], n_sub).squeeze(-1)
        return self._replace(points=subdivide(self.points, n_sub), arc_length=arc_length)

    @property
    def energy(self) -> Any:
        """Energy of the curves at constant speed over [0, 1]: the squared length."""
        return self.length**2

    @property
    def converged(self) -> Any:
        """Whether each solve converged, (n,) bool."""
        return self.status == int(Status.CONVERGED)

    def curve(self, t: ArrayOrTensor) -> Any:
        """Points at constant speed.

        Parameters
        ----------
        t : array-like of shape (s,)
            Fractions of the way, between 0 and 1.

        Returns
        -------
        (n, s, d)
            Coordinates: for each pair, for each fraction.

        Raises
        ------
        ValueError
            If a fraction is below 0 or above 1.
        """
        as_array = isinstance(self.points, np.ndarray)
        points, arc_length = torch.as_tensor(self.points), torch.as_tensor(self.arc_length)
        t = torch.as_tensor(t, dtype=points.dtype, device=points.device).reshape(-1)
        if ((t < 0) | (t > 1)).any():
            raise ValueError("t must lie between 0 (start) and 1 (end).")
        result = resample(points, arc_length, t)
        return result.numpy() if as_array else result

    def summary(self) -> list[str]:
        """One sentence for each way in which solves ended that is not success.

        Returns
        -------
        list of str
            Each with how many of the pairs ended so. Empty if all converged.
        """
        codes, counts = np.unique(np.asarray(self.status.tolist()), return_counts=True)
        return [
            f"{count} of {len(self.status)}: {Status(code).message}"
            for code, count in zip(codes.tolist(), counts.tolist())
            if code != Status.CONVERGED
        ]
