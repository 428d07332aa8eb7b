"""Splits and merges of a mixture's components, held to the evidence lower bound itself."""

import numpy as np
import pytest
import torch
from networks import normal
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score

from skriem import MixturePrior, VAETransformer
from skriem.nn import train as training
from skriem.nn.priors.conjugate import conjugate_prior, divergence, expected
from skriem.nn.priors.mixture import TAILS, graph_of, mixture_of
from skriem.nn.priors.moves import Codes, Fit, merges, moved, parts_of, splits, suited

FAR = -40.0


def spread_codes(means, variance=0.1):
    """Codes whose distributions have covariances variance * I."""
    n, d = means.shape
    squares = means[:, :, None] * means[:, None] + variance * torch.eye(d).double()
    return Codes(means, squares.flatten(1), normal(n, seed=9).exp())


def groups(*places, n=60, seed=0):
    """Rows around places in the plane, and which they are of."""
    labels = torch.arange(len(places)).repeat_interleave(n)
    return torch.tensor(places).double()[labels] + normal(len(labels), 2, seed=seed), labels


def fit_of(means, labels, n_components, component="normal"):
    codes = Codes(
        means, (means[:, :, None] * means[:, None]).flatten(1), torch.ones(len(means)).double()
    )
    shares = torch.nn.functional.one_hot(labels, n_components).double()
    prior, tails = conjugate_prior(n_components, means.shape[1], 0.01), TAILS[component]()
    return Fit(codes, suited(codes, shares, prior), prior, tails)


def live(fit):
    return int(fit.are_used.sum())


@pytest.mark.parametrize("component", ["normal", "student_t"])
def test_the_bound_is_that_of_rows_and_parameters(component):
    """Of each label: what it explains, less what the label and the parameters cost."""
    codes, tails = spread_codes(2.0 * normal(20, 2)), TAILS[component]()
    prior = conjugate_prior(3, 2, 0.5)
    fit = Fit(codes, suited(codes, normal(20, 3, seed=4).softmax(1), prior), prior, tails)
    said, q, total = expected(fit.conjugate, codes.means), fit.shares(), 0.0
    for n in range(20):
        for k in range(3):
            off = codes.means[n] - said.means[k]
            square = said.per_mean[k] + off @ said.precisions[k] @ off
            square = square + 0.1 * torch.trace(said.precisions[k])
            explained = said.log_shares[k] + 0.5 * said.log_dets[k] + tails.log_profile(square, 2)
            total += codes.weights[n] * q[n, k] * (q[n, k].log() - explained)
    assert fit.bound == pytest.approx(float(total + divergence(fit.conjugate, prior)), rel=1e-10)


@pytest.mark.parametrize("component", ["normal", "student_t"])
def test_iterations_never_make_the_bound_worse(component):
    codes, prior = spread_codes(2.0 * normal(50, 2)), conjugate_prior(4, 2, 0.1)
    start = suited(codes, normal(50, 4, seed=5).softmax(1), prior)
    fit, bounds = Fit(codes, start, prior, TAILS[component]()), []
    for _ in range(15):
        bounds.append(fit.bound)
        fit = fit.iterated(1)
    assert (np.diff(bounds) <= 1e-9).all()
    assert bounds[-1] < bounds[0] - 1.0


def test_what_suits_labels_is_what_a_mixture_settles_on():
    means, labels = groups([0.0, 0.0], [4.0, 1.0], n=20)
    weights = normal(40, seed=7).exp()
    ours = mixture_of(means, weights, labels, 3, 0.1, "normal")
    posterior = ours.infer(means, torch.full((40, 2), FAR).double())
    codes = Codes(*posterior.moments(), weights)
    found = suited(codes, posterior.shares(), conjugate_prior(3, 2, 0.1))
    settled = ours.settled(means, torch.full((40, 2), FAR).double(), weights).conjugate
    order = torch.argsort(found.alpha, descending=True)
    for a, b in zip(found.tensors(), settled.tensors()):
        torch.testing.assert_close(a[order], b)


def test_moments_of_codes_against_draws():
    means, labels = groups([0.0, 0.0], [2.0, 1.0])
    ours = mixture_of(means, torch.ones(120).double(), labels, 2, 0.1, "normal")
    mean, log_variance = normal(1, 2, seed=3), torch.zeros(1, 2).double()
    one = ours.infer(mean, log_variance)
    many = ours.infer(mean.expand(40_000, -1), log_variance.expand(40_000, -1))
    z, _, counts = many.draws(torch.Generator().manual_seed(0))
    means, squares = one.moments()
    counts = counts / counts.sum()
    torch.testing.assert_close(counts @ z, means[0], atol=0.02, rtol=0.0)
    products = (z[:, :, None] * z[:, None]).flatten(1)
    torch.testing.assert_close(counts @ products, squares[0], atol=0.05, rtol=0.0)


@pytest.mark.parametrize("component", ["normal", "student_t"])
def test_a_component_without_rows_is_used_where_one_covers_two_groups(component):
    means, truth = groups([0.0, 0.0], [9.0, 0.0], [0.0, 9.0])
    found = moved(fit_of(means, truth.clamp(max=1), 4, component))
    assert live(found) == 3
    assert adjusted_rand_score(truth, found.shares().argmax(1)) == 1.0


def test_components_that_share_a_group_become_one():
    means, truth = groups([0.0, 0.0], [9.0, 0.0])
    cut = torch.where((truth == 0) & (means[:, 1] > 0.0), 2, truth)
    found = moved(fit_of(means, cut, 3))
    assert live(found) == 2
    assert adjusted_rand_score(truth, found.shares().argmax(1)) == 1.0


def test_what_is_right_is_left():
    for places in ([[0.0, 0.0]], [[0.0, 0.0], [9.0, 0.0]]):
        means, truth = groups(*places)
        assert moved(fit_of(means, truth, 5)) is None
    # Twelve of 132 rows are no noise where they are apart.
    means, truth = groups([0.0, 0.0], [9.0, 0.0], [0.0, 9.0])
    rows = torch.arange(132)
    assert moved(fit_of(means[rows], truth[rows], 5)) is None


def test_all_moves_make_the_bound_better():
    means, truth = groups([0.0, 0.0], [4.0, 0.0], [0.0, 4.0], [4.0, 4.0])
    for seed in range(3):
        labels = torch.randint(0, 3, truth.shape, generator=torch.Generator().manual_seed(seed))
        fit = fit_of(means, labels, 8)
        found = moved(fit)
        assert found is None or found.bound < fit.iterated(3).bound


def test_candidates():
    means, truth = groups([0.0, 0.0], [9.0, 0.0], [0.0, 9.0])
    full = fit_of(means, truth, 3)
    assert list(splits(full)) == []
    assert len(list(merges(full))) == 3
    for one in merges(full):
        assert one.counts.sum().item() == pytest.approx(180.0)
        assert live(one) == 2
    free = fit_of(means, truth.clamp(max=1), 3)
    assert [live(one) for one in splits(free)] == [3, 3]
    gain, parts = parts_of(free, free.shares()[:, 1])
    assert gain > 10.0
    assert parts.means[:, 0].sort().values.numpy() == pytest.approx([0.0, 9.0], abs=1.0)


def test_the_graphical_model_agrees_with_what_was_moved():
    means, truth = groups([0.0, 0.0], [9.0, 0.0], [0.0, 9.0])
    weights = torch.ones(180).double()
    ours = mixture_of(means, weights, truth.clamp(max=1), 4, 0.01, "normal")
    # Rows that stand for twice as many.
    ours = ours.under(360.0, 0.01)
    ours.move(means, torch.full((180, 2), FAR).double(), weights)
    for found, wanted in zip(ours.parts[:3], graph_of(ours.conjugate)):
        torch.testing.assert_close(found, wanted)
    assert (ours.conjugate.alpha - 0.01).sort().values[1:].numpy() == pytest.approx(
        [120.0] * 3, rel=1e-4
    )
    before = [part.clone() for part in ours.parts]
    ours.move(means, torch.full((180, 2), FAR).double(), weights)
    for a, b in zip(before, ours.parts):
        assert torch.equal(a, b)


def test_passes_with_moves(monkeypatch):
    """A few, none of them first or in the last third, with all rows that there are."""
    calls, epochs = [], []
    monkeypatch.setattr(training, "N_MOVING", 50)

    def move(model, x, weights):
        calls.append(len(epochs))
        old(model, x, weights)

    old, one_epoch = training.move, training.one_epoch
    monkeypatch.setattr(training, "move", move)
    monkeypatch.setattr(training, "one_epoch", lambda *args: epochs.append(1) or one_epoch(*args))
    X = make_blobs(60, random_state=0)[0]
    heavy = MixturePrior(3, component="student_t")
    for prior in (MixturePrior(3), "normal", MixturePrior(1), heavy):
        calls.clear()
        epochs.clear()
        VAETransformer(prior=prior, noise="constant", max_iter=12, random_state=0).fit(X)
        has_moves = prior != "normal" and prior.n_components > 1
        assert calls == ([3, 4, 5, 6, 7] if has_moves else [])


def unequal_groups(seed):
    """Eight long groups of unlike sizes in three of ten dimensions."""
    rng = np.random.RandomState(seed)
    labels = rng.choice(8, 1000, p=0.8 * rng.dirichlet(np.ones(8)) + 0.025)
    shapes = np.eye(3) + 0.35 * rng.randn(8, 3, 3)
    z = 4.0 * rng.randn(8, 3)[labels] + np.einsum("nij,nj->ni", shapes[labels], rng.randn(1000, 3))
    X = z @ rng.randn(3, 10)
    return X + 0.1 * X.std() * rng.randn(1000, 10), labels


@pytest.mark.slow
def test_groups_that_one_component_covers_are_found(monkeypatch):
    """With moves more of planted groups than without."""
    found = []
    for moves in ((), training.MOVES):
        monkeypatch.setattr(training, "MOVES", moves)
        for seed in range(3):
            X, y = unequal_groups(seed)
            prior = MixturePrior(12)
            vae = VAETransformer(
                3, prior=prior, noise="constant", max_iter=60, random_state=seed
            ).fit(X)
            found.append(adjusted_rand_score(y, vae.predict(X)))
    assert np.mean(found[3:]) > np.mean(found[:3]) + 0.05
