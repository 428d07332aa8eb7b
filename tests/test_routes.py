"""Geodesics are looked for on either side of what is in their way."""

import pickle
from typing import NamedTuple

import numpy as np
import pytest
import torch
from sklearn.datasets import make_s_curve, make_swiss_roll
from surfaces import embedded, identity, paraboloid, sphere

from skriem import VAETransformer
from skriem.geometry import PullbackMetric, Status, curves
from skriem.geometry.paths import lattice as lattice_module
from skriem.geometry.paths.graph import measure_in
from skriem.geometry.paths.lattice import Lattice, coarse_routes, lattice_routes
from skriem.geometry.solvers import routes as ways
from skriem.geometry.solvers.geodesics import solve_geodesics
from skriem.geometry.solvers.routes import BoxRoutes, GraphRoutes, LatticeRoutes, ThinnedRoutes


def over(height):
    """The graph of a function of the plane."""
    return lambda z: torch.cat([z, height(*z.T)[:, None]], dim=1)


def hill(x, y):
    return 3.0 * torch.exp(-8.0 * (x**2 + y**2))


def ridge(x, y):
    return 5.0 * torch.exp(-(x**2) / (2.0 * 0.02**2) - y**2 / 2.0)


def stereographic(z):
    square = z.square().sum(1, keepdim=True)
    return torch.cat([2.0 * z, square - 1.0], dim=1) / (1.0 + square)


def turned(z, angle=0.4):
    """A rotation and a shift, so that nothing lies on the nodes of a lattice."""
    turn = torch.tensor(
        [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], dtype=z.dtype
    )
    return z @ turn + torch.tensor([0.31, -0.17], dtype=z.dtype)


# What relaxing a straight line finds is 6.75, 10.84 and 5.49.
ROUND = [
    (over(hill), (1.0, 0.0), 2.41),
    (over(ridge), (0.5, 0.0), 4.82),
    (stereographic, (5.0, 0.0), 1.01 * 4.0 * np.arctan(0.2)),
]


@pytest.mark.parametrize(("surface", "end", "most"), ROUND, ids=["hill", "ridge", "stereographic"])
@pytest.mark.parametrize("moved", [False, True])
def test_ways_round_are_found_without_points(surface, end, most, moved):
    a = np.array([end])
    if moved:
        back = turned(torch.zeros(1, 2, dtype=torch.float64), 0.4).numpy()
        metric = PullbackMetric(lambda z: surface(turned(z)), 2)
        inverse = np.linalg.inv(turned(torch.eye(2, dtype=torch.float64)).numpy() - back)
        found = metric.geodesic((a - back) @ inverse, (-a - back) @ inverse)
    else:
        found = PullbackMetric(surface, 2).geodesic(a, -a)
    assert found.length[0] < most


def test_the_gap_is_that_to_the_way_over_the_hill():
    found = PullbackMetric(over(hill), 2).geodesic(np.array([[1.0, 0.0]]), np.array([[-1.0, 0.0]]))
    np.testing.assert_allclose((1.0 + found.gap) * found.length, 6.75, rtol=0.01)


def test_there_is_no_gap_where_all_starts_lead_to_one_curve():
    metric = PullbackMetric(lambda z: z, 2)
    assert np.isinf(metric.geodesic(np.zeros((2, 2)), np.array([[3.0, 4.0], [0.0, 0.0]])).gap).all()


def test_boxes_hold_their_pairs_and_grow_where_routes_touch_their_edges(monkeypatch):
    asked, whole = [], ways._along_box

    def seen(space, box, a, b, n_segments):
        asked.append((box, torch.cat([a, b])))
        return whole(space, box, a, b, n_segments)

    monkeypatch.setattr(ways, "_along_box", seen)
    a = torch.tensor([[0.5, 0.1]], dtype=torch.float64)
    BoxRoutes().starts(embedded(over(ridge)), a, -a)
    for box, ends in asked:
        low, side = box[:-1], box[-1]
        assert ((ends - low) / side - 0.5).abs().max() < 0.3
    sides = [float(box[-1]) for box, _ in asked]
    assert len(sides) > 1
    np.testing.assert_allclose(sides, sides[0] * 2.0 ** np.arange(len(sides)))


def test_a_pair_has_the_same_route_alone_and_among_others():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 12, 2))
    metric = PullbackMetric(over(hill), 2)
    together, alone = metric.geodesic(a, b), metric.geodesic(a[3:4], b[3:4])
    for field, other in zip(together.rows(slice(3, 4)), alone):
        np.testing.assert_array_equal(field, other)


# Lattices ------------------------------------------------------------------------------------


def lattice_over(embed, d=2, n_nodes=20_000, stride=4, side=1.0):
    space = embedded(embed)
    low = np.full(d, -side)
    return Lattice(space, measure_in(space), low, -low, n_nodes, stride)


@pytest.mark.parametrize(("d", "excess"), [(2, 0.015), (3, 0.05)])
def test_routes_along_a_lattice_in_flat_space(d, excess):
    rng = np.random.default_rng(0)
    a, b = torch.tensor(rng.uniform(-0.9, 0.9, size=(2, 40, d)))
    exact = (a - b).norm(dim=1)
    lattice = lattice_over(lambda z: z, d)
    rows, routes = coarse_routes(lattice, a, b, 64)
    assert rows.tolist() == list(range(40))
    found = routes.diff(dim=1).norm(dim=2).sum(1)
    assert (found > exact - 1e-6).all()
    # Directions are a few, and both ends go by way of a node.
    assert (found < (1.0 + excess) * exact + lattice.stride * lattice.spacing).all()


def test_what_is_known_changes_no_route_however_many_are_asked_for():
    space = embedded(over(hill))
    rng = np.random.default_rng(1)
    a, b = torch.tensor(rng.uniform(-1.0, 1.0, size=(2, 12, 2)))
    # Neighbours have to go to a node and back.
    b[:3] = a[:3] + 0.02
    lattice = lattice_over(over(hill), side=1.5)
    known = space.measure(curves.straight(a, b, 64))[0].numpy()
    far, near = lattice_routes(lattice, a, b, 64), lattice_routes(lattice, a, b, 64, known)
    torch.testing.assert_close(near[0], far[0], rtol=0, atol=0)
    alone = lattice_routes(lattice, a[4:5], b[4:5], 64, known[4:5])
    for rows, nodes in near:
        for row in torch.nonzero(rows == 4).ravel():
            (_, expected), *alone = alone
            torch.testing.assert_close(nodes[row : row + 1], expected, rtol=0, atol=0)
    assert alone == []
    # What is much longer is not looked for.
    assert lattice_routes(lattice, a, b, 64, 0.0 * known - 1.0) == []


def test_edges_are_as_long_as_the_segments_they_stand_for():
    lattice = lattice_over(paraboloid)
    space = embedded(paraboloid)
    nodes = np.arange(np.prod(lattice.counts))
    for stride in (1, 4):
        if stride > 1:
            nodes, weights = lattice.coarse
        else:
            weights = lattice.edges(nodes)
        assert (weights != weights.T).nnz == 0
        weights = weights.tocoo()
        some = np.random.default_rng(0).integers(weights.nnz, size=300)
        ends = (
            torch.tensor(lattice.points(nodes[part[some]])) for part in (weights.row, weights.col)
        )
        np.testing.assert_allclose(weights.data[some], measure_in(space)(*ends), rtol=1e-3)


def test_routes_are_at_constant_speed_and_the_first_is_the_shortest():
    space = embedded(over(hill))
    rng = np.random.default_rng(1)
    a, b = torch.tensor(rng.uniform(-1.0, 1.0, size=(2, 10, 2)))
    lattice = lattice_over(over(hill), side=1.5)
    found = lattice_routes(lattice, a, b, 64)
    rows, routes = found[0]
    assert rows.tolist() == list(range(10))
    lengths = space.measure(curves.subdivide(routes, 4))[0]
    for other_rows, others in found[1:]:
        assert (space.measure(curves.subdivide(others, 4))[0] > 0.98 * lengths[other_rows]).all()
        assert (others[:, 0] == a[other_rows]).all()
        assert (others[:, -1] == b[other_rows]).all()
    steps = space.squared_chords(routes).sqrt()
    assert (steps.amax(1) < 2.0 * steps.mean(1)).all()
    again, coarse = coarse_routes(lattice, a, b, 64)
    assert again.tolist() == rows.tolist()
    rough = space.measure(curves.subdivide(coarse, 4))[0]
    cell = lattice.stride * lattice.spacing
    assert (rough > 0.98 * lengths).all()
    assert (rough < 1.1 * lengths + cell).all()


def test_two_ways_round_a_hill_are_told_apart():
    a, b = torch.tensor([[1.0, 0.01]]), torch.tensor([[-1.0, 0.01]])
    found = lattice_routes(lattice_over(over(hill), side=1.5), a.double(), b.double(), 64)
    sides = [float(routes[0, 32, 1]) for _, routes in found[:2]]
    assert max(sides) > 0.3
    assert min(sides) < -0.3


def test_valleys_that_a_low_ridge_parts_are_told_apart():
    # Over the top it is 2 % farther: less than routes are looked for aside.
    def low(x, y):
        return 0.1 * hill(x, y)

    a, b = torch.tensor([[1.0, 0.01]]), torch.tensor([[-1.0, 0.01]])
    found = lattice_routes(lattice_over(over(low), side=1.5), a.double(), b.double(), 64)
    sides = [float(routes[0, 32, 1]) for _, routes in found]
    assert sides[0] > 0.05
    assert min(sides) < -0.05


def test_there_is_no_route_across_what_is_not_finite():
    def split(z):
        return torch.where(z[:, :1].abs() < 0.5, torch.nan, z)

    a, b = torch.tensor([[-0.9, 0.0]]).double(), torch.tensor([[0.9, 0.0]]).double()
    lattice = lattice_over(split)
    assert lattice_routes(lattice, a, b, 16) == []
    assert len(coarse_routes(lattice, a, b, 16)[0]) == 0


# Metrics with points -------------------------------------------------------------------------


def test_a_smooth_metric_is_searched_through_its_graph():
    points = np.random.default_rng(0).normal(size=(200, 2))
    assert isinstance(PullbackMetric(paraboloid, 2, points)._routes, GraphRoutes)


@pytest.mark.parametrize(
    ("usual", "thinned", "fine", "chosen"),
    [
        (1.0, 1.0, 1.0, GraphRoutes),
        (1.1, 1.0, 1.0, ThinnedRoutes),
        (1.2, 1.1, 1.0, LatticeRoutes),
        # Now and then another way is longer.
        (1.0, 1.1, 1.0, GraphRoutes),
        (1.2, 1.0, 1.1, ThinnedRoutes),
        # Below zero: those that did not converge.
        (-1.0, 1.0, 1.0, LatticeRoutes),
        (1.1, -1.0, 1.0, LatticeRoutes),
    ],
)
def test_the_cheapest_search_is_chosen_that_finds_what_the_next_does(
    monkeypatch, usual, thinned, fine, chosen
):
    lengths = {GraphRoutes: usual, ThinnedRoutes: thinned, LatticeRoutes: fine}

    class Found(NamedTuple):
        length: torch.Tensor
        converged: torch.Tensor

    def tried(kind, *args):
        length = torch.full((9,), lengths[type(kind)])
        return Found(length.abs(), length > 0.0)

    monkeypatch.setattr(ways, "_tried", tried)
    points = np.random.default_rng(0).normal(size=(50, 2))
    assert type(PullbackMetric(paraboloid, 2, points)._routes) is chosen


def test_what_takes_long_before_a_first_geodesic_is_said(caplog):
    caplog.set_level("INFO", logger="skriem")
    points = np.random.default_rng(0).uniform(-1.0, 1.0, (50, 2))
    metric = PullbackMetric(paraboloid, 2, points=points)
    metric.distance(points[:1], points[1:2])
    said = [record.message for record in caplog.records]
    assert [message.split()[0] for message in said] == ["Tabulating", "Trying"]
    assert "50 points" in said[0]
    metric.distance(points[2:3], points[3:4])
    assert len(caplog.records) == 2


def test_lattices_stay_where_they_were_made():
    points = np.random.default_rng(0).normal(size=(50, 2))
    metric = PullbackMetric(Bowl(), 2, points)
    routes = LatticeRoutes(metric.graph, metric._spaces, points)
    a, b = (torch.tensor(part) for part in (points[:3], points[3:6]))
    expected = routes.starts(metric._space, a, b)
    travelled = pickle.loads(pickle.dumps(routes))
    assert "lattice" not in vars(travelled)
    again = travelled.starts(metric._space, a, b)
    torch.testing.assert_close(again, expected, rtol=0, atol=0)


class Bowl(torch.nn.Module):
    def forward(self, z):
        return torch.cat([z, z.square().sum(1, keepdim=True)], dim=1)


@pytest.mark.slow
@pytest.mark.whole_lattices
def test_geodesics_of_a_rolled_sheet_are_as_short_as_any_found():
    X = make_swiss_roll(1000, noise=0.2, random_state=0)[0]
    vae = VAETransformer(2, random_state=0, max_iter=100).fit(X)
    metric = vae.metric_
    assert isinstance(metric._routes, LatticeRoutes)
    a = np.array([[-0.68858105, 0.11846345]])
    b = np.array([[-0.24095246, 0.48289045]])
    found = metric.geodesic(a, b)
    assert found.status[0] == Status.CONVERGED
    assert found.length[0] < 1.005 * 8.522
    codes = np.asarray(vae.transform(X))
    found = metric.geodesic(codes[:20], codes[20:40])
    assert found.converged.mean() >= 0.9
    # Another lattice, of another spacing and at another place, leads to no shorter curves.
    space, ends = metric._spaces.cheapest, (torch.tensor(codes[:20]), torch.tensor(codes[20:40]))
    low, high = codes.min(0) - 0.13, codes.max(0) + 0.11
    other = Lattice(space, metric.segment_lengths, low, high, 600_000, 4)
    routes = lattice_routes(other, *ends, 128)
    again = solve_geodesics(space, *ends, routes, 1e-3, 100, metric._routes.resolution)
    assert (found.length / again.length.numpy() - 1.0 < 0.02).mean() >= 0.9


@pytest.mark.slow
@pytest.mark.whole_lattices
def test_codes_of_an_s_curve_converge_and_have_the_lengths_of_their_curves():
    X = make_s_curve(1000, noise=0.05, random_state=0)[0]
    vae = VAETransformer(2, random_state=0, max_iter=100).fit(X)
    metric, codes = vae.metric_, np.asarray(vae.transform(X))
    found = metric.geodesic(codes[:20], codes[20:40])
    assert found.converged.all()
    assert (found.error <= 1e-3 * found.length).all()
    fine = torch.tensor(found.curve(np.linspace(0.0, 1.0, 8193)))
    np.testing.assert_allclose(metric._space.measure(fine)[0], found.length, rtol=1e-3)


def test_there_is_a_route_where_steps_between_coarse_nodes_lead_over_others(monkeypatch):
    monkeypatch.setitem(lattice_module.LARGEST_SHARE, 2, 0.0)
    lattice = lattice_over(identity, side=1.0)
    a, b = torch.tensor([[-0.9, -0.85]]).double(), torch.tensor([[0.9, 0.33]]).double()
    ((rows, nodes), *_) = lattice_routes(lattice, a, b, 64)
    assert rows.tolist() == [0]
    length = nodes.diff(dim=1).norm(dim=2).sum(1)
    np.testing.assert_allclose(length, (b - a).norm(dim=1), rtol=0.05)


def test_distances_of_sphere_points_do_not_depend_on_the_search():
    rng = np.random.default_rng(3)
    points = rng.uniform([0.6, 0.0], [2.4, 2.5], size=(60, 2))
    a, b = points[:20], points[20:40]
    without, through = PullbackMetric(sphere, 2), PullbackMetric(sphere, 2, points)
    np.testing.assert_allclose(without.distance(a, b), through.distance(a, b), rtol=2e-3)
