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
from .field import Field

# Largest number of grid points, where the tensor costs little and elsewhere, and cells along the
# longest side to begin with, by dimension.
MAX_CHEAP, MAX_TABULATED = 1_000_000, 400_000
FIRST_CELLS = {1: 256, 2: 128, 3: 24}
# Room around the points, as a share of the longest side.
MARGIN = 0.25
# Cells beyond that, where the spline still feels the end of the grid.
PADDING = 6
N_PROBES = 2000
# Share of the probes that the error is the largest of. They weigh less where it is far across:
# the steepest walls are the hardest to tabulate, and curves keep out of them.
MEASURED = 0.99
# Share of the error that a table may have which is part of what another is made from.
SLOW_SHARE = 0.1

# Numbers held at once for every coefficient that is looked up: so few points make up a slice
# that it stays in the processor's cache.
NUMBERS = 20

# Uniform cubic B-splines on one cell: rows are powers of the position, columns the four
# coefficients that matter there.
BASIS = np.array([[1, 4, 1, 0], [-3, 0, 3, 0], [3, -6, 3, 0], [-1, 3, -3, 1]]) / 6.0


class Table(NamedTuple):
    """A grid of spline coefficients of the metric tensor's square root."""

    low: np.ndarray  # (d,): corner of the box where the table holds
    high: np.ndarray  # (d,)
    spacing: float
    coefficients: np.ndarray  # (cells + 1 + 2 PADDING per side..., d (d + 1) / 2)


class Probes(NamedTuple):
    """Where a table is tried."""

    at: torch.Tensor  # (n, d)
    whiten: np.ndarray  # (n, d, d): makes the metric tensor the identity from both sides
    weights: np.ndarray  # (n,)

    def error(self, wrong):
        """Relative error of the length of a short step if tensors are `wrong` by so much."""
        relative = self.whiten @ wrong @ self.whiten.swapaxes(-1, -2)
        # The length is the square root of the quadratic form.
        errors = 0.5 * np.linalg.norm(relative, ord=2, axis=(1, 2))
        order = np.argsort(errors)
        share = np.cumsum(self.weights[order]) / self.weights.sum()
        return float(errors[order[np.searchsorted(share, MEASURED)]])


class Lookup(NamedTuple):
    """A table as it is looked up."""

    rows: torch.Tensor  # (m, 4 d (d + 1) / 2): runs of coefficients
    strides: torch.Tensor  # (d,) int: of runs along each side
    low: torch.Tensor  # (d,)
    n_cells: torch.Tensor  # (d,)
    basis: torch.Tensor  # (12, 4): by powers, of the spline, its first and its second derivative
    columns: torch.Tensor  # where a tensor and its derivatives stand


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
        self.numbers_per_point = NUMBERS * 4**d * len(self._pairs)

    def __call__(self, z):
        root = self._root(z)
        return _rows((root[:, :, None] * root).sum(1))

    def form(self, z, v):
        """w . w with w = S v."""
        return (self._root(z) * v.mT).sum(1).square().sum(0)

    def _root(self, z):
        """S, with points last, (d, d, n)."""
        d = z.shape[1]
        return self._derivatives(z, 0)[0, self._entries].view(d, d, -1)

    def jets(self, z, v):
        """e(z, v) = w . w with w = S v."""
        n, d = z.shape
        found = self._derivatives(z, 2).flatten(0, 1).index_select(0, self._on(z).columns)
        # Points are last: sums over few entries run over many points at once.
        found = found.view(-1, d, d, n)
        moved = (found * v.mT).sum(2)
        root, slopes = found[0], found[1 : d + 1]
        w, along, bends = moved[0], moved[1 : d + 1], moved[d + 1 :].view(d, d, d, n)
        jets = (
            (w * w).sum(0),
            2.0 * (along * w).sum(1),
            2.0 * (root * w).sum(1),
            2.0 * ((along[:, None] * along).sum(2) + (bends * w).sum(2)),
            2.0 * ((along[:, :, None] * root).sum(1) + (slopes * w[:, None]).sum(1)),
            2.0 * (root[:, :, None] * root).sum(1),
        )
        return Jets(*map(_rows, jets))

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
        Tensor of shape ((order + 1) ** d, d (d + 1) / 2, n)
        """
        (n, d), n_orders, for_this = z.shape, order + 1, self._on(z)
        at = ((z - for_this.low) / self.table.spacing).mT
        n_cells = for_this.n_cells[:, None]
        inside = ((at >= 0.0) & (at <= n_cells)).all(0)
        cell = torch.where(inside, at, 0.0).floor().clamp(max=n_cells - 1)
        t = at - cell
        # Not by products of matrices: what they round depends on the other points.
        basis = for_this.basis[: 4 * n_orders, :, None, None]
        weights = basis[:, 0] + basis[:, 1] * t
        for i, power in enumerate((t * t, t * t * t), start=2):
            weights.addcmul_(basis[:, i], power)
        weights = weights.view(n_orders, 4, d, 1, n)

        corner = ((cell.mT.long() + PADDING - 1) * for_this.strides).sum(-1)
        offsets = torch.zeros(1, dtype=torch.long, device=z.device)
        for stride in for_this.strides[:-1]:
            steps = stride * torch.arange(4, device=z.device)
            offsets = (offsets[:, None] + steps).flatten()
        found = for_this.rows.index_select(0, (corner[:, None] + offsets).flatten())
        left = 4**d * len(self._pairs)
        found = found.view(n, left).mT.contiguous()
        for k in range(d):
            left //= 4
            found = found.view(n_orders**k, 1, 4, left, n)
            total = found[:, :, 0] * weights[:, 0, k]
            for i in range(1, 4):
                total.addcmul_(found[:, :, i], weights[:, i, k])
            found = total
        found = found.view(n_orders**d, len(self._pairs), n)
        return torch.where(inside, found, torch.nan)

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
        slope = np.diag([1.0, 2.0, 3.0], k=1) / spacing
        basis = np.concatenate([BASIS.T, (slope @ BASIS).T, (slope @ slope @ BASIS).T])
        to = {"dtype": dtype, "device": device}
        return Lookup(
            torch.as_tensor(runs.reshape(np.prod(sides), -1), **to),
            torch.as_tensor(strides, device=device),
            torch.as_tensor(low, **to),
            torch.as_tensor(n_cells, **to),
            torch.as_tensor(basis, **to),
            torch.tensor(self._columns, device=device),
        )


def _rows(last):
    """A tensor (..., n) with points last as one with points first."""
    return last.permute(-1, *range(last.ndim - 1)).contiguous()


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
    at = _probes(points)
    exact = space.tensor(at).numpy()
    if not np.isfinite(exact).all():
        return None, np.inf
    try:
        whiten = np.linalg.inv(np.linalg.cholesky(exact))
        weights = np.linalg.norm(exact, ord=2, axis=(1, 2)) ** -0.5
    except np.linalg.LinAlgError:
        return None, np.inf
    probes = Probes(at, whiten, weights)
    rough, room = _by_halves(space, low, high, probes, tol), MAX_CHEAP
    if rough is None:
        rough, room = space.rough_tensor, MAX_TABULATED
    most = _most_cells(high - low, room)
    first = min(most, FIRST_CELLS[d])
    return _refined(rough, low, high, first, most, probes, exact, tol)


def _refined(rough, low, high, n_cells, most, probes, exact, tol):
    """Make a table finer until it is accurate enough or as fine as it may be.

    Parameters
    ----------
    rough : callable
        Tensors at points, to six digits.
    n_cells, most : int
        Along the longest side, at first and at last.
    exact : ndarray of shape (n_probes, d, d)
        Tensors at the probes.
    """
    table, error = None, np.inf
    while True:
        finer = _grid(rough, low, high, (high - low).max() / n_cells)
        if finer is None:
            return table, error
        table = finer
        error = probes.error(TabulatedTensor(table)(probes.at).numpy() - exact)
        if error <= tol or n_cells == most:
            return table, error
        # Errors of cubic splines fall with the fourth power of the spacing.
        n_cells = min(most, n_cells * np.clip(1.05 * (error / tol) ** 0.25, 1.2, 3.0))


def _by_halves(space, low, high, probes, tol):
    """Tensors of which the half that varies slowly comes out of a coarse table, or None.

    A network can cost a hundred times what its noise does, and noise has the steep walls.
    """
    halves = space.halves()
    if halves is None:
        return None
    slow, rest = halves
    # The finer table's padding lies within this one.
    first = FIRST_CELLS[len(low)]
    room = (PADDING + 1) * (high - low).max() / first
    low, high = low - room, high + room
    exact, enough = slow.tensor(probes.at).numpy(), SLOW_SHARE * tol
    table, error = _refined(
        *(slow.rough_tensor, low, high, first // 2),
        *(_most_cells(high - low, MAX_TABULATED) // 2, probes, exact, enough),
    )
    if error > enough:
        return None
    looked_up = Field(TabulatedTensor(table))
    return lambda z: looked_up.tensor(z) + rest.rough_tensor(z)


def _most_cells(sides, room):
    """Cells along the longest side of the largest table of so many points."""

    def n_points(n_cells):
        return np.prod(np.ceil(n_cells * sides / sides.max()) + 1 + 2 * PADDING)

    return bisect(range(1, room), room, key=n_points)


def _grid(rough, low, high, spacing):
    """A table of given spacing, or None if it is not finite."""
    n_cells = np.ceil((high - low) / spacing - 1e-9)
    high = low + n_cells * spacing
    sides = (n_cells + 1 + 2 * PADDING).astype(int)
    axes = [corner + spacing * (np.arange(n) - PADDING) for corner, n in zip(low, sides)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    d = len(low)
    tensors = rough(torch.as_tensor(grid.reshape(-1, d))).numpy()
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
    return torch.as_tensor(points[i] + share * (points[j] - points[i]))
