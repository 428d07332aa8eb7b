"""k-means with geodesic distances: seeding, assignment and the alternating loop.

Every quantity below is the discrete energy of a curve from a point to a centre, at one fixed
resolution; it stands for the squared distance. Each part of the loop only ever swaps a curve
for one of lower energy, so the sum never rises.

Most distances are never computed. The chord between two embedded points is never longer than
a curve, and a centre cannot be the nearest if it is more than twice as far from the present
one as the point is (Elkan, *Using the triangle inequality to accelerate k-means*, ICML 2003).
"""

from typing import NamedTuple

import numpy as np
import torch

from .. import curves
from ..paths.graph import attach, graph_distances, measure_in, starting_curves
from ..paths.medoids import plus_plus
from ..solvers.frechet_mean import mean_step
from ..solvers.geodesics import USUAL, solve_geodesics
from ..solvers.relax import relax_best
from ..solvers.search import LOOP_TOL

# Segments and chords per segment of the curves it works with.
LEVEL = (8, 4)
RTOL = 1e-3
MAX_ITER = 30
# Lengths at this resolution are a little too long, so bounds are trusted only up to a margin.
BOUND_SLACK = 0.03
# Of more points than this, only those that nearly tie between centres get curves of their own.
MANY = 2000
# How far approximate distances are trusted: this quantile of their errors, twice.
TRUSTED = 0.9


class Curves(NamedTuple):
    """The curve from every point to its centre."""

    labels: torch.Tensor  # (n,) int
    nodes: torch.Tensor  # (n, T+1, d)
    energy: torch.Tensor  # (n,)
    bounds: torch.Tensor  # (n, k): no curve to that centre is shorter
    between: torch.Tensor  # (k, k): no curve between these centres is shorter


class Nearest(NamedTuple):
    """The nearest centre of every point."""

    labels: torch.Tensor  # (n,) int
    distance: torch.Tensor  # (n,), approximate where it was not in doubt


class Clustering(NamedTuple):
    """Where the alternating loop ended."""

    centers: torch.Tensor  # (k, d)
    inertia: list  # weighted sum of energies after every iteration
    converged: bool


def seed(metric, z, n_clusters, weights, rng):
    """k-means++ seeding: rows of `z` drawn with probability to the squared distance.

    Distances are shortest paths through the metric's graph.

    Returns
    -------
    ndarray of shape (n_clusters,) int
    """
    tied = attach(measure_in(metric.space_for(z)), metric.graph, z)

    def squared_distances(rows):
        distances = graph_distances(metric.graph, tied.rows(rows), tied)
        distances[np.arange(len(rows)), rows] = 0.0
        check_reached(np.isfinite(distances).any(0))
        return distances**2

    return plus_plus(squared_distances, n_clusters, weights.numpy(), rng)


def assign(metric, z, centers):
    """The nearest centre of every point, and the curve to it.

    In one space, what a point gets does not depend on the others.
    """
    labels = metric.path_lengths(z, centers).argmin(1)
    space = metric.space_for(z, centers)
    nodes, energy = _connect(space, metric.graph, z, centers[labels])
    bounds, between = metric.lower_bounds(z, centers), centers_apart(metric, space, centers)
    return reassign(metric, z, centers, Curves(labels, nodes, energy, bounds, between), True)


def centers_apart(metric, space, centers):
    """Distances between all centres, (k, k)."""
    i, j = torch.triu_indices(len(centers), len(centers), offset=1)
    between = centers.new_zeros(len(centers), len(centers))
    if len(i):
        energy = _connect(space, metric.graph, centers[i], centers[j])[1]
        between[i, j] = between[j, i] = energy.sqrt()
    return between


def nearest(metric, z, centers):
    """The nearest centre of each of many points.

    Approximate distances settle most. Where the next centre is hardly further than the first,
    curves to all that come into question decide.

    Returns
    -------
    Nearest
    """
    distance = metric.shortcuts.distances(z, centers)
    check_reached(distance.isfinite().any(1))
    closest = distance.min(1)
    margin = 2.0 * float(np.quantile(metric.shortcuts.errors, TRUSTED))
    doubtful = distance <= (1.0 + margin) * closest.values[:, None]
    # Where no paths go, approximate distances say little.
    doubtful |= ~metric.shortcuts.covers(z)[:, None]
    doubtful &= (doubtful.sum(1) > 1)[:, None]
    rows, columns = torch.nonzero(doubtful, as_tuple=True)
    if len(rows):
        exact = metric.geodesic(z[rows], centers[columns], tol=LOOP_TOL, max_iter=MAX_ITER)
        distance[rows, columns] = exact.length.nan_to_num(nan=torch.inf)
    undecided = torch.unique(rows)
    among = torch.where(doubtful[undecided], distance[undecided], torch.inf).min(1)
    labels, values = closest.indices, closest.values
    labels[undecided], values[undecided] = among.indices, among.values
    return Nearest(labels, values)


def refine(metric, z, centers, current, tol):
    """Geodesics from every point to its centre, from the curves at hand."""
    rows = torch.arange(len(z), device=z.device)
    ends = centers[current.labels]
    space = metric.space_for(z, centers)
    nodes = curves.subdivide(current.nodes, USUAL.levels[0] // LEVEL[0])
    found = solve_geodesics(space, z, ends, [(rows, nodes)], tol, MAX_ITER)
    # Curves that leave the metric's table have no finite length in it.
    lost = rows[~found.length.isfinite()]
    if len(lost) == 0:
        return found
    return found.replaced(lost, metric.geodesic(z[lost], ends[lost], tol=tol, max_iter=MAX_ITER))


def reassign(metric, z, centers, current, between_is_exact=False):
    """Move points to centres that turn out to be nearer than their present one."""
    labels, nodes, energy, bounds, between = (field.clone() for field in current)
    distance = energy.sqrt()[:, None]
    space = metric.space_for(z, centers)

    def find_rivals():
        found = torch.maximum(bounds, (1.0 - BOUND_SLACK) * between[labels] - distance)
        found.scatter_(1, labels[:, None], distance)
        rivals = found < distance
        return found, rivals.scatter_(1, labels[:, None], False)

    bounds, rivals = find_rivals()
    if not between_is_exact and rivals.sum() > len(centers) * (len(centers) - 1) // 2:
        # Exact distances between the centres cost less than the rivals they exclude.
        between = centers_apart(metric, space, centers)
        bounds, rivals = find_rivals()
    # The most promising rival first: what it wins spares the others.
    while rivals.any():
        rows = torch.nonzero(rivals.any(1)).squeeze(1)
        rival = torch.where(rivals[rows], bounds[rows], torch.inf).argmin(1)
        rival_nodes, rival_energy = _connect(space, metric.graph, z[rows], centers[rival])
        bounds[rows, rival] = rival_energy.sqrt()
        rivals[rows, rival] = False
        closer = rival_energy < energy[rows]
        won = rows[closer]
        labels[won], nodes[won], energy[won] = (
            rival[closer],
            rival_nodes[closer],
            rival_energy[closer],
        )
        rivals[rows] &= bounds[rows] < energy[rows].sqrt()[:, None]
    return Curves(labels, nodes, energy, bounds, between)


def lloyd(metric, z, centers, weights, max_iter, tol, on_iteration=None):
    """Alternate assignment and Fréchet mean updates from given centres.

    Returns
    -------
    Clustering
    """
    n_clusters = len(centers)
    current = assign(metric, z, centers)
    check_reached(current.energy.isfinite())
    history, converged = [], False
    while len(history) < max_iter:
        centers, current = reseed_empty(centers, current, z, weights)
        space = metric.space_for(z, centers)
        nodes, energy, _ = mean_step(
            space,
            current.nodes,
            current.energy,
            LEVEL[1],
            current.labels,
            weights,
            n_clusters,
        )
        moved = centers.clone()
        moved[current.labels] = nodes[:, -1]
        # The straight segment is no shorter than the geodesic between old and new centre.
        drift = space.measure(curves.straight(centers, moved, 16))[0]
        bounds = (current.bounds - drift).clamp(min=0.0)
        between = (current.between - drift - drift[:, None]).clamp(min=0.0)
        centers = moved
        current = reassign(
            metric, z, centers, Curves(current.labels, nodes, energy, bounds, between)
        )
        history.append(float((weights * current.energy).sum()))
        if on_iteration is not None:
            on_iteration(history[-1])
        if len(history) > 1 and history[-2] - history[-1] <= tol * history[-1]:
            converged = True
            break
    return Clustering(centers, history, converged)


def reseed_empty(centers, current, z, weights):
    """Give every centre without points the point that is worst served by its own."""
    labels, nodes, energy, bounds, between = (field.clone() for field in current)
    centers = centers.clone()
    counts = torch.bincount(labels, minlength=len(centers))
    for empty in torch.nonzero(counts == 0).squeeze(1).tolist():
        cost = weights * energy * (counts[labels] > 1)
        worst = int(cost.argmax())
        if not cost[worst] > 0:
            break
        counts[labels[worst]] -= 1
        counts[empty] = 1
        centers[empty], labels[worst], nodes[worst], energy[worst] = z[worst], empty, z[worst], 0.0
        bounds[:, empty] = 0.0
        between[empty], between[:, empty] = 0.0, 0.0
    return centers, Curves(labels, nodes, energy, bounds, between)


def check_reached(reached):
    """Refuse points to which every curve passes through NaN or infinity."""
    if not reached.all():
        raise ValueError(
            f"{int((~reached).sum())} of {len(reached)} points cannot be reached: the metric is "
            "NaN or infinite there. Check what it is made from, or leave these points out."
        )


def _connect(space, graph, a, b):
    """Relaxed curves between the rows of `a` and `b`: nodes and energies."""
    starts = starting_curves(space, graph, a, b, LEVEL[0])
    return relax_best(space, starts, LEVEL[1], RTOL, MAX_ITER)[:2]
