"""Precisions of largest likelihood, where points say little of the constant."""

import numpy as np
import pytest
import torch

from skriem import RiemannianNormal
from skriem.geometry import PullbackMetric
from skriem.geometry.models.expectation import Options, Problem
from skriem.geometry.models.normal import MAX_STRETCH, fit_precisions, log_terms


def fitted(logs, points, log_mass, start=None):
    """The full precision of one component that all points are in."""
    n, d = logs.shape[1:]
    shares, ones = torch.full((n, 1), 1.0 / n).double(), torch.ones(1).double()
    options = Options("full", 0.0, 1e-6, 10, "k-means")
    eye = torch.eye(d).double()[None]
    return fit_precisions(logs, shares, ones, points, log_mass, eye, start, options)[0]


@pytest.mark.parametrize("spread", [0.0, 9.0])
def test_a_constant_that_rests_on_few_points_is_not_fitted_to_them(spread):
    rng = np.random.default_rng(0)
    logs = torch.as_tensor(rng.normal(size=(1, 400, 4))) * torch.tensor([0.5, 1.0, 1.0, 3.0])
    points = torch.as_tensor(2.0 * rng.normal(size=(1, 256, 4)))
    found = fitted(logs, points, spread * torch.as_tensor(rng.normal(size=(1, 256))))
    unit = torch.linalg.cholesky(logs[0].mT @ logs[0] / 400)
    stretch = torch.linalg.eigvalsh(unit.mT @ found @ unit)
    assert (stretch.max() < 1.0001 * stretch.min()) == (spread > 0.0)


def test_a_start_that_has_become_indefinite_by_rounding_is_taken():
    rng = np.random.default_rng(0)
    logs, points = (torch.as_tensor(rng.normal(size=(1, n, 3))) for n in (100, 400))
    turn = torch.linalg.qr(torch.as_tensor(rng.normal(size=(3, 3)))).Q
    start = (turn * torch.tensor([-1e-12, 1.0, 1e4])) @ turn.mT
    even = torch.zeros(1, 400).double()
    found, expected = (fitted(logs, points, even, first) for first in (start[None], None))
    torch.testing.assert_close(found, expected, rtol=1e-2, atol=1e-2)


def test_standard_deviations_stay_within_a_factor_of_the_points_own():
    # Along a slanted axis points lie more to the outside than the space does.
    rng = np.random.default_rng(0)
    slanted = torch.linalg.qr(torch.as_tensor(rng.normal(size=(3, 3)))).Q
    evenly = np.linspace(-2.0, 2.0, 2000)
    logs, points = (
        torch.as_tensor(np.column_stack([along * rng.permutation(evenly), across]))[None] @ slanted
        for along, across in (
            (1.1, rng.normal(size=(2000, 2))),
            (1.0, rng.uniform(-5.0, 5.0, (2000, 2))),
        )
    )
    found = fitted(logs, points, torch.zeros(1, 2000).double())
    unit = torch.linalg.cholesky(logs[0].mT @ logs[0] / 2000)
    stretch = torch.linalg.eigvalsh(unit.mT @ found @ unit)
    assert stretch[0] == pytest.approx(MAX_STRETCH**-2, rel=1e-6)
    assert stretch[1] > 0.5


def test_a_start_that_is_better_is_kept():
    rng = np.random.default_rng(0)
    logs = torch.as_tensor(rng.normal(size=(1, 400, 3))) * torch.tensor([0.5, 1.0, 3.0])
    points = torch.as_tensor(4.0 * rng.normal(size=(1, 512, 3)))
    log_mass = 9.0 * torch.as_tensor(rng.normal(size=(1, 512)))

    def value(precision):
        scatter = logs[0].mT @ logs[0] / 400
        exponents = log_terms(points, precision[None], log_mass)
        return float(0.5 * (precision * scatter).sum() + exponents.logsumexp(1))

    found = fitted(logs, points, log_mass)
    turns = 0.1 * torch.as_tensor(rng.normal(size=(50, 3, 3))) + torch.eye(3)
    better = min(turns.mT @ found @ turns, key=value)
    assert value(better) < value(found)
    torch.testing.assert_close(fitted(logs, points, log_mass, better[None]), better)


def test_points_that_were_too_few_are_not_drawn_again(monkeypatch):
    drawn, draw = [], Problem.drawn_around

    def counted(self, members, n, rng):
        drawn.append(n)
        return draw(self, members, n, rng)

    monkeypatch.setattr(Problem, "drawn_around", counted)
    monkeypatch.setattr("skriem.geometry.models.expectation.MIN_EFFECTIVE", 1e9)
    X = np.random.default_rng(0).normal(size=(40, 3))
    density = RiemannianNormal(metric=PullbackMetric(lambda z: z, 3), random_state=0).fit(X)
    assert density.converged_
    assert len(drawn) == 1
