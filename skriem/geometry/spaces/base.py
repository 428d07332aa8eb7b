"""What is asked of a space: how chords of curves are measured, and what follows from it."""

from abc import ABC, abstractmethod

import torch


class Chords(ABC):
    """What curves are made short by."""

    @abstractmethod
    def squared_chords(self, points):
        """Squared lengths of the chords between successive points: (B, N+1, d) -> (B, N)."""

    @abstractmethod
    def measure(self, points):
        """Lengths of the curves through an even number of steps between `points` (B, N+1, d).

        Returns
        -------
        length : Tensor of shape (B,)
        arc_length : Tensor of shape (B, N+1)
            Length from the start to every point.
        """

    def measure_closely(self, points):
        """The same, and how far off the lengths are, (B,), by those through half of the points.

        The number of steps has to be a multiple of four.
        """
        length, arc_length = self.measure(points)
        return length, arc_length, (length - self.measure(points[:, ::2])[0]).abs() / 3.0

    @abstractmethod
    def expand(self, nodes, n_sub):
        """Expansion of the energy at `nodes` (B, T+1, d), each segment cut into `n_sub`."""


class Space(Chords):
    """A metric tensor M(z) at every point z, however it is given.

    The first methods need to be defined; those below them may be, where more is known.
    """

    @abstractmethod
    def tensor(self, z):
        """Metric tensors, (n, d, d)."""

    @abstractmethod
    def differentiable_tensor(self, z):
        """The same; gradients flow through."""

    @abstractmethod
    def gradient(self, nodes, n_sub):
        """Energy (B,) and half its gradient (B, T+1, d), without second derivatives."""

    @abstractmethod
    def acceleration(self, z, velocity):
        """Coordinate acceleration of geodesics, (n, d)."""

    @abstractmethod
    def transfer(self, p, q):
        """Approximate parallel transport from `p` to nearby `q`, (n, d, d)."""

    @abstractmethod
    def scalar_curvature(self, z):
        """Twice the Gaussian curvature of two-dimensional spaces, (n,)."""

    @abstractmethod
    def numbers_per_point(self, z):
        """Numbers that one evaluation needs, roughly."""

    def cheaper(self, points):
        """A space that costs less and is nearly the same, or None if none is known.

        Parameters
        ----------
        points : ndarray of shape (n_points, d)
            Where it will be used.
        """
        return None

    def halves(self):
        """A space that varies slowly, and one that costs little, whose tensors add up to M.

        None where they are not known to be so.
        """
        return None

    def rough_tensor(self, z):
        """Metric tensors to six digits, in less time where there is a way, (n, d, d)."""
        return self.tensor(z)

    def log_volume(self, z):
        """log sqrt(det M), (n,)."""
        return 0.5 * torch.linalg.slogdet(self.tensor(z))[1]

    def lower_bounds(self, a, b):
        """Numbers that no curve between rows of `a` and rows of `b` is shorter than, (n, m)."""
        return a.new_zeros(len(a), len(b))

    def chords(self, a, b):
        """The same for each row of `a` and that of `b`, (n,)."""
        return a.new_zeros(len(a))
