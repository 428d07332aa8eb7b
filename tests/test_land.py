"""What RiemannianNormal is made of: stars of curves, stars along a grid, and the loop over them."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.datasets import make_moons
from sklearn.mixture import GaussianMixture
from suites import thorough
from surfaces import bumps, half_plane, identity, stereographic

from skriem import RiemannianNormal
from skriem.estimators import normal
from skriem.geometry import MetricField, PullbackMetric
from skriem.geometry.models import density, land
from skriem.geometry.models.expectation import Fit, Problem
from skriem.geometry.models.grid_stars import GridStars
from skriem.geometry.models.normal import Mixture
from skriem.geometry.models.proposal import Reference, kernel_densities
from skriem.geometry.models.stars import CurveStars, Stars
from skriem.geometry.paths.grid_curves import GridCurves

MOONS = make_moons(120, noise=0.08, random_state=0)[0]


def around(center, n=16, seed=0, spread=0.4):
    return np.random.default_rng(seed).normal(size=(n, len(center))) * spread + center


CURVED = {
    "sphere": (PullbackMetric(stereographic, 2), around([0.2, -0.1])),
    "bumps": (PullbackMetric(bumps, 2), around([0.5, 0.3])),
    "half plane": (MetricField(half_plane, 2), around([0.0, 2.0])),
}


@pytest.fixture(params=thorough(CURVED, slow=["bumps"]))
def curved(request):
    """A metric, and points where it is used."""
    metric, X = CURVED[request.param]
    return metric.with_points(X), torch.as_tensor(X)


def none_to_integrate(k, d):
    return Reference(torch.zeros(k, 0, d, dtype=torch.float64), torch.zeros(k, 0))


# Stars -------------------------------------------------------------------------------------


def test_curves_of_a_star_have_the_logarithms_of_its_points(curved):
    metric, z = curved
    means = z[:2]
    stars = CurveStars(metric, z[2:]).connect(means, none_to_integrate(2, 2))
    for k in range(2):
        exact = metric.log(means[k].expand_as(z[2:]), z[2:])
        torch.testing.assert_close(stars.logs[k], exact, rtol=0.01, atol=2e-3)
    torch.testing.assert_close(stars.tensors, metric.tensor(means), rtol=1e-4, atol=1e-6)


def test_slopes_are_derivatives_of_logarithms_by_the_mean(curved):
    metric, z = curved
    means, step = z[:2], 0.01
    makes = CurveStars(metric, z[2:])
    stars = makes.connect(means, none_to_integrate(2, 2))
    for i in range(2):
        move = step * torch.eye(2, dtype=z.dtype)[i]
        lowered = []
        for moved in (means + move, means - move):
            found = makes.carry(stars, moved)
            lowered.append((found.tensors[:, None] @ found.logs[..., None]).squeeze(-1))
        derivative = (lowered[0] - lowered[1]) / (2.0 * step)
        derivative = torch.linalg.solve(stars.tensors[:, None], derivative[..., None])
        torch.testing.assert_close(
            stars.slopes[..., i], -derivative.squeeze(-1), rtol=0.02, atol=0.02
        )


def test_logarithms_along_a_grid(curved):
    metric, z = curved
    means = z[:2]
    logs = GridStars(metric, metric.cells(80), z[2:]).connect(means).logs[:, : len(z) - 2]
    for k in range(2):
        exact = metric.log(means[k].expand_as(z[2:]), z[2:])
        size = exact.norm(dim=1, keepdim=True)
        assert ((logs[k] - exact).norm(dim=1) < 0.12 * size.squeeze(1)).all()
        assert ((logs[k] - exact) / size).norm(dim=1).mean() < 0.04


@pytest.mark.parametrize("spread", [0.2, 1.0])
def test_cells_add_up_to_the_plane(spread):
    """A Gaussian much narrower than the grid, and one that is wider."""
    X = around([1.0, -2.0], n=100, spread=1.0)
    cells = PullbackMetric(identity, 2, X).cells(80)
    squares = (cells.points.numpy() - X.mean(0)) / spread
    log_density = -0.5 * np.square(squares).sum(1) - np.log(2.0 * np.pi * spread**2)
    total = np.exp(log_density + cells.log_volumes.numpy()).sum()
    assert total == pytest.approx(1.0, abs=0.005)


def test_cells_of_one_dimension_of_three_and_without_points():
    X = around([0.0], n=50)
    cells = PullbackMetric(lambda z: 3.0 * z, 1, X).cells(80)
    log_density = -0.5 * np.square(cells.points.numpy()[:, 0] / 0.4)
    total = np.exp(log_density + cells.log_volumes.numpy()).sum()
    assert total == pytest.approx(3.0 * 0.4 * np.sqrt(2.0 * np.pi), rel=1e-3)
    assert PullbackMetric(identity, 3, np.eye(3)).cells(80) is None
    assert PullbackMetric(identity, 2).cells(80) is None
    assert PullbackMetric(identity, 2, np.ones((2, 2))).cells(80) is None


class Bent:
    """Stands for a grid whose logarithms are turned, and too long far away."""

    turn = torch.tensor([[1.1, 0.3], [-0.2, 0.9]], dtype=torch.float64)

    def __init__(self, metric, cells, z):
        self.ends = torch.cat([z, cells.points])

    def connect(self, means):
        logs = (self.ends - means[:, None]) @ self.turn
        logs = logs * (1.0 + 0.2 * logs.norm(dim=-1, keepdim=True))
        return Stars(None, logs, None, None, None)


def test_the_run_of_the_largest_likelihood_is_kept(monkeypatch):
    runs = iter(SimpleNamespace(history=[0.0, value], mixture=None) for value in (1.0, 3.0, 2.0))
    starts = []
    monkeypatch.setattr(land, "run", lambda _, start, *__: starts.append(start) or next(runs))
    monkeypatch.setattr(land, "_sorted", lambda problem, found: (found, None))
    monkeypatch.setattr(land, "find_constants", lambda *_: None)
    problem = SimpleNamespace(metric=SimpleNamespace(cells=lambda n_cells: None))
    assert land.fit(problem, 2, 3, None, None)[0].history == [0.0, 3.0]
    # And of runs from other means.
    runs = iter(SimpleNamespace(history=[0.0, value], mixture=None) for value in (1.0, 4.0))
    assert land.fit(problem, 2, 1, None, None, ["means"])[0].history == [0.0, 4.0]
    assert starts == [2, 2, 2, 2, "means"]


def test_large_components_come_first_with_all_that_is_theirs():
    rng, centers = np.random.default_rng(0), torch.tensor([[0.0], [10.0], [20.0]]).double()
    points = centers[:, None] + torch.as_tensor(rng.uniform(-1.0, 1.0, size=(3, 50, 1)))
    weights = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
    mixture = Mixture(weights, centers, 1.0 + centers[..., None])
    fit = Fit(mixture, [], 1, True, points, torch.full((3, 50), 0.02).double(), None)
    problem = SimpleNamespace(options=SimpleNamespace(reg_covar=1e-6))
    found, _ = land._sorted(problem, fit)
    assert found.mixture.weights.tolist() == [0.5, 0.3, 0.2]
    assert found.mixture.means.flatten().tolist() == [10.0, 20.0, 0.0]
    assert found.mixture.precisions.flatten().tolist() == [11.0, 21.0, 1.0]
    assert ((found.points - found.mixture.means[:, None]).abs() <= 1.0).all()


def test_a_run_starts_with_points_that_are_drawn_by_their_weight(monkeypatch):
    class Enough(Exception):
        pass

    def caught(some, start, rng):
        drawn.append(some)
        raise Enough

    drawn, z = [], torch.arange(200.0).double()[:, None]
    monkeypatch.setattr(land, "N_SAMPLE", 20)
    monkeypatch.setattr(land, "first_means", caught)
    weights = torch.where(z[:, 0] < 50.0, 4.0, 1e-12).double()
    problem = Problem(SimpleNamespace(cells=lambda n_cells: None), z, weights, None)
    with pytest.raises(Enough):
        land.run(problem, 2, np.random.RandomState(0), None)
    assert len(drawn[0].z) == 20
    assert (drawn[0].z < 50.0).all()
    # Which is how they count already.
    assert (drawn[0].weights == 1.0).all()


def test_components_are_left_out_where_they_surely_add_nothing():
    # Two alike, one of which is where the points are: e to the minus ten, and a margin.
    squares = torch.tensor([1.0, 20.0, 28.0, 29.0], dtype=torch.float64)
    along = torch.stack([torch.zeros(4, 1).double(), squares.sqrt()[:, None]])
    ones = torch.ones(2, dtype=torch.float64)
    mixture = Mixture(0.5 * ones, torch.zeros(2, 1).double(), ones[:, None, None])
    found = density._beyond(along, mixture, 0.0 * ones)
    assert not found[:, 0].any()
    assert (found[:, 1] == (0.5 * density.TRUST * squares > 10.0)).all()
    assert found[:, 1].tolist() == [False, False, False, True]


def test_calibration_undoes_what_the_grid_has_wrong(monkeypatch):
    monkeypatch.setattr(density, "GridStars", Bent)
    X = around([0.0, 0.0], n=200, spread=1.0)
    metric = PullbackMetric(identity, 2, X)
    precision = torch.tensor([[1.5, 0.4], [0.4, 0.8]], dtype=torch.float64)
    weights, mean = torch.ones(1, dtype=torch.float64), torch.zeros(1, 2, dtype=torch.float64)
    mixture = Mixture(weights, mean, precision[None])
    places = torch.as_tensor(X)[None]
    kernels = kernel_densities(places, torch.full_like(places[..., 0], 1.0 / 200), 1e-6)
    found, constants, gap = density.calibrated(
        metric, metric.cells(80), mixture, kernels, "full", np.random.RandomState(0)
    )
    # Where most of the density is, logarithms are a fifth too long besides.
    expected = Bent.turn @ precision @ Bent.turn.mT
    ratio = found.precisions[0] / expected
    assert ratio.min() > 1.2
    assert ratio.max() / ratio.min() < 1.2
    exact = 0.5 * torch.logdet(2.0 * np.pi * torch.linalg.inv(found.precisions[0]))
    assert float(constants.log_normalizers) == pytest.approx(float(exact), abs=0.01)
    assert float(constants.stderr) < 0.01
    assert 0.05 < gap < 0.5


# The loop ----------------------------------------------------------------------------------


@pytest.mark.parametrize("with_curves", thorough([False, True], slow=[True]))
@pytest.mark.parametrize(
    "covariance_type",
    thorough(["full", "tied", "diag", "spherical"], slow=["tied", "diag", "spherical"]),
)
def test_the_bound_never_falls(covariance_type, with_curves, monkeypatch, little_work):
    if with_curves:
        monkeypatch.setattr(land, "TRUSTED", (-1.0, -1.0))
        monkeypatch.setattr(land, "N_CELLS", (80,))
    X = MOONS
    fit = RiemannianNormal(3, covariance_type=covariance_type, random_state=0, tol=1e-5).fit(X)
    assert (np.diff(fit.lower_bounds_) >= 0.0).all()
    if not with_curves:
        # Read from curves of their own, and with constants of their own.
        assert fit.score(X) == pytest.approx(fit.lower_bound_, abs=0.06)
    shapes = {"full": (3, 2, 2), "tied": (2, 2), "diag": (3, 2), "spherical": (3,)}
    assert fit.covariances_.shape == shapes[covariance_type]
    k = {"full": 9, "tied": 3, "diag": 6, "spherical": 3}[covariance_type]
    n = len(X)
    assert fit.bic(X) + 2.0 * n * fit.score(X) == pytest.approx((8 + k) * np.log(n))


@pytest.mark.slow
def test_the_grid_and_curves_find_the_same(monkeypatch):
    found = []
    for trusted in (1.0, -1.0):
        monkeypatch.setattr(land, "TRUSTED", (trusted, trusted))
        found.append(RiemannianNormal(random_state=0, metric=CURVED["sphere"][0]).fit(SPREAD))
    # The curves' constants are known to a per cent.
    np.testing.assert_allclose(found[0].means_, found[1].means_, atol=0.03)
    np.testing.assert_allclose(found[0].covariances_, found[1].covariances_, rtol=0.1, atol=0.01)
    np.testing.assert_allclose(found[0].score(SPREAD), found[1].score(SPREAD), atol=0.02)


SPREAD = around([0.3, 0.2], n=200)


@pytest.mark.slow
def test_components_too_narrow_for_the_grid_are_left_to_curves():
    rng = np.random.default_rng(0)
    centers = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    X = np.repeat(centers, 40, axis=0) + 1e-3 * rng.normal(size=(120, 2))
    metric = PullbackMetric(identity, 2)
    ours = RiemannianNormal(3, metric=metric, random_state=0).fit(X)
    theirs = GaussianMixture(3, random_state=0).fit(X)
    assert ours.score(X) == pytest.approx(theirs.score(X), abs=0.05)


@pytest.mark.slow
def test_a_weight_is_as_many_rows(little_work):
    weights = np.arange(len(MOONS)) % 3
    options = {"n_components": 2, "random_state": 0}
    weighted = RiemannianNormal(**options).fit(MOONS, sample_weight=weights)
    repeated = RiemannianNormal(**options).fit(np.repeat(MOONS, weights, axis=0))
    np.testing.assert_allclose(weighted.means_, repeated.means_, rtol=1e-9)
    np.testing.assert_allclose(weighted.weights_, repeated.weights_, rtol=1e-9)
    assert weighted.lower_bound_ == pytest.approx(repeated.lower_bound_)
    # Most of the weight on one of the moons.
    weights = np.where(MOONS[:, 1] > 0.3, 20, 1)
    skewed = RiemannianNormal(**options).fit(MOONS, sample_weight=weights)
    mean = np.average(skewed.score_samples(MOONS), weights=weights)
    assert skewed.lower_bound_ == pytest.approx(mean, abs=0.06)
    assert abs(skewed.score(MOONS) - mean) > 0.2


def test_means_to_start_from(little_work):
    metric = PullbackMetric(identity, 2)
    X = np.concatenate([around([0.0, 0.0], n=40), around([6.0, 0.0], n=40, seed=1)])
    start = np.array([[6.0, 0.0], [0.0, 0.0]])
    fit = RiemannianNormal(2, metric=metric, means_init=start, random_state=0).fit(X)
    off = np.abs(fit.means_[:, None] - start).max(2).min(1)
    assert (off < 0.3).all()
    with pytest.raises(ValueError, match="means_init must be finite numbers of shape"):
        RiemannianNormal(2, metric=metric, means_init=start[:1]).fit(X)


def test_data_of_few_features_are_their_own_coordinates(little_work):
    # Features in other units: no feature drowns the other.
    X = MOONS[::2] * [1e4, 1e-2]
    fit = RiemannianNormal(2, random_state=0).fit(X)
    assert fit.encoder_ is None
    assert fit.metric_.n_dims == 2
    straight = GaussianMixture(2, random_state=0).fit(X)
    assert fit.score(X) > straight.score(X) + 0.05


@pytest.mark.slow
def test_far_components_are_not_solved_for(monkeypatch, little_work):
    """What is left out is less than it says."""
    fit = RiemannianNormal(4, random_state=0).fit(MOONS)
    proba, score = fit.predict_proba(MOONS), fit.score_samples(MOONS)
    solved = []
    whole = density.connect

    def counted(metric, means, ends, *args):
        solved.append(ends.shape[1])
        return whole(metric, means, ends, *args)

    monkeypatch.setattr(density, "connect", counted)
    fit.score_samples(MOONS)
    assert sum(solved) < 0.9 * 4 * len(MOONS)
    monkeypatch.setattr(density, "_beyond", lambda along, *_: torch.zeros(along.shape[1::-1]) > 0)
    fit.score_samples(MOONS)
    assert solved[-4:] == [len(MOONS)] * 4
    np.testing.assert_allclose(fit.predict_proba(MOONS), proba, atol=1e-4)
    np.testing.assert_allclose(fit.score_samples(MOONS), score, atol=1e-4)


def test_curves_start_along_the_grid_or_straight():
    """On a flat space with a wall that has a gap, all but the wall's own paths are lines."""

    def wall(z):
        high = 1.0 + 40.0 * torch.exp(-((z[:, 0] / 0.1) ** 2))
        open_above = torch.sigmoid((z[:, 1] - 1.0) / 0.02)
        return torch.eye(2, dtype=z.dtype) * (high + (1.0 - high) * open_above)[:, None, None] ** 2

    X = np.random.default_rng(0).uniform(-2.0, 2.0, size=(200, 2))
    metric = MetricField(wall, 2, points=X)
    sources = torch.tensor([[-1.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
    ends = torch.tensor([[1.0, 0.0], [1.5, 0.5], [-1.0, 0.0]], dtype=torch.float64)
    cells = metric.cells(80)
    paths = GridCurves(metric.segment_lengths, cells.grid, sources)
    owners = torch.tensor([0, 1, 1])
    nodes = paths.starts(metric.space_for(ends), owners, ends, 32)
    torch.testing.assert_close(nodes[:, 0], sources[owners])
    torch.testing.assert_close(nodes[:, -1], ends)
    straight = torch.linspace(0.0, 1.0, 33, dtype=torch.float64)[:, None]
    torch.testing.assert_close(nodes[1], sources[1] + straight * (ends[1] - sources[1]))
    # Over the wall's edge, a little above and beside it: nearly the length of two diagonals.
    crossing = nodes[0, nodes[0, :, 0].abs().argmin()]
    assert crossing[1] > 0.9
    length = torch.linalg.norm(nodes[0].diff(dim=0), dim=1).sum()
    assert 2.0 * 2.0**0.5 < float(length) < 3.2


def test_curves_that_do_not_matter_are_carried_to_first_order(curved):
    metric, z = curved
    means = z[:2]
    makes = CurveStars(metric, z[2:])
    stars = makes.connect(means, none_to_integrate(2, 2))
    counted = torch.zeros_like(stars.converged)
    counted[:, ::2] = True
    errors = []
    for step in (0.02, 0.005):
        moved = means + step
        every, some = makes.carry(stars, moved), makes.carry(stars, moved, counted)
        torch.testing.assert_close(some.logs[counted], every.logs[counted])
        off = (some.logs - every.logs)[~counted].norm(dim=1)
        errors.append((off / (every.logs - stars.logs)[~counted].norm(dim=1)).median())
    # Of a quarter of the way a quarter, as a share of what changes.
    assert errors[0] < 0.1
    assert errors[1] < 0.4 * errors[0] + 1e-3
    assert not torch.equal(some.logs[~counted], every.logs[~counted])
    torch.testing.assert_close(some.nodes[:, :, 0], moved[:, None].expand_as(some.logs))


def test_the_number_of_components_is_that_of_the_lowest_criterion(little_work, monkeypatch):
    """In one sweep, which says of every number what a fit of its own says."""
    monkeypatch.setattr(normal, "PATIENCE", 1)
    X = np.concatenate([around([0.0, 0.0], n=40), around([3.0, 0.0], n=40, seed=1)])
    options = {"metric": PullbackMetric(identity, 2), "tol": 0.01, "random_state": 0}
    found = RiemannianNormal("auto", **options).fit(X)
    alone = [RiemannianNormal(k, **options).fit(X) for k in (1, 2, 3)]
    np.testing.assert_allclose(found.bics_, [fit.bic(X) for fit in alone], rtol=1e-9)
    assert found.bics_.argmin() == 1
    np.testing.assert_array_equal(found.means_, alone[1].means_)
    assert found.bic(X) == pytest.approx(found.bics_.min(), rel=1e-9)
    assert found.lower_bounds_ == alone[1].lower_bounds_
    assert alone[1].bics_ is None
    with pytest.raises(ValueError, match="means_init needs a number"):
        RiemannianNormal("auto", means_init=X[:2]).fit(X)
    with pytest.raises(ValueError, match="n_components must be"):
        RiemannianNormal("some").fit(X)
