"""Lengths of straight segments where a step costs a power of the distance to the nearest datum.

Along a segment the squared distances to the data are parabolas with one curvature, so that which
datum is the nearest changes as the lower envelope of straight lines does. Between two changes the
cost is a power of the distance to one point, whose integral is a hypergeometric function: lengths
are exact. What is a bound says so.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import hyp2f1

from .graph import Attached
from .neighbors import nearest_points

# Points that a place off the data is tied to, of so many around it.
N_TIED, N_AROUND = 8, 32
# Places that are tied at once.
CHUNK = 512
# By what share another point has to be nearer to count as one.
NEARER = 1e-12


class Ground(NamedTuple):
    """Data, and what steps among them cost."""

    points: np.ndarray  # (n, d)
    unit: float  # the distance at which lengths are about what they are without the metric
    power: float

    def to_data(self, r):
        """Length of the way to the nearest datum, of places `r` away from it."""
        return self.unit * 2.0 ** (self.power - 1.0) * (r / self.unit) ** self.power

    def at_most(self, distances, r_start=0.0, r_end=0.0):
        """Lengths of straight segments, at most; of those between data that meet no other, exactly.

        Ends are `r_start` and `r_end` from the nearest datum; on the way the nearest may be nearer
        than they say.
        """
        top = 0.5 * (r_start + r_end + distances)
        found = 2.0 * self.to_data(top) - self.to_data(r_start) - self.to_data(r_end)
        return np.maximum(found, 0.0)

    def along(self, a, b, nearest=None):
        """Lengths of the straight segments from the rows of `a` to the rows of `b`, (n,).

        Parameters
        ----------
        a, b : ndarray of shape (n, d)
        nearest : callable, optional
            Which datum is nearest, from rows of segments and a place on each, both (m, ...).
        """
        if nearest is None:

            def nearest(rows, places):
                return nearest_points(self.points, places, 1)[1][:, 0]

        steps = b - a
        length = np.linalg.norm(steps, axis=1)
        heading = steps / np.where(length > 0.0, length, 1.0)[:, None]
        total = np.zeros(len(a))

        def add(rows, low, high, datum):
            """The part from `low` to `high`, where one datum is the nearest."""
            off = self.points[datum] - a[rows]
            foot = (off * heading[rows]).sum(1)
            height = np.linalg.norm(off - foot[:, None] * heading[rows], axis=1) / self.unit
            end, start = (
                _integral((s - foot) / self.unit, height, self.power) for s in (high, low)
            )
            np.add.at(total, rows, end - start)

        rows = np.flatnonzero(length > 0.0)
        low, high = np.zeros(len(rows)), length[rows]
        first, last = nearest(rows, a[rows]), nearest(rows, b[rows])
        while len(rows):
            # Of straight lines the lower at both ends is the lower in between.
            one = first == last
            add(rows[one], low[one], high[one], first[one])
            rows, low, high, first, last = (x[~one] for x in (rows, low, high, first, last))
            turn = _crossing(
                self.points[first] - a[rows], self.points[last] - a[rows], heading[rows]
            )
            turn = np.clip(turn, low, high)
            place = a[rows] + turn[:, None] * heading[rows]
            other = nearest(rows, place)
            squares = [np.square(self.points[x] - place).sum(1) for x in (other, first, last)]
            new = squares[0] < (1.0 - NEARER) * np.minimum(*squares[1:])
            add(rows[~new], low[~new], turn[~new], first[~new])
            add(rows[~new], turn[~new], high[~new], last[~new])
            rows, low, turn, high, first, other, last = (
                x[new] for x in (rows, low, turn, high, first, other, last)
            )
            rows, low, high = np.tile(rows, 2), np.r_[low, turn], np.r_[turn, high]
            first, last = np.r_[first, other], np.r_[other, last]
        return self.unit * self.power * 2.0 ** (self.power - 1.0) * np.maximum(total, 0.0)

    def tie(self, z):
        """Places tied to data around them by straight segments, and how far the nearest are.

        Of the data around a place those are taken first that have no other in the ball between:
        they lie in all directions. Data are tied to themselves alone.

        Parameters
        ----------
        z : ndarray of shape (n, d)

        Returns
        -------
        Attached
        ndarray of shape (n,)
        """
        distances, around = nearest_points(self.points, z, N_AROUND)
        k = min(N_TIED, around.shape[1])
        nodes = np.where(distances[:, :k] == 0.0, around[:, :k], around[:, :1])
        lengths = np.zeros(nodes.shape)
        off = np.flatnonzero(distances[:, 0] > 0.0)
        for first in range(0, len(off), CHUNK):
            rows = off[first : first + CHUNK]
            nodes[rows], lengths[rows] = self._ties(z[rows], around[rows], k)
        return Attached(z, nodes, lengths), distances[:, 0]

    def _ties(self, z, around, k):
        """Data that some places off the data are tied to, and how long the ways are, (n, k)."""
        steps = self.points[around] - z[:, None]
        products = steps @ steps.swapaxes(1, 2)
        squares = np.einsum("nii->ni", products)
        beaten = (products > (1.0 + NEARER) * squares[:, :, None]).any(1)
        chosen = np.argsort(beaten, axis=1, kind="stable")[:, :k]
        nodes = np.take_along_axis(around, chosen, axis=1)
        # Whatever is nearest on the way is around the place.
        candidates = self.points[around]

        def nearest(rows, places):
            near = candidates[rows // k] - places[:, None]
            return around[rows // k, np.square(near).sum(2).argmin(1)]

        ends = self.points[nodes.ravel()]
        return nodes, self.along(np.repeat(z, k, axis=0), ends, nearest).reshape(nodes.shape)


def _integral(s, height, power):
    """Integral from 0 to `s` of (t^2 + height^2)^((power - 1) / 2)."""
    q, squares = 0.5 * (power - 1.0), s * s + height * height
    share = np.divide(s * s, squares, out=np.zeros_like(s), where=squares > 0.0)
    return s * squares**q * hyp2f1(1.0, -q, 1.5, share)


def _crossing(first, last, heading):
    """How far along lines from the origin two points are equally near, (n,)."""
    ahead = ((last - first) * heading).sum(1)
    squares = np.square(last).sum(1) - np.square(first).sum(1)
    return np.divide(squares, 2.0 * ahead, out=np.zeros_like(ahead), where=ahead > 0.0)
