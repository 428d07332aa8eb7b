"""Shortest paths along a grid as curves to start from: from few places to many points each."""

import numpy as np
import torch

from .. import curves
from .graph import N_CHORDS
from .grid import from_sources, tie


class GridCurves:
    """Paths along a grid from some places, each found once for whatever is asked later.

    Parameters
    ----------
    measure : callable
        Lengths of segments from their ends, see :func:`.graph.measure_in`.
    grid : Grid
    sources : Tensor of shape (k, d)
    """

    def __init__(self, measure, grid, sources):
        self._measure, self._grid = measure, grid
        self._sources = sources.cpu().double().numpy()
        tied = tie(measure, grid, sources)
        self._distances, self._before = from_sources(grid.weights, tied, True)

    def starts(self, space, owners, ends, n_segments):
        """Where to start looking for geodesics: paths along the grid, or straight lines where
        these are shorter.

        Parameters
        ----------
        space : Space
            Measures the straight lines.
        owners : Tensor of shape (n,) int
            Which source the curve to each end comes from.
        ends : Tensor of shape (n, d)
        n_segments : int

        Returns
        -------
        Tensor of shape (n, n_segments + 1, d)
        """
        owners = owners.cpu().numpy()
        sources = torch.as_tensor(self._sources[owners]).to(ends)
        lines = curves.straight(sources, ends, n_segments)
        if not len(ends):
            return lines
        line_lengths = space.measure(curves.straight(sources, ends, 2 * N_CHORDS))[0]
        tied = tie(self._measure, self._grid, ends)
        total = self._distances[owners[:, None], tied.nodes] + np.nan_to_num(
            tied.distances, nan=np.inf
        )
        by_way = total.argmin(1)[:, None]
        lengths = torch.as_tensor(np.take_along_axis(total, by_way, 1)[:, 0]).to(ends)
        along = torch.nonzero((lengths < line_lengths) | line_lengths.isnan()).squeeze(1)
        along = along[lengths[along].isfinite()]
        rows = along.cpu().numpy()
        last = np.take_along_axis(tied.nodes, by_way, 1)[rows, 0]
        paths, arc_length = self._back_from(owners[rows], last)
        paths = np.concatenate([paths, tied.points[rows, None]], axis=1)
        arc_length = np.column_stack([arc_length, lengths[along].cpu().double().numpy()])
        t = torch.linspace(0.0, 1.0, n_segments + 1, dtype=torch.float64)
        nodes = curves.resample(*map(torch.as_tensor, (paths, arc_length)), t).to(ends)
        nodes[:, 0], nodes[:, -1] = sources[along], ends[along]
        lines[along] = nodes
        return lines

    def _back_from(self, owners, last):
        """Places along paths (n, m, d) from sources to nodes, and lengths up to them (n, m).

        Paths of fewer nodes than others stay at their first one for a while.
        """
        node, stops, n_nodes = last, [last], len(self._grid.points)
        while True:
            before = self._before[owners, node]
            inner = (before >= 0) & (before < n_nodes)
            if not inner.any():
                break
            node = np.where(inner, before, node)
            stops.append(node)
        stops = np.stack(stops[::-1], axis=1)
        paths = np.concatenate([self._sources[owners, None], self._grid.points[stops]], axis=1)
        lengths = self._distances[owners[:, None], stops]
        return paths, np.column_stack([np.zeros(len(paths)), lengths])
