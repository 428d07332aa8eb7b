"""Brownian motion against what is known of it on the plane and the sphere."""

import numpy as np
import pytest
import torch
from surfaces import bend, stereographic

from skriem import brownian_motion
from skriem.geometry import PullbackMetric
from skriem.geometry.models.brownian import step


def test_on_the_plane_variance_grows_with_time():
    metric = PullbackMetric(lambda z: 2.0 * z, 2)
    walks = brownian_motion(metric, np.zeros((4000, 2)), 10, 0.1, random_state=0)
    assert walks.shape == (4000, 11, 2)
    assert (walks[:, 0] == 0.0).all()
    # Ten steps of variance 0.01 in units of the metric, which are half as long in coordinates.
    variance = (2.0 * walks[:, -1]) ** 2
    np.testing.assert_allclose(variance.mean(0), 0.1, atol=4 * 0.1 * np.sqrt(2 / 4000))


@pytest.mark.slow
@pytest.mark.parametrize("time", [0.15, 0.3])
def test_on_the_sphere_the_cosine_to_the_start_decays(time):
    # Bent coordinates: in conformal ones the drift of a surface is nothing.
    metric = PullbackMetric(lambda z: stereographic(bend(z)), 2)
    n_chains = 6000
    start = np.tile([0.5, -0.3], (n_chains, 1))
    walks = brownian_motion(metric, start, int(time / 0.0025), 0.05, random_state=0)
    cosine = (metric.embed(walks[:, 0]) * metric.embed(walks[:, -1])).sum(1)
    stderr = cosine.std() / np.sqrt(n_chains)
    assert abs(cosine.mean() - np.exp(-time)) < 3 * stderr


def test_drift_makes_the_law_independent_of_coordinates():
    straight = PullbackMetric(lambda z: z, 2)
    bent = PullbackMetric(bend, 2)
    start = np.tile([0.3, 0.8], (20_000, 1))
    image = bend(torch.as_tensor(start)).numpy()
    along = brownian_motion(bent, start, 20, 0.1, random_state=0)[:, -1]
    direct = brownian_motion(straight, image, 20, 0.1, random_state=1)[:, -1]
    arrived = bend(torch.as_tensor(along)).numpy()
    stderr = direct.std(0) * np.sqrt(2 / len(start))
    assert (np.abs(arrived.mean(0) - direct.mean(0)) < 4 * stderr).all()
    without = brownian_motion(bent, start, 20, 0.1, drift=False, random_state=0)[:, -1]
    drifted = bend(torch.as_tensor(without)).numpy()
    assert (np.abs(drifted.mean(0) - direct.mean(0)) > 4 * stderr).any()
    np.testing.assert_allclose(np.cov(arrived.T), np.cov(direct.T), atol=0.01)


def test_single_chain_seeds_and_global_state(global_state):
    metric = PullbackMetric(lambda z: z, 3)
    first, second = (
        brownian_motion(metric, [0.0, 1.0, 2.0], 5, 0.1, random_state=0) for _ in range(2)
    )
    assert first.shape == (6, 3)
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"start": [0.0]}, "start must have shape"),
        ({"start": [0.0, np.nan]}, "finite"),
        ({"n_steps": 0}, "n_steps"),
        ({"step_size": 0.0}, "step_size"),
    ],
)
def test_bad_input(change, match):
    options = {"start": [0.0, 0.0], "n_steps": 3, "step_size": 0.1, **change}
    with pytest.raises(ValueError, match=match):
        brownian_motion(PullbackMetric(lambda z: z, 2), **options)


def test_singular_metric():
    with pytest.raises(ValueError, match="singular"):
        brownian_motion(PullbackMetric(lambda z: z[:, :1], 2), [0.0, 0.0], 3, 0.1)


def test_steps_have_the_inverse_metric_as_their_covariance():
    metric = PullbackMetric(lambda z: stereographic(bend(z)), 2)
    z = torch.as_tensor(np.random.default_rng(0).normal(size=(5, 2)))
    noises = torch.eye(2, dtype=z.dtype)
    columns = [step(metric, z, noise.expand_as(z), 0.1, drift=False) for noise in noises]
    columns = torch.stack(columns, dim=2)
    inverse = torch.linalg.inv(metric.tensor(z))
    assert inverse[:, 0, 1].abs().max() > 0.1
    torch.testing.assert_close(columns @ columns.mT, 0.01 * inverse)
