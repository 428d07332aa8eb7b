"""Distances of the nearest-neighbour metric off the data, against a fine grid.

python benchmarks/off_data.py

Places are drawn uniformly from the box of a few data in the plane. Shortest paths along a grid of
260 cells, joined in 80 directions and measured by the metric tensor, are about half a per cent too
long themselves. Of triangles it prints by how much the worst violates the inequality.
"""

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

from skriem.geometry import NearestNeighborMetric

SIZES, N_PLACES, N_CELLS, REACH, N_TIED = (40, 60, 100, 60), 50, 260, 5, 48


def data(seed, n):
    """One wide blob, or a wide and a narrow one."""
    rng = np.random.default_rng(seed)
    if seed % 2:
        points = 2.0 * rng.normal(size=(n, 2))
    else:
        narrow = 0.4 * rng.normal(size=(n - n // 2, 2)) + 3.0
        points = np.concatenate([rng.normal(size=(n // 2, 2)), narrow])
    return points, rng.uniform(points.min(0), points.max(0), size=(N_PLACES, 2))


def along_a_grid(metric, places):
    """Shortest paths between places, (n, n)."""
    low, high = places.min(0) - 1.0, places.max(0) + 1.0
    cell = (high - low).max() / N_CELLS
    axes = [np.arange(a, b, cell) for a, b in zip(low, high)]
    nodes = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
    shape = nodes.shape[:2]
    index = np.arange(np.prod(shape)).reshape(shape)
    nodes = np.concatenate([nodes.reshape(-1, 2), places])
    ends = []
    for i in range(-REACH, REACH + 1):
        for j in range(REACH + 1):
            if np.gcd(i, j) == 1 and (j, i) > (0, 0):
                rows = slice(max(0, -i), shape[0] - max(0, i))
                to = slice(max(0, i), shape[0] - max(0, -i))
                ends.append((index[rows, : shape[1] - j].ravel(), index[to, j:].ravel()))
    n = index.size
    tied = cKDTree(nodes[:n]).query(places, N_TIED)[1]
    ends.append((np.repeat(np.arange(n, len(nodes)), N_TIED), tied.ravel()))
    a, b = (np.concatenate(part) for part in zip(*ends))
    lengths, tree = 0.0, cKDTree(metric.points)
    for x, share in zip(*np.polynomial.legendre.leggauss(4)):
        r = tree.query(nodes[a] + 0.5 * (x + 1.0) * (nodes[b] - nodes[a]))[0]
        speed = metric.power * (2.0 * r / metric.spacing) ** (metric.power - 1.0)
        lengths = lengths + 0.5 * share * speed
    lengths *= np.linalg.norm(nodes[a] - nodes[b], axis=1)
    graph = coo_matrix((np.maximum(lengths, 1e-300), (a, b)), shape=(len(nodes),) * 2)
    return dijkstra(graph.tocsr(), directed=False, indices=np.arange(n, len(nodes)))[:, n:]


def excess(whole, first, second):
    """By what share the longest side of the worst triangle is longer than the two others."""
    around = (first[:, :, None] + second).min(1)
    return max(0.0, (whole / np.maximum(around, 1e-300)).max() - 1.0)


def main():
    for power in (1.5, 2.0, 3.0):
        errors, to_data, one_off, off = [], [], [], []
        for seed, n in enumerate(SIZES):
            points, z = data(seed, n)
            metric = NearestNeighborMetric(points, power=power)
            on_grid = along_a_grid(metric, np.concatenate([z, points]))
            among, there, both = (
                metric.pairwise(points),
                metric.pairwise(z, points),
                metric.pairwise(z),
            )
            apart = ~np.eye(len(z), dtype=bool)
            errors.append(both[apart] / on_grid[: len(z), : len(z)][apart] - 1.0)
            to_data.append((there / on_grid[: len(z), len(z) :] - 1.0).ravel())
            one_off += [excess(among, there.T, there), excess(there, there, among)]
            off += [excess(there, both, there), excess(both, both, both)]
        for name, parts in (("between places", errors), ("to data", to_data)):
            error = np.concatenate(parts)
            print(
                f"power {power} {name:14}: mean {np.abs(error).mean():.2%}, 99th percentile "
                f"{np.quantile(error, 0.99):.1%}, largest {error.max():.1%}"
            )
        print(f"  triangles: one place off the data {max(one_off):.1e}, more {max(off):.1%}")


if __name__ == "__main__":
    main()
