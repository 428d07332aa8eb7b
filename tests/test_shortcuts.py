"""Approximate distances between many pairs against closed forms and exact geodesics."""

import pickle

import numpy as np
import pytest
import torch
from surfaces import stereographic

from skriem.geometry import PullbackMetric
from skriem.geometry.paths.graph import measure_in
from skriem.geometry.paths.grid import build_grid, grid_distances, tie
from skriem.geometry.solvers.shortcuts import CELLS, corrected, fit_correction
from skriem.geometry.spaces.embedded import Embedded


def points(n, d, seed=0):
    return np.random.default_rng(seed).uniform(-1.0, 1.0, size=(n, d))


def flat(z):
    return z


@pytest.mark.parametrize(("d", "bound"), [(1, 1e-6), (2, 0.03), (3, 0.08)])
def test_grid_paths_are_hardly_longer_than_straight_lines(d, bound):
    X = points(60, d)
    grid = build_grid(Embedded(flat), X.min(0) - 0.1, X.max(0) + 0.1, CELLS[d])
    measure = measure_in(Embedded(flat))
    tied = tie(measure, grid, torch.as_tensor(X))
    found = grid_distances(measure, grid, tied, tied)
    exact = np.linalg.norm(X[:, None] - X, axis=-1)
    assert (found >= exact - 1e-9).all()
    off_diagonal = exact > 0
    excess = found[off_diagonal] / exact[off_diagonal] - 1.0
    assert excess.max() < bound
    np.testing.assert_allclose(found, found.T, rtol=1e-12)
    # A path depends on its own ends only.
    some = grid_distances(measure, grid, tied.rows(slice(3, 5)), tied)
    np.testing.assert_array_equal(some, found[3:5])


def test_a_grid_around_one_point_is_none():
    assert build_grid(Embedded(flat), np.zeros(2), np.zeros(2), 80) is None


def test_on_the_sphere():
    X = points(300, 2)
    metric = PullbackMetric(stereographic, 2, X)
    found = metric.approximate_pairwise(X)
    on_sphere = metric.embed(X)
    exact = np.arccos(np.clip(on_sphere @ on_sphere.T, -1.0, 1.0))
    np.testing.assert_array_equal(found, found.T)
    assert (found.diagonal() == 0).all()
    i, j = np.triu_indices(300, 1)
    errors = np.abs(found[i, j] / exact[i, j] - 1.0)
    assert np.median(errors) < 0.005
    assert np.quantile(errors, 0.99) < 0.03
    np.testing.assert_allclose(metric.approximate_pairwise(X[:5], X), found[:5], rtol=1e-9)


def test_in_more_dimensions_a_straight_line_is_enough_where_space_is_flat():
    X = points(150, 5)
    stretch = torch.diag(torch.tensor([1.0, 2.0, 0.5, 1.0, 3.0], dtype=torch.float64))
    metric = PullbackMetric(lambda z: z @ stretch, 5, X)
    exact = np.linalg.norm((X[:, None] - X) @ stretch.numpy(), axis=-1)
    np.testing.assert_allclose(metric.approximate_pairwise(X), exact, rtol=1e-6, atol=1e-12)


@pytest.mark.slow
def test_on_a_decoder(steep_digits_vae):
    codes = np.asarray(steep_digits_vae[1])
    metric = steep_digits_vae[1].metric
    rng = np.random.default_rng(0)
    i, j = rng.choice(len(codes), size=(2, 60), replace=False)
    exact = metric.distance(codes[i], codes[j], tol=1e-2)
    errors = np.abs(metric.approximate_pairwise(codes)[i, j] / exact - 1.0)
    assert np.median(errors) < 0.01
    assert np.quantile(errors, 0.95) < 0.05


def test_correction_is_found_again():
    rng = np.random.default_rng(0)
    lower = rng.uniform(1.0, 2.0, 100)
    upper = lower * rng.uniform(1.1, 2.0, 100)
    exact = upper * np.exp(-0.02 - 0.3 * np.log(upper / lower))
    offset, slope = fit_correction(upper, lower, exact)
    assert offset == pytest.approx(-0.02)
    assert slope == pytest.approx(-0.3)
    found = corrected(upper, lower, fit_correction(upper, lower, exact))
    np.testing.assert_allclose(found, np.clip(exact, lower, upper))
    assert fit_correction(upper, 0.0 * lower, 0.9 * upper).offset == pytest.approx(np.log(0.9))
    assert fit_correction(*np.empty((3, 0))) == (0.0, 0.0)


def test_a_grid_covers_what_is_inside_along_every_axis():
    metric = PullbackMetric(flat, 2, points(30, 2))
    z = torch.tensor([[0.0, 0.0], [0.0, 100.0], [100.0, 0.0], [100.0, 100.0]])
    assert metric.make_shortcuts(use_grid=True).covers(z.double()).tolist() == [True] + 3 * [False]


def test_without_points_it_says_so():
    with pytest.raises(ValueError, match="with_points"):
        PullbackMetric(stereographic, 2).approximate_pairwise(points(3, 2))


@pytest.mark.slow
def test_shortcuts_travel():
    X = points(50, 2)
    shortcuts = PullbackMetric(stereographic, 2, X).shortcuts
    a = torch.as_tensor(X[:5])
    again = pickle.loads(pickle.dumps(shortcuts))
    assert (again.distances(a, a) == shortcuts.distances(a, a)).all()
