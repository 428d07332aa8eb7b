"""Codes by forces along a graph of neighbours, and those of new samples."""

import pickle

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from sklearn.datasets import make_blobs

from skriem import NeighborEncoder
from skriem.estimators.graph_encoder import GraphEncoder
from skriem.nn.layout import lay_out, memberships, repulsion


def blobs(n=400):
    return make_blobs(n, 60, centers=4, cluster_std=2.0, random_state=0)


def encoder(**parameters):
    return GraphEncoder(**{"n_components": 3, "n_neighbors": 10, "n_epochs": 60} | parameters)


def test_memberships_add_up_to_the_logarithm_of_their_number():
    distances = torch.tensor(np.random.default_rng(0).uniform(1.0, 2.0, (30, 8))).sort(1).values
    found = memberships(distances)
    np.testing.assert_allclose(found.sum(1), np.log2(8), rtol=1e-6)
    np.testing.assert_array_equal(found[:, 0], np.ones(30))
    np.testing.assert_allclose(memberships(1e-3 * distances), found, rtol=1e-6)
    assert memberships(torch.zeros(3, 5)).isfinite().all()


def test_repulsion_is_the_gradient_of_its_energy():
    z = torch.tensor(np.random.default_rng(0).normal(size=(2, 7, 3))).requires_grad_()
    squares = (z[:, :, None] - z[:, None]).square().sum(3)
    energy = 0.5 / (1.0 + squares)
    # Every pair stands there twice.
    (slope,) = torch.autograd.grad(0.5 * energy.sum(), z)
    np.testing.assert_allclose(7 * repulsion(z.detach()), -slope, atol=1e-12)


def test_what_no_edge_holds_flies_apart_and_neighbours_meet():
    z = torch.tensor([[0.0, 0.0], [0.1, 0.0], [5.0, 0.0], [5.1, 0.0]])
    edges = torch.tensor([0, 1, 2, 3]), torch.tensor([1, 0, 3, 2])
    moves = []
    end = lay_out(edges, torch.ones(4), z, 50, torch.Generator().manual_seed(0), moves.append)
    assert (end[0] - end[1]).norm() < 0.3 * (end[0] - end[2]).norm()
    assert (end[0] - end[2]).norm() > 6.0
    assert len(moves) == 50
    assert torch.equal(z[:, 0], torch.tensor([0.0, 0.1, 5.0, 5.1]))


def test_codes_of_samples_are_their_own_and_others_are_between():
    X, y = blobs()
    found = encoder().fit(X)
    np.testing.assert_array_equal(found.transform(X[::-1]), found.codes_[::-1])
    np.testing.assert_array_equal(found.transform(X.astype(np.float32)[:3]).shape, (3, 3))
    new = make_blobs(400, 60, centers=4, cluster_std=2.0, random_state=0)[0] + 1e-9
    near = cdist(found.transform(new), found.codes_)
    np.testing.assert_array_equal(y[near.argmin(1)], y)
    np.testing.assert_allclose(near.diagonal(), 0.0, atol=1e-6)


def test_a_sample_gets_the_same_code_whatever_else_is_asked():
    X, _ = blobs()
    found = encoder().fit(X[:300])
    alone = np.concatenate([found.transform(row[None]) for row in X[300:320]])
    np.testing.assert_allclose(found.transform(X[300:]), found.transform(X[300:]), rtol=0.0)
    np.testing.assert_allclose(found.transform(X[300:])[:20], alone, rtol=1e-9)


def test_clusters_are_apart_and_the_seed_decides():
    X, y = blobs()
    first, twin, other = (encoder(random_state=seed).fit(X).codes_ for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, twin)
    assert (first != other).any()
    distances = cdist(first, first)
    same = y[:, None] == y
    assert distances[same].mean() < 0.5 * distances[~same].mean()
    kept = pickle.loads(pickle.dumps(encoder().fit(X)))
    np.testing.assert_array_equal(kept.transform(X), kept.codes_)


def test_few_rows_and_constant_features_are_no_hurdle():
    X = np.zeros((2, 60))
    X[1, 0] = 1.0
    assert np.isfinite(encoder(n_neighbors=1).fit(X).codes_).all()


def test_progress_is_shown(capsys, monkeypatch):
    monkeypatch.setattr("skriem.support.progress.tqdm", None)
    X = np.random.default_rng(0).normal(size=(1010, 51))
    NeighborEncoder(random_state=0, verbose=1).fit(X)
    assert "epoch 600 of 600" in capsys.readouterr().out


def test_an_interrupt_leaves_it_as_it_was(monkeypatch):
    X = np.random.default_rng(0).normal(size=(1010, 51))
    fitted = NeighborEncoder(random_state=0).fit(X[:, :5])
    before = dict(vars(fitted))

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("skriem.nn.layout.repulsion", stop)
    with pytest.raises(KeyboardInterrupt):
        fitted.fit(X)
    assert vars(fitted) == before
