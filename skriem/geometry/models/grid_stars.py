"""Stars along a grid: logarithms of points at means from paths alone, for one and two dimensions.

Half the squared distance from a mean to a point has minus the logarithm for its gradient by the
mean. Distances to all nodes of a grid are one run of Dijkstra's algorithm, so differences
between some places around a mean tell the logarithms of everything at once, within a few per
cent. The nodes themselves, and some points outside, are what constants are integrated on.
"""

import numpy as np
import torch

from ..paths.grid import from_sources, through_nodes, tie
from ..solvers.relax import regularised
from .proposal import Reference
from .stars import Stars

# How far around a mean distances are compared, and from where on that says more than the
# straight line, both in cells.
STEP, NEAR = 1.5, 4.0


class GridStars:
    """Makes the stars to some points and to all nodes of a metric's grid.

    Parameters
    ----------
    metric : RiemannianMetric
    cells : Cells
        Of this metric.
    z : Tensor of shape (n, d)
    """

    def __init__(self, metric, cells, z):
        self._metric, self._cells = metric, cells
        self._points, self._n = torch.cat([z, cells.points]), len(z)
        self._tied = self._tie(z)

    def reference(self, n_components):
        """What to integrate every component on."""
        parts = (self._cells.points, self._cells.log_volumes)
        return Reference(*(part.expand(n_components, *part.shape) for part in parts))

    def connect(self, means, reference=None):
        """Stars from means (k, d) to the points and then to the reference, without curves."""
        k, d = means.shape
        step = STEP * self._cells.grid.spacing
        moves = step * torch.eye(d, dtype=means.dtype)
        places = torch.cat([means[:, None], means[:, None] + moves, means[:, None] - moves], dim=1)
        distance = self.path_lengths(places.flatten(0, 1)).unflatten(0, (k, -1))
        squares = distance.square()
        slope = (squares[:, 1 : d + 1] - squares[:, d + 1 :]).mT / (4.0 * step)
        tensors = self._metric.space_for(means).tensor(means)
        logs = -torch.linalg.solve_ex(regularised(tensors), slope.mT)[0].mT
        size = ((logs @ tensors) * logs).sum(-1).sqrt()
        logs = logs * (distance[:, 0] / size.clamp(min=torch.finfo(size.dtype).tiny))[..., None]
        straight = self._points - means[:, None]
        near = straight.abs().amax(-1) < NEAR * self._cells.grid.spacing
        logs = torch.where(near[..., None], straight, logs)
        slopes = torch.eye(d, dtype=means.dtype).expand(*logs.shape, d)
        return Stars(None, logs, slopes, logs.isfinite().all(-1), tensors)

    def carry(self, stars, means, counted=None):
        """The same from other means."""
        return self.connect(means)

    def path_lengths(self, sources):
        """Lengths of paths from some places (m, d) to the points and the reference, (m, n + s)."""
        to_nodes = from_sources(self._cells.grid.weights, self._tie(sources))
        to_points, outside = (
            through_nodes(to_nodes, tied) for tied in (self._tied, self._cells.tied)
        )
        return torch.as_tensor(np.hstack([to_points, to_nodes, outside]))

    def _tie(self, z):
        return tie(self._metric.segment_lengths, self._cells.grid, z)
