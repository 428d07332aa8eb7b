"""Mixtures of normal distributions along geodesics: where fits start, and what they go along.

Logarithms come from paths along a grid in one and two dimensions, from curves elsewhere and where
the grid is too coarse.
"""

import numpy as np
import torch

from ..paths.medoids import alternate, seed_medoids
from .clustering import check_reached
from .density import N_COARSE, calibrated, find_constants
from .expectation import MIN_EFFECTIVE, fit_mixture
from .grid_stars import GridStars
from .normal import Mixture
from .proposal import kernel_densities, references
from .stars import CurveStars

# Points per component to integrate with: for a first fit, and for the fit.
N_FIRST, N_FITTING = 256, 1024
# A fit starts on a sample of this size, from the best of so many runs of k-medoids.
N_SAMPLE, N_KMEANS = 300, 10
# Share of every point that the first assignment leaves open.
UNDECIDED = 1e-2
# So many points tell where a component is.
N_KEPT = 512
# Cells along the longest side of a grid, and of a finer one. By so much, in nats, log densities
# along each may be off, and by such a share constants, before the next one has a go, and curves at
# last. Of what is off by more than the last number, the finer grid would leave too much.
N_CELLS, TRUSTED, SURE = (N_COARSE, 160), (0.4, 0.5), 0.05
HOPELESS = 1.0


def fit(problem, start, n_init, rng, report, further=()):
    """The best of several runs, and its constants.

    Parameters
    ----------
    problem : Problem
    start : Tensor of shape (k, d) or int
        Means to start from, or how many to look for.
    n_init : int
    rng : RandomState
    report : callable
        Called as ``report(mean log-likelihood)`` after every iteration.
    further : sequence of Tensor of shape (k, d)
        Means that one more run each starts from.

    Returns
    -------
    fit : Fit
    constants : Constants
    """
    best = max(
        (run(problem, one, rng, report) for one in [start] * n_init + list(further)),
        key=lambda found: found.history[-1],
    )
    metric = problem.metric
    for level, n_cells in enumerate(N_CELLS):
        cells = metric.cells(n_cells)
        if cells is None:
            break
        if level > 0:
            best = on_grid(problem, cells, best.mixture, None, report)
        best, kernels = _sorted(problem, best)
        options = problem.options.covariance_type, rng
        mixture, constants, gap = calibrated(metric, cells, best.mixture, kernels, *options)
        best = best._replace(mixture=mixture)
        resolved = (best.effective >= MIN_EFFECTIVE).all() and (constants.stderr <= SURE).all()
        if resolved and gap <= TRUSTED[level]:
            return best, constants
        if gap > HOPELESS:
            break
    if cells is not None:
        best = polished(problem, best.mixture, kernels, rng, report)
    best, kernels = _sorted(problem, best)
    return best, find_constants(metric, best.mixture, kernels, rng)


def on_grid(problem, cells, start, members, report):
    """A fit along a grid; see :func:`fit_mixture`."""
    stars = GridStars(problem.metric, cells, problem.z)
    means = start if members is not None else start.means
    return fit_mixture(problem, stars, start, stars.reference(len(means)), members, None, report)


def _sorted(problem, found):
    """A fit with its largest components first, and densities around them to draw from."""
    order = torch.argsort(found.mixture.weights, descending=True)
    mixture = Mixture(*(part[order] for part in found.mixture))
    # Of many points some, each as often as it adds.
    at = (torch.arange(N_KEPT, dtype=torch.float64) + 0.5) / N_KEPT
    shares = found.shares[order].cumsum(1).contiguous()
    places = torch.searchsorted(shares, at.expand(len(order), -1).contiguous())
    places = places.clamp(max=shares.shape[1] - 1)
    points = torch.take_along_dim(found.points[order], places[..., None], dim=1)
    shares = torch.full_like(points[..., 0], 1.0 / N_KEPT)
    kernels = kernel_densities(points, shares, problem.options.reg_covar)
    return found._replace(mixture=mixture, points=points, shares=shares), kernels


def run(problem, start, rng, report):
    """One run along a grid where there can be one; else with curves, on a sample and then on all.

    Returns
    -------
    Fit
    """
    some = problem
    if len(problem.z) > 2 * N_SAMPLE:
        k = start if isinstance(start, int) else len(start)
        share = problem.weights.numpy() / problem.weights.numpy().sum()
        n = len(problem.z)
        rows = np.sort(rng.choice(n, min(n, max(N_SAMPLE, k)), replace=False, p=share))
        some = problem._replace(z=problem.z[rows], weights=torch.ones_like(problem.z[rows, 0]))
    cells = problem.metric.cells(N_CELLS[0])
    if cells is not None and some is not problem:
        # A graph of the sample is all that is needed besides.
        some = some._replace(metric=problem.metric.with_points(some.z.numpy()))
    means = first_means(some, start, rng) if isinstance(start, int) else start
    if cells is not None:
        stars = GridStars(problem.metric, cells, problem.z)
        lengths = stars.path_lengths(means)
        return on_grid(problem, cells, means, nearest(lengths[:, : len(problem.z)].mT), report)

    def around(members):
        return some.drawn_around(members, N_FIRST, rng)

    stars, members = CurveStars(some.metric, some.z), near(some, means)
    rough = fit_mixture(some, stars, means, around(members), members, around, report)
    kernels = kernel_densities(rough.points, rough.shares, problem.options.reg_covar)
    return polished(problem, rough.mixture, kernels, rng, report)


def polished(problem, mixture, kernels, rng, report):
    """A fit with curves, started from another, and densities around its components."""

    def around(members):
        return problem.drawn_around(members, N_FITTING, rng)

    reference = references(problem.metric, kernels, N_FITTING, rng)
    stars = CurveStars(problem.metric, problem.z)
    return fit_mixture(problem, stars, mixture, reference, None, around, report)


def first_means(problem, n_components, rng):
    """Where a run starts, (k, d)."""
    z, weights = problem.z, problem.weights.numpy()
    if problem.options.init_params == "random_from_data":
        rows = rng.choice(len(z), n_components, replace=len(z) < n_components)
        return z[np.sort(rows)]
    squares = problem.metric.path_lengths(z, z).numpy() ** 2
    np.fill_diagonal(squares, 0.0)
    check_reached(torch.as_tensor(np.isfinite(squares).sum(0) >= min(len(z), 2)))

    def seeds():
        return seed_medoids(squares, n_components, weights, rng)

    if problem.options.init_params == "k-means++":
        return z[seeds()]
    runs = [alternate(squares, seeds(), weights, 100, 1e-3) for _ in range(N_KMEANS)]
    return z[min(runs, key=lambda run: run.inertia[-1]).rows]


def near(problem, means):
    """Every point a member of the component whose mean is the nearest through the graph."""
    return nearest(problem.metric.path_lengths(problem.z, means).nan_to_num(nan=torch.inf))


def nearest(lengths):
    """Every point a member of the component with the shortest of the paths (n, k) to it."""
    n_components = lengths.shape[1]
    one_hot = torch.nn.functional.one_hot(lengths.argmin(1), n_components).to(lengths)
    # Not quite, so that no component is without points where means coincide.
    return (1.0 - UNDECIDED) * one_hot + UNDECIDED / n_components
