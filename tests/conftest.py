import os

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from suites import work_little
from threadpoolctl import threadpool_limits

from skriem import RBFNoise, VAETransformer
from skriem.geometry.solvers import routes

# Scripts, which need more than the tests do.
collect_ignore = ["mutations.py", "soak.py", "typed_usage.py"]

if "PYTEST_XDIST_WORKER" in os.environ:
    # The workers share the cores already.
    torch.set_num_threads(1)
    threadpool_limits(1)


@pytest.fixture(scope="session")
def digits():
    """300 images of the digits 0, 1 and 2, and their labels."""
    X, y = load_digits(n_class=3, return_X_y=True)
    return X[:300], y[:300]


def fitted_to(digits, **walls):
    vae = VAETransformer(random_state=0, max_iter=60, **walls).fit(digits[0])
    return vae, vae.transform(digits[0])


@pytest.fixture(scope="session")
def digits_vae(digits):
    """A fitted VAETransformer with low and wide walls, and the codes of what it was fitted to."""
    return fitted_to(digits, noise=RBFNoise(bandwidth=2.0, contrast=10))


@pytest.fixture(scope="session")
def steep_digits_vae(digits):
    """The same with walls as high as they are by default, for tests of how accurate lengths are."""
    return fitted_to(digits, noise=RBFNoise(bandwidth=1.5))


@pytest.fixture
def global_state():
    """Fails the test if a global random generator moved."""
    before = np.random.get_state()[1].copy(), torch.get_rng_state()
    yield
    assert (np.random.get_state()[1] == before[0]).all()
    assert (torch.get_rng_state() == before[1]).all()


@pytest.fixture(autouse=True)
def same_weights():
    """Networks that a test leaves as torch makes them are the same ones in every run."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        yield


@pytest.fixture(autouse=True)
def small_lattices(request, monkeypatch):
    """Lattices of fewer nodes, which tests of what they find as they are ask out of."""
    if "whole_lattices" not in request.keywords:
        monkeypatch.setattr(routes, "N_NODES", 20_000)


@pytest.fixture
def little_work(monkeypatch):
    work_little(monkeypatch)
