"""Metric tensors tabulated on a grid and interpolated by cubic splines, for up to 3 dimensions.

A decoder's metric costs as much as its outputs are many; its tensor is d (d + 1) / 2 numbers.
Where the dimension is low enough for a grid, looking them up is some fifty times as cheap, and
their first and second derivatives come along. The table is made finer until its error, measured
against the exact tensor, is below what is asked.

In the table is the symmetric square root S of the tensor M = S S: what comes out is positive
semi-definite however steep the metric is, and the root is less steep.
"""

import itertools
from bisect import bisect
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from scipy.ndimage import spline_filter

from ...calculus.tensors import KeepsTensors
from ..chunks import MAX_GRID_DIMS
from ..maps.tensor_field import Jets, TensorField

# Largest number of grid points, and cells along the longest side to begin with, by dimension.
MAX_TABULATED = 400_000
FIRST_CELLS = {1: 256, 2: 128, 3: 24}
# Room around the points, as a share of the longest side.
MARGIN = 0.25
# Cells beyond that, where the spline still feels the end of the grid.
PADDING = 6
N_PROBES = 2000
# Share of the probes that the error is the largest of. They weigh less where it is far across:
# the steepest walls are the hardest to tabulate, and curves keep out of them.
MEASURED = 0.99

# Uniform cubic B-splines on one cell: rows are powers of the position, columns the four
# coefficients that matter there.
BASIS = np.array([[1, 4, 1, 0], [-3, 0, 3, 0], [3, -6, 3, 0], [-1, 3, -3, 1]]) / 6.0


class Table(NamedTuple):
    """A grid of spline coefficients of the metric tensor's square root."""

    low: np.ndarray  # (d,): corner of the box where the table holds
    high: np.ndarray  # (d,)
    spacing: float
    coefficients: np.ndarray  # (cells + 1 + 2 PADDING per side..., d (d + 1) / 2)


class TabulatedTensor(KeepsTensors, TensorField):
    """The metric tensor of a table, with its derivatives. NaN outside the table's box.

    Parameters
    ----------
    table : Table
    """

    def __init__(self, table):
        self.table = table
        d = len(table.low)
        self._pairs = list(itertools.combinations_with_replacement(range(d), 2))
        self.numbers_per_point = 3 * 4**d * len(self._pairs)

    def __call__(self, z):
        d = z.shape[1]
        root = self._derivatives(z, 0)[:, 0, self._entries].view(-1, d, d)
        return root @ root

    def jets(self, z, v):
        """e(z, v) = w . w with w = S v."""
        n, d = z.shape
        columns = self._on(z)[-1]
        found = self._derivatives(z, 2).flatten(1).index_select(1, columns).view(n, -1, d, d)
        # Matrices of a point on top of each other: one product in place of many tiny ones.
        moved = (found.flatten(1, 2) @ v[..., None]).view(n, -1, d)
        root, w, slopes, bends = found[:, 0], moved[:, 0], moved[:, 1 : d + 1], moved[:, d + 1 :]
        along = w[..., None]
        return Jets(
            (w * w).sum(1),
            2.0 * (slopes @ along).squeeze(-1),
            2.0 * (root @ along).squeeze(-1),
            2.0 * (slopes @ slopes.mT + (bends @ along).view(n, d, d)),
            2.0 * (slopes @ root + (found[:, 1 : d + 1].flatten(1, 2) @ along).view(n, d, d)),
            2.0 * root @ root,
        )

    @cached_property
    def _entries(self):
        """Where the entries of a symmetric matrix stand in its upper triangle."""
        d = range(len(self.table.low))
        return [self._pairs.index((min(i, j), max(i, j))) for i in d for j in d]

    @cached_property
    def _columns(self):
        """The same for the matrix, its first and its second derivatives, among all products of
        derivatives of order 0 to 2.
        """
        d = len(self.table.low)
        first = [3 ** (d - 1 - k) for k in range(d)]
        orders = [0, *first, *(a + b for a in first for b in first)]
        return [k * len(self._pairs) + entry for k in orders for entry in self._entries]

    def _derivatives(self, z, order):
        """All products of derivatives up to `order` along each coordinate.

        Returns
        -------
        Tensor of shape (n, (order + 1) ** d, d (d + 1) / 2)
        """
        n, d = z.shape
        rows, strides, low, n_cells, basis, _ = self._on(z)
        at = (z - low) / self.table.spacing
        inside = ((at >= 0.0) & (at <= n_cells)).all(1)
        cell = torch.where(inside[:, None], at, 0.0).floor().clamp(max=n_cells - 1)
        t = at - cell
        ones, zeros = torch.ones_like(t), torch.zeros_like(t)
        powers = [torch.stack([ones, t, t * t, t * t * t], dim=-1)]
        if order == 2:
            scale = 1.0 / self.table.spacing
            powers.append(torch.stack([zeros, ones, 2.0 * t, 3.0 * t * t], dim=-1) * scale)
            powers.append(torch.stack([zeros, zeros, 2.0 * ones, 6.0 * t], dim=-1) * scale**2)
        weights = torch.stack(powers, dim=2) @ basis  # (n, d, order + 1, 4)

        corner = ((cell.long() + PADDING - 1) * strides).sum(-1)
        offsets = torch.zeros(1, dtype=torch.long, device=z.device)
        for stride in strides[:-1]:
            steps = stride * torch.arange(4, device=z.device)
            offsets = (offsets[:, None] + steps).flatten()
        found = rows.index_select(0, (corner[:, None] + offsets).flatten())
        n_orders, left = order + 1, 4 ** (d - 1) * len(self._pairs)
        found = found.reshape(n, 1, 4, left)
        for k in range(d):
            found = weights[:, k, None] @ found
            if k + 1 < d:
                left //= 4
                found = found.reshape(n, n_orders ** (k + 1), 4, left)
        found = found.reshape(n, n_orders**d, len(self._pairs))
        return torch.where(inside[:, None, None], found, torch.nan)

    def _made_for(self, dtype, device):
        """The table for points of this dtype on this device.

        Rows are runs of four coefficients along the last side, so that looking one up reads
        memory in order.
        """
        low, high, spacing, coefficients = self.table
        n_last = coefficients.shape[-2] - 3
        runs = np.stack([coefficients[..., k : k + n_last, :] for k in range(4)], axis=-2)
        sides = runs.shape[: len(low)]
        strides = np.cumprod([1, *sides[:0:-1]])[::-1].copy()
        n_cells = np.rint((high - low) / spacing)
        to = {"dtype": dtype, "device": device}
        return (
            torch.as_tensor(runs.reshape(np.prod(sides), -1), **to),
            torch.as_tensor(strides, device=device),
            torch.as_tensor(low, **to),
            torch.as_tensor(n_cells, **to),
            torch.as_tensor(BASIS, **to),
            torch.tensor(self._columns, device=device),
        )


def tabulate(space, points, tol):
    """Tabulate a metric around points.

    Parameters
    ----------
    space : Space
    points : ndarray of shape (n_points, d)
    tol : float
        Relative error of lengths to stay below.

    Returns
    -------
    table : Table or None
        The coarsest that is accurate enough, else the finest there is room for. None where the
        tensor is not finite or not positive definite.
    error : float
        Relative error of the length of a short step, the largest at a share of ``MEASURED`` of
        the points tried.
    """
    d = points.shape[1]
    low, high = points.min(0), points.max(0)
    side = (high - low).max()
    if d > MAX_GRID_DIMS or not side > 0.0:
        return None, np.inf
    low, high = low - MARGIN * side, high + MARGIN * side
    probes = _probes(points)
    exact = space.tensor(torch.as_tensor(probes)).numpy()
    if not np.isfinite(exact).all():
        return None, np.inf
    try:
        whiten = np.linalg.inv(np.linalg.cholesky(exact))
        weights = np.linalg.norm(exact, ord=2, axis=(1, 2)) ** -0.5
    except np.linalg.LinAlgError:
        return None, np.inf
    table, error = None, np.inf
    most = _most_cells(high - low)
    n_cells = min(most, FIRST_CELLS[d])
    while True:
        finer = _grid(space, low, high, (high - low).max() / n_cells)
        if finer is None:
            return table, error
        table = finer
        relative = whiten @ TabulatedTensor(table)(torch.as_tensor(probes)).numpy()
        relative = relative @ whiten.swapaxes(-1, -2) - np.eye(d)
        # The length is the square root of the quadratic form.
        errors = 0.5 * np.linalg.norm(relative, ord=2, axis=(1, 2))
        order = np.argsort(errors)
        share = np.cumsum(weights[order]) / weights.sum()
        error = float(errors[order[np.searchsorted(share, MEASURED)]])
        if error <= tol or n_cells == most:
            return table, error
        # Errors of cubic splines fall with the fourth power of the spacing.
        n_cells = min(most, n_cells * np.clip(1.05 * (error / tol) ** 0.25, 1.2, 3.0))


def _most_cells(sides):
    """Cells along the longest side of the largest table there is room for."""

    def n_points(n_cells):
        return np.prod(np.ceil(n_cells * sides / sides.max()) + 1 + 2 * PADDING)

    return bisect(range(1, MAX_TABULATED), MAX_TABULATED, key=n_points)


def _grid(space, low, high, spacing):
    """A table of given spacing, or None if it is not finite."""
    n_cells = np.ceil((high - low) / spacing - 1e-9)
    high = low + n_cells * spacing
    sides = (n_cells + 1 + 2 * PADDING).astype(int)
    axes = [corner + spacing * (np.arange(n) - PADDING) for corner, n in zip(low, sides)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    d = len(low)
    tensors = space.rough_tensor(torch.as_tensor(grid.reshape(-1, d))).numpy()
    if not np.isfinite(tensors).all():
        return None
    values, vectors = np.linalg.eigh(tensors)
    roots = (vectors * np.sqrt(values.clip(min=0.0))[:, None]) @ vectors.swapaxes(1, 2)
    i, j = zip(*itertools.combinations_with_replacement(range(d), 2))
    entries = roots[:, i, j].reshape(*sides, -1)
    layers = [spline_filter(entries[..., k], order=3) for k in range(entries.shape[-1])]
    return Table(low, high, spacing, np.stack(layers, axis=-1))


def _probes(points):
    """Points where the table is tried: on the segments between points, which curves follow."""
    rng = np.random.default_rng(0)
    i, j = rng.integers(len(points), size=(2, N_PROBES))
    share = rng.uniform(size=(N_PROBES, 1))
    return points[i] + share * (points[j] - points[i])
