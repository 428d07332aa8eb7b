"""Speed and quality of geodesics between codes of MNIST: skriem, stochman and solve_bvp.

python benchmarks/geodesics.py --mnist mnist.npz

One decoder, the same random pairs of codes for everybody, and the lengths of everybody's
curves by one rule: the chords between 2,001 points of the embedded curve, in float64. The
file is an archive with the test images and labels as `X_test` (n, 28, 28) and `y_test` (n,).

stochman is the release 0.3 (``pip install stochman==0.3``), see ``_peers.py``; solve_bvp takes
seconds per pair and gets the first few of them. Both are left out with ``--skip-peers``. Best
known is, for every pair, the shortest curve of all rows and of a search from several starts,
which takes a quarter of a second per pair, more in high dimensions. Set ``OMP_NUM_THREADS`` to
choose the number of threads.
"""

import argparse
import time
from functools import partial
from pathlib import Path
from typing import NamedTuple

import joblib
import numpy as np
import torch
from _peers import Curves, bvp, stochman

from skriem import RBFNoise, VAETransformer
from skriem.geometry import PullbackMetric, curves
from skriem.geometry.paths.graph import starting_curves
from skriem.geometry.solvers.geodesics import USUAL, solve_geodesics

DIGITS = (0, 1, 2)
# Points by which every curve is measured, and how many are embedded at once.
N_MEASURED, CHUNK = 2001, 500
# Of the reference: to choose among starts, and for the curve from the best of them.
LOOSE_TOL, TIGHT_TOL = 1e-2, 1e-5
# Segments of that curve at first, one of the levels of USUAL.
N_TIGHT = 32
# Pairs per call where stochman is fastest: with all in one call its arrays outgrow the cache.
STOCHMAN_BATCH = 20
# Pairs of the call before the one that is timed.
N_WARM_UP = 2
# An excess of length above this share counts as a miss.
MISS = 0.02


# Methods: (metric, a, b) -> Curves -------------------------------------------------------


def skriem(metric, a, b):
    return as_curves(metric.geodesic(a, b))


def as_curves(found):
    """What skriem returns, as :class:`Curves`."""
    points, arc_length = (np.asarray(part) for part in (found.points, found.arc_length))

    def at(row, t):
        part = slice(row, row + 1)
        return found._replace(points=points[part], arc_length=arc_length[part]).curve(t)[0]

    return Curves(at, np.asarray(found.converged), points.shape[1], torch.float64)


def variants(metric):
    """How skriem's metric is made, by the names of the rows."""
    make = partial(PullbackMetric, metric._map, metric.n_dims, metric.points)
    return {"skriem": make, "skriem, tabulate=False": partial(make, tabulate=False)}


# Lengths ---------------------------------------------------------------------------------


def measure(metric, found, a, b):
    """Lengths of curves by the common rule, (n,); infinite where a curve is not finite."""
    t = np.linspace(0.0, 1.0, N_MEASURED)
    lengths = np.full(len(a), np.inf)
    for i in range(len(a)):
        points = np.array(found.at(i, t), dtype=np.float64)
        # Whoever misses an end has to go there all the same.
        points[0], points[-1] = a[i], b[i]
        if np.isfinite(points).all():
            lengths[i] = chords(metric, points)
    return lengths


def chords(metric, points):
    """Length of the embedded polyline."""
    total = 0.0
    for first in range(0, len(points) - 1, CHUNK):
        values = metric.embed(points[first : first + CHUNK + 1])
        total += np.linalg.norm(np.diff(values, axis=0), axis=1).sum()
    return total


@torch.no_grad()
def reference_lengths(metric, a, b, n_waypoints):
    """Lengths of the shortest of the geodesics from several starts, by the common rule.

    The starts are the straight line, the path through the graph, and paths by way of random
    codes. The best of their geodesics at a loose tolerance is solved for at a tight one.
    """
    rng = np.random.default_rng(0)
    a, b = torch.as_tensor(a), torch.as_tensor(b)
    # To choose among starts a table does; the decoder itself has the last word.
    space, exact = metric.space_for(a, b), metric._space
    graph, n_segments = metric.graph, USUAL.levels[0]
    rows, first = torch.arange(len(a)), curves.straight(a, b, n_segments)
    starts = [(rows, first)]
    for part, nodes in starting_curves(space, graph, a, b, n_segments):
        new = (nodes != first[part]).flatten(1).any(1)
        starts.append((part[new], nodes[new]))
    for _ in range(n_waypoints):
        via = torch.as_tensor(metric.points[rng.integers(len(metric.points), size=len(a))])
        there = starting_curves(space, graph, a, via, n_segments // 2)[0][1]
        onwards = starting_curves(space, graph, via, b, n_segments // 2)[0][1]
        starts.append((rows, torch.cat([there, onwards[:, 1:]], dim=1)))

    def solve(space, part, nodes, tol):
        start = [(torch.arange(len(part)), nodes)]
        return solve_geodesics(space, a[part], b[part], start, tol, max_iter=200)

    t = torch.linspace(0.0, 1.0, N_TIGHT + 1, dtype=a.dtype)
    best, shortest = curves.straight(a, b, N_TIGHT), torch.full_like(a[:, 0], torch.inf)
    for part, nodes in starts:
        loose = solve(space, part, nodes, LOOSE_TOL)
        lengths, arc_length = exact.measure(loose.points)
        shorter = lengths < shortest[part]
        shortest[part[shorter]] = lengths[shorter]
        best[part[shorter]] = curves.resample(loose.points, arc_length, t)[shorter]
    best[:, 0], best[:, -1] = a, b
    found = solve(exact, rows, best, TIGHT_TOL)
    return measure(metric, as_curves(found), a.numpy(), b.numpy())


class Result(NamedTuple):
    """One row of the tables."""

    found: Curves
    n: int
    seconds: float  # per pair
    first: float  # seconds of preparation and first call
    lengths: np.ndarray


# Protocol --------------------------------------------------------------------------------


def autoencoder(path, n_components, cache):
    """The trained autoencoder and the codes of its images."""
    with np.load(path) as archive:
        images, labels = archive["X_test"][:10_000], archive["y_test"][:10_000]
    X = images[np.isin(labels, DIGITS)].reshape(-1, images[0].size) / 255.0
    if cache is not None and cache.exists():
        vae = joblib.load(cache)
    else:
        vae = VAETransformer(
            n_components, network=(64, 32), noise=RBFNoise(64), random_state=0
        ).fit(X)
        if cache is not None:
            joblib.dump(vae, cache)
    return vae, np.asarray(vae.transform(X))


def random_pairs(codes, n_pairs, seed):
    """Two arrays of codes, no code against itself."""
    rng = np.random.default_rng(seed)
    i = rng.integers(len(codes), size=n_pairs)
    j = (i + rng.integers(1, len(codes), size=n_pairs)) % len(codes)
    return codes[i], codes[j]


def timed(function, *arguments):
    started = time.perf_counter()
    result = function(*arguments)
    return result, time.perf_counter() - started


@torch.no_grad()
def floor(metric, a, n_points, dtype):
    """Seconds per curve that the decoder alone takes for so many points."""
    points = torch.as_tensor(a, dtype=dtype).repeat(1 + 20_000 // len(a), 1)
    metric.embed(points[:CHUNK])
    _, seconds = timed(lambda: [metric.embed(part) for part in points.split(CHUNK)])
    return seconds / len(points) * n_points


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mnist", type=Path, required=True, help="archive of the images")
    parser.add_argument("--n-pairs", type=int, default=1000)
    parser.add_argument("--n-components", type=int, default=2, help="dimension of the codes")
    parser.add_argument("--n-bvp", type=int, default=20, help="pairs for solve_bvp")
    parser.add_argument("--skip-peers", action="store_true", help="skriem alone")
    parser.add_argument("--seed", type=int, default=0, help="of the pairs")
    parser.add_argument(
        "--n-waypoints", type=int, default=6, help="starts of the reference by way of codes"
    )
    parser.add_argument("--cache", type=Path, help="where to keep the trained autoencoder")
    options = parser.parse_args()

    vae, codes = autoencoder(options.mnist, options.n_components, options.cache)
    metric = vae.metric_
    a, b = random_pairs(codes, options.n_pairs, options.seed)
    print(f"{vae!r}\n{len(codes)} codes, {len(a)} pairs, {torch.get_num_threads()} threads")

    runs = [(name, skriem, make, len(a)) for name, make in variants(metric).items()]
    if not options.skip_peers:
        in_batches = partial(stochman, batch=STOCHMAN_BATCH)
        runs.append(("stochman", stochman, lambda: metric, len(a)))
        runs.append((f"stochman, {STOCHMAN_BATCH} a call", in_batches, lambda: metric, len(a)))
        runs.append(("solve_bvp", bvp, lambda: metric, min(options.n_bvp, len(a))))
    results = {}
    for name, method, make, n in runs:
        if n == 0:
            continue
        its_metric, making = timed(make)
        _, first = timed(method, its_metric, a[:N_WARM_UP], b[:N_WARM_UP])
        found, seconds = timed(method, its_metric, a[:n], b[:n])
        print(f"{name}: {seconds:.1f} s for {n} pairs", flush=True)
        lengths = measure(metric, found, a[:n], b[:n])
        results[name] = Result(found, n, seconds / n, making + first, lengths)

    reference, seconds = timed(reference_lengths, metric, a, b, options.n_waypoints)
    print(f"reference: {seconds:.1f} s for {len(a)} pairs", flush=True)
    best = reference.copy()
    for row in results.values():
        best[: row.n] = np.minimum(best[: row.n], row.lengths)
    peers = [row.seconds for name, row in results.items() if name.startswith("stochman")]

    print(
        f"\n{'':24} {'pairs':>6} {'per s':>8} {'ratio':>6} {'length':>8} {'worst':>7} "
        f"{'mean':>7} {'> 2 %':>7} {'converged':>9}"
    )
    for name, row in results.items():
        ratio = f"{min(peers) / row.seconds:6.2f}" if peers else f"{'':6}"
        print(
            f"{name:24} {row.n:6} {1 / row.seconds:8.2f} {ratio} "
            f"{quality(row.lengths, best[: row.n])} {row.found.converged.mean():9.1%}"
        )
    print(f"{'reference':24} {len(a):6} {'':15} {quality(reference, best)}")
    print(
        "per s: geodesics per second; ratio: of these to the faster of stochman's rows; length:\n"
        "mean; worst, mean, > 2 %: longest curve, mean excess and share of curves more than 2 %\n"
        "too long, relative to the shortest curve that any row found for the pair; converged:\n"
        "what a method says of its own curves (stochman: of all curves of a call together)."
    )

    print(f"\n{'':24} {'ms each':>8} {'points':>7} {'ms decoder':>10} {'times':>7} {'first s':>8}")
    for name, row in results.items():
        least = floor(metric, a, row.found.n_points, row.found.dtype)
        print(
            f"{name:24} {1e3 * row.seconds:8.2f} {row.found.n_points:7.0f} {1e3 * least:10.2f} "
            f"{row.seconds / least:7.1f} {row.first:8.2f}"
        )
    print(
        "ms decoder: to embed as many points as the curve has (stochman: as it is optimised\n"
        "by), without derivatives, which is the least that measuring it once costs; first s:\n"
        f"a first call, for {N_WARM_UP} pairs, with all that is prepared once."
    )


def quality(lengths, best):
    """Mean length, longest curve, mean excess and share of misses, as text."""
    excess = lengths / best - 1.0
    return (
        f"{lengths.mean():8.3f} {1.0 + excess.max():7.3f} {excess.mean():7.2%} "
        f"{(excess > MISS).mean():7.1%}"
    )


if __name__ == "__main__":
    main()
