"""Are geodesics the shortest there are? Codes of folded data, against curves from other searches.

python benchmarks/global.py --mnist mnist.npz

For every set, seed, dimension and contrast a decoder is trained, and geodesics between pairs of its
codes are compared with the shortest curve known for each pair: of the package's own, of those
relaxed from shortest paths along two other lattices, of another spacing, place and margin, and of
those from the straight line and the paths through the graph, each relaxed to its end. All curves
are measured by one rule, the chords between 4,097 points of each, on the decoder itself.

With ``--maps``, maps without points whose shortest ways are known, and ridges that roll out flat.
"""

import argparse
import time

import numpy as np
import torch
from _shared import load_mnist
from sklearn.datasets import load_digits, make_moons, make_s_curve, make_swiss_roll

from skriem import RBFNoise, VAETransformer
from skriem.geometry import PullbackMetric, curves
from skriem.geometry.paths.graph import starting_curves
from skriem.geometry.paths.grid import box_around
from skriem.geometry.paths.lattice import Lattice, lattice_routes
from skriem.geometry.solvers.geodesics import FINE, solve_geodesics
from skriem.geometry.solvers.routes import STRIDE

N_MEASURED, TOL, MAX_ITER = 4097, 1e-3, 100
# Nodes and margins of the lattices to compare with.
OTHERS = ((600_000, 0.13), (350_000, 0.31))
LONGER = 0.005


def ring(seed, n=1000):
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0.0, 2.0 * np.pi, n)
    plane = np.stack([np.cos(angle), np.sin(angle)], axis=1) * (
        1.0 + 0.05 * rng.normal(size=(n, 1))
    )
    return np.column_stack([plane, 0.1 * rng.normal(size=n)])


def data_sets(mnist):
    sets = {
        "swiss roll": lambda seed: make_swiss_roll(1000, noise=0.2, random_state=seed)[0],
        "s-curve": lambda seed: make_s_curve(1000, noise=0.05, random_state=seed)[0],
        "ring": ring,
        "moons": lambda seed: make_moons(1000, noise=0.05, random_state=seed)[0],
        "digits": lambda seed: load_digits(n_class=3, return_X_y=True)[0],
    }
    if mnist is not None:
        X, y = load_mnist(mnist, "test")
        sets["MNIST"] = lambda seed: X[np.isin(y, (0, 1, 2))]
    return sets


def measured(space, found):
    """Lengths of curves by the common rule, (n,) array."""
    t = torch.linspace(0.0, 1.0, N_MEASURED, dtype=torch.float64)
    return space.measure(found.curve(t))[0].numpy()


def best_known(metric, a, b):
    """Lengths of the shortest curves of other searches, (n,) array."""
    space, exact = metric.space_for(a, b), metric._space
    n_segments = FINE.levels[0]
    starts = starting_curves(space, metric.graph, a, b, n_segments)
    for n_nodes, margin in OTHERS:
        box = box_around(metric.points, margin)
        other = Lattice(space, metric.segment_lengths, *box, n_nodes, STRIDE[a.shape[1]])
        starts += lattice_routes(other, a, b, n_segments)
    best = np.full(len(a), np.inf)
    for rows, nodes in starts:
        start = [(torch.arange(len(rows)), nodes)]
        found = solve_geodesics(space, a[rows], b[rows], start, TOL, MAX_ITER, FINE)
        # Curves that leave the table of the metric have no length.
        lengths = np.where(found.length.isfinite(), measured(exact, found), np.inf)
        np.minimum.at(best, rows.numpy(), lengths)
    return best


def compare(metric, codes, n_pairs):
    """What one row of the table says."""
    rng = np.random.default_rng(0)
    i = rng.integers(len(codes), size=n_pairs)
    j = (i + rng.integers(1, len(codes), size=n_pairs)) % len(codes)
    a, b = torch.tensor(codes[i]), torch.tensor(codes[j])
    started = time.perf_counter()
    metric.geodesic(a[:1], b[:1])
    first, started = time.perf_counter() - started, time.perf_counter()
    found = metric.geodesic(a, b, tol=TOL)
    seconds = time.perf_counter() - started
    lengths = measured(metric._space, found)
    excess = lengths / np.minimum(lengths, best_known(metric, a, b)) - 1.0
    converged, off = found.converged.numpy(), np.abs(found.length.numpy() / lengths - 1.0)
    return (
        f"{converged.mean():9.0%} {(converged & (excess > LONGER)).mean():7.0%} "
        f"{excess.mean():8.2%} {excess.max():8.1%} {off[converged].max():9.2%} "
        f"{1e3 * seconds / n_pairs:8.0f} {first:8.1f}"
    )


def maps_without_points():
    """Over a hill, over a thin ridge, and from one side of a sphere to the other by its pole."""

    def hill(z):
        return torch.cat([z, 3.0 * torch.exp(-8.0 * z.square().sum(1, keepdim=True))], dim=1)

    def ridge(z):
        height = 5.0 * torch.exp(-z[:, :1].square() / (2.0 * 0.02**2) - z[:, 1:].square() / 2.0)
        return torch.cat([z, height], dim=1)

    def stereographic(z):
        square = z.square().sum(1, keepdim=True)
        return torch.cat([2.0 * z, square - 1.0], dim=1) / (1.0 + square)

    known = "2.40", "4.56", f"{4.0 * np.arctan(0.2):.4f}"
    print(f"{'':14} {'length':>8} {'known':>8} {'line':>8}  status")
    for embed, x, best in zip((hill, ridge, stereographic), (1.0, 0.5, 5.0), known):
        a = np.array([[x, 0.0]])
        found = PullbackMetric(embed, 2).geodesic(a, -a)
        line = curves.straight(torch.tensor(a), torch.tensor(-a), 4096)
        over = (embed(line[0]).diff(dim=0)).norm(dim=1).sum()
        print(
            f"{embed.__name__:14} {found.length[0]:8.4f} {best:>8} {over:8.2f}  {found.status[0]}"
        )


def ridges_rolled_out(n_pairs=40):
    """Straight lines over five thin ridges, relaxed: the surface is ruled, distances are known."""

    def ridges(z):
        return torch.cat([z, 0.5 * torch.exp(-50.0 * torch.sin(8.0 * z[:, :1]).square())], dim=1)

    x = np.linspace(-1.0, 1.0, 200_001)
    steps = np.hypot(np.diff(x), np.diff(0.5 * np.exp(-50.0 * np.sin(8.0 * x) ** 2)))
    a, b = (np.random.default_rng(k).uniform(-1.0, 1.0, (n_pairs, 2)) for k in range(2))
    across = np.interp(b[:, 0], x[1:], steps.cumsum()) - np.interp(a[:, 0], x[1:], steps.cumsum())
    exact = np.hypot(across, b[:, 1] - a[:, 1])
    a, b = torch.tensor(a), torch.tensor(b)
    starts = [(torch.arange(n_pairs), curves.straight(a, b, FINE.levels[0]))]
    space = PullbackMetric(ridges, 2)._space
    found = solve_geodesics(space, a, b, starts, TOL, MAX_ITER, FINE)
    excess = found.length.numpy() / exact - 1.0
    print(
        f"ridges from straight lines: {found.converged.double().mean():.0%} converged, "
        f"excess over rolled out {excess.mean():.3%}, at most {excess.max():.2%}"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mnist", help="archive of the images; left out without it")
    parser.add_argument("--n-pairs", type=int, default=100)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--sets", nargs="+", help="names; all without it")
    parser.add_argument("--dims", type=int, nargs="+", default=[2, 3])
    parser.add_argument("--contrasts", type=float, nargs="+", default=[30.0, 300.0])
    parser.add_argument("--max-iter", type=int, default=100, help="of the training")
    parser.add_argument("--maps", action="store_true", help="maps without points alone")
    options = parser.parse_args()
    if options.maps:
        maps_without_points()
        ridges_rolled_out()
        return
    print(
        f"{'':12} {'d':>2} {'contrast':>8} {'seed':>4} {'converged':>9} {'> .5 %':>7} {'mean':>8} "
        f"{'worst':>8} {'length':>9} {'ms each':>8} {'first s':>8}"
    )
    for name, data in data_sets(options.mnist).items():
        if options.sets is not None and name not in options.sets:
            continue
        for d in options.dims:
            for contrast in options.contrasts:
                for seed in options.seeds:
                    vae = VAETransformer(
                        d,
                        noise=RBFNoise(contrast=contrast),
                        max_iter=options.max_iter,
                        random_state=seed,
                    )
                    codes = np.asarray(vae.fit_transform(data(seed)))
                    row = compare(vae.metric_, codes, options.n_pairs)
                    print(f"{name:12} {d:2} {contrast:8.0f} {seed:4} {row}", flush=True)
    print(
        "> .5 %: pairs that say CONVERGED and are longer by that than the best curve known; mean,\n"
        "worst: excess over it; length: largest difference of a length that says CONVERGED from\n"
        "that of its curve by 4,096 chords; first s: the first call, with all that is prepared."
    )


if __name__ == "__main__":
    main()
