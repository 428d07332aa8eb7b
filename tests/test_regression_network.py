"""Regression networks against sums over all their units, derivatives by torch, and known causes."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from torch.distributions import Bernoulli, Normal

from skriem import DeepRegressionTransformer
from skriem.nn.regression.inference import (
    ascend,
    log_mean,
    log_weights,
    mean_field,
    most_probable,
    sweep_all,
)
from skriem.nn.regression.labels import COUPLING, discriminate, label_logits, loosened
from skriem.nn.regression.network import (
    RegressionNetwork,
    bernoulli,
    draw_data,
    draw_units,
    gradients,
    log_joint,
    means,
    means_below,
    sweep,
)
from skriem.nn.regression.restoration import evidence, restored
from skriem.nn.regression.training import first_block, merge_split, train

# Widths from the data up, columns that are normal distributed, size of the weights.
NETWORKS = {
    "one layer": ((20, 12), 0, 1.0),
    "many features": ((64, 12), 0, 0.5),
    "strong": ((64, 8), 0, 2.0),
    "two layers": ((64, 8, 4), 0, 1.0),
    "three layers": ((30, 6, 4, 2), 0, 1.0),
    "normal": ((20, 8), 20, 0.5),
    "normal and binary": ((20, 7, 3), 12, 1.0),
    "soft": ((40, 7, 3), 0, 2.0),
}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def network_of(name):
    sizes, n_normal, scale = NETWORKS[name]
    rng = generator(7)

    def normal(*shape):
        return torch.randn(shape, generator=rng, dtype=torch.float64)

    return RegressionNetwork(
        tuple(scale * normal(a, b) for a, b in zip(sizes, sizes[1:])),
        tuple(normal(size) for size in sizes[:-1]),
        normal(sizes[-1]),
        torch.exp(0.5 * normal(n_normal)),
        soft=name == "soft",
    )


def drawn(network, n=60, seed=0):
    rng = generator(seed)
    x = draw_data(network, draw_units(network, n, rng), rng)
    # Every tenth column was not seen, of the others one in five is wrong.
    seen = (x - bernoulli(torch.full_like(x, 0.2), rng)).abs()
    seen[:, ::10] = torch.nan
    return evidence(seen, 0.2) if network.soft else x


def random_units(network, n, seed=1):
    rng = generator(seed)
    return [
        torch.randint(2, (n, weight.shape[1]), generator=rng).double() for weight in network.weights
    ]


def all_units(network):
    """All settings of the units, one row each, layer by layer."""
    widths = [weight.shape[1] for weight in network.weights]
    settings = itertools.product([0.0, 1.0], repeat=sum(widths))
    return list(torch.tensor(list(settings), dtype=torch.float64).split(widths, dim=1))


def joint_of_all(network, x):
    """Joint log probabilities of every row with all settings of the units, (n, 2^units)."""
    units = all_units(network)
    return torch.stack([log_joint(network, row.expand(len(units[0]), -1), units) for row in x])


every_network = pytest.mark.parametrize("name", NETWORKS)
seen_networks = pytest.mark.parametrize("name", [name for name in NETWORKS if name != "soft"])


@seen_networks
def test_joint_probability_is_the_product_of_conditional_ones(name):
    network = network_of(name)
    x, hidden, p = drawn(network), random_units(network, 60), len(network.noise)
    expected = Bernoulli(logits=network.prior).log_prob(hidden[-1]).sum(1)
    layers = zip([x, *hidden], hidden, network.weights, network.biases)
    for k, (below, units, weight, bias) in enumerate(layers):
        said, n = units @ weight.T + bias, p if k == 0 else 0
        expected = expected + Bernoulli(logits=said[:, n:]).log_prob(below[:, n:]).sum(1)
        if n:
            expected = expected + Normal(said[:, :n], network.noise).log_prob(below[:, :n]).sum(1)
    torch.testing.assert_close(log_joint(network, x, hidden), expected)


def test_joint_probabilities_sum_to_one():
    network = network_of("three layers")
    network = replace(
        network,
        weights=(network.weights[0][:5], *network.weights[1:]),
        biases=(network.biases[0][:5], *network.biases[1:]),
    )
    x = torch.tensor(list(itertools.product([0.0, 1.0], repeat=5)), dtype=torch.float64)
    total = joint_of_all(network, x).exp().sum()
    torch.testing.assert_close(total, torch.ones_like(total))


@every_network
def test_conditional_logits_are_differences_of_the_joint(name):
    network = network_of(name)
    x, hidden = drawn(network), random_units(network, 60)
    before = log_joint(network, x, hidden)
    for layer, units in enumerate(hidden):
        kept, logits = sweep(network, layer, x, hidden, None)
        assert torch.equal(kept, units)
        for j in range(units.shape[1]):
            flipped = [part.clone() for part in hidden]
            flipped[layer][:, j] = 1.0 - units[:, j]
            gain = log_joint(network, x, flipped) - before
            torch.testing.assert_close(logits[:, j], gain * (1.0 - 2.0 * units[:, j]))


@every_network
def test_a_sweep_goes_by_the_logits_of_its_units_as_they_are_then(name):
    network = network_of(name)
    x, hidden = drawn(network), random_units(network, 60)
    for layer, units in enumerate(hidden):
        order = list(range(units.shape[1]))[::2]
        found, logits = sweep(network, layer, x, hidden, units.new_zeros(units.shape[1]), order)
        assert torch.equal(found[:, 1::2], units[:, 1::2])
        now = list(hidden)
        for j in order:
            at_j = sweep(network, layer, x, now, None)[1][:, j]
            torch.testing.assert_close(logits[:, j], at_j)
            now[layer] = now[layer].clone()
            now[layer][:, j] = (at_j > 0.0).double()
        assert torch.equal(found, now[layer])


@pytest.mark.parametrize("scale", [30.0, 300.0])
def test_steep_weights_overflow_nowhere(scale):
    network = network_of("one layer")
    network = replace(network, weights=(scale * network.weights[0],))
    x, hidden = drawn(network), random_units(network, 60)
    logits = sweep(network, 0, x, hidden, None)[1]
    before = log_joint(network, x, hidden)
    flipped = [1.0 - hidden[0][:, :1], hidden[0][:, 1:]]
    gain = log_joint(network, x, [torch.cat(flipped, dim=1)]) - before
    torch.testing.assert_close(logits[:, 0], gain * (1.0 - 2.0 * hidden[0][:, 0]))


@every_network
def test_ascent_never_falls_and_ends_where_no_flip_helps(name):
    network = network_of(name)
    x, hidden = drawn(network), random_units(network, 60)
    value = log_joint(network, x, hidden)
    zeros = [units.new_zeros(units.shape[1]) for units in hidden]
    for _ in range(3):
        hidden = sweep_all(network, x, hidden, zeros)
        after = log_joint(network, x, hidden)
        assert (after >= value - 1e-9).all()
        value = after
    hidden = ascend(network, x, hidden)
    for layer, units in enumerate(hidden):
        logits = sweep(network, layer, x, hidden, None)[1]
        assert ((2.0 * units - 1.0) * logits >= -1e-9).all()


@every_network
def test_most_probable_units_are_found(name):
    network = network_of(name)
    x = drawn(network, 200)
    best = joint_of_all(network, x).max(1).values
    found = log_joint(network, x, most_probable(network, x, generator()))
    assert (found <= best + 1e-9).all()
    assert (found > best - 1e-9).double().mean() >= 0.95


def test_units_of_a_row_do_not_depend_on_the_others():
    network = network_of("two layers")
    x = drawn(network)
    together = most_probable(network, x, generator())
    alone = [most_probable(network, row[None], generator()) for row in x[:10]]
    for layer, units in enumerate(together):
        assert torch.equal(units[:10], torch.cat([row[layer] for row in alone]))


@every_network
def test_importance_sampling_is_the_sum_over_all_units(name):
    network = network_of(name)
    x = drawn(network)
    exact = torch.logsumexp(joint_of_all(network, x), dim=1)
    hidden = most_probable(network, x, generator())
    estimate, error = log_mean(log_weights(network, x, hidden, 400, generator(2)))
    assert error.median() < 0.1
    # The worst of 60 rows is expected at about 2.4 if errors are normal; rows share their draws.
    assert ((estimate - exact).abs() < 4.0 * error).all()
    assert ((estimate - exact).abs() < 3.0 * error).double().mean() > 0.95


@seen_networks
def test_gradients_are_those_of_torch(name):
    network = network_of(name)
    x, hidden = drawn(network), random_units(network, 60)
    weights = torch.rand(60, generator=generator(), dtype=torch.float64)
    parts = [part.clone().requires_grad_() for part in (*network.weights, *network.biases)]
    n_layers = len(network.weights)
    followed = replace(network, weights=tuple(parts[:n_layers]), biases=tuple(parts[n_layers:]))
    expected = torch.autograd.grad(weights @ log_joint(followed, x, hidden), parts)
    for ours, theirs in zip(gradients(network, x, hidden, weights), expected):
        torch.testing.assert_close(ours, theirs)


@seen_networks
def test_the_mean_field_is_stationary(name):
    network = network_of(name)
    small = tuple(0.2 * weight for weight in network.weights)
    network = replace(network, weights=small, noise=3.0 * network.noise)
    x = drawn(network)
    shares = [part.requires_grad_() for part in mean_field(network, x, 300)]
    entropy = sum(Bernoulli(part).entropy().sum() for part in shares)
    value = log_joint(network, x, shares).sum() + entropy
    for slope in torch.autograd.grad(value, shares):
        torch.testing.assert_close(slope, torch.zeros_like(slope))


def test_labels_have_the_odds_of_one_hot_columns():
    network = network_of("one layer")
    shares = mean_field(
        replace(network, weights=(network.weights[0][:17],), biases=(network.biases[0][:17],)),
        drawn(network)[:, :17],
    )
    rows = [torch.cat([drawn(network)[:, :17], part.expand(60, 3)], 1) for part in torch.eye(3)]
    joint = torch.stack([log_joint(network, row.double(), shares) for row in rows], dim=1)
    found = label_logits(network, drawn(network)[:, :17], 3)
    torch.testing.assert_close(found.log_softmax(1), joint.log_softmax(1))


def test_noise_is_raised_until_units_are_coupled_little():
    weight, noise = network_of("normal").weights[0], torch.full((20,), 0.1, dtype=torch.float64)
    found = loosened(weight, noise)
    gram = (weight / found[:, None]).T @ (weight / found[:, None])
    assert torch.linalg.eigvalsh(gram)[-1].item() == pytest.approx(COUPLING)
    assert torch.equal(loosened(weight, found), found)


@pytest.mark.parametrize("n_normal", [0, 2])
def test_labels_that_no_line_tells_apart_are_learned(n_normal):
    rng = generator(4)
    x = torch.randint(2, (400, 2), generator=rng).double()
    labels = (x[:, 0] != x[:, 1]).long()
    network = RegressionNetwork(
        (torch.randn(4, 8, generator=rng).double(),),
        (torch.zeros(4, dtype=torch.float64),),
        torch.zeros(8, dtype=torch.float64),
        torch.full((n_normal,), 0.1, dtype=torch.float64),
    )
    losses = []
    network = discriminate(
        network,
        x,
        labels,
        torch.full((400,), 1 / 400, dtype=torch.float64),
        batch_size=100,
        learning_rate=0.03,
        weight_decay=1e-3,
        max_iter=60,
        generator=rng,
        on_epoch=losses.append,
    )
    assert (label_logits(network, x, 2).argmax(1) == labels).double().mean() > 0.99
    assert losses[-1] < 0.7 * losses[0]


# What was seen instead of the data ----------------------------------------------------------


def test_evidence_is_that_of_a_channel_that_flips_ones_and_zeros():
    network, rate = network_of("soft"), 0.2
    units = random_units(network, 60)
    seen = bernoulli(torch.full((60, 40), 0.5), generator()).double()
    p = means(network, units[0])
    flipped = Bernoulli((1.0 - rate) * p + rate * (1.0 - p)).log_prob(seen)
    flipped[:, 3] = 0.0
    expected_joint = flipped.sum(1) + log_prior(network, units)
    seen[:, 3] = torch.nan
    # Up to what the channel alone says: whether the pixel seen is right or wrong of a zero.
    of_zeros = Bernoulli(torch.full_like(seen, rate)).log_prob(torch.nan_to_num(seen))
    of_zeros[:, 3] = 0.0
    found = log_joint(network, evidence(seen, rate), units) + of_zeros.sum(1)
    torch.testing.assert_close(found, expected_joint)


@pytest.mark.parametrize(("name", "rate"), [("strong", 0.3), ("strong", 0.0), ("normal", 0.0)])
def test_restored_data_are_expected_given_what_was_seen(name, rate):
    network = network_of(name)
    seen = drawn(network, 20)
    seen[:10, : len(seen.T) // 2], seen[10:, 3::4] = torch.nan, torch.nan
    units = all_units(network)[0]
    said = means(network, units)
    noise = network.noise
    exact = []
    for row in seen:
        there = ~row.isnan()
        if len(noise):
            each = Normal(said, noise).log_prob(torch.nan_to_num(row))
            of_row = said
        else:
            ones = (1.0 - rate) * said + rate * (1.0 - said)
            each = Bernoulli(ones).log_prob(torch.nan_to_num(row))
            right = (
                torch.where(row > 0.5, 1.0 - rate, rate)
                * said
                / torch.where(row > 0.5, ones, 1.0 - ones)
            )
            of_row = torch.where(there, right, said)
        joint = each[:, there].sum(1) + log_prior(network, [units])
        exact.append(joint.softmax(0) @ torch.where(there & (rate == 0.0), row, of_row))
    found = restored(network, seen, rate, 600, generator())
    exact = torch.stack(exact)
    assert (found - exact).abs().max() < 0.15 * exact.std()
    assert (found - exact).abs().mean() < 0.02 * exact.std()


def test_draws_have_the_moments_of_the_network():
    network = network_of("normal and binary")
    n = 40_000
    x = drawn(network, n)
    units = all_units(network)
    prior = log_prior(network, units)
    share = prior.softmax(0)
    mean = share @ means(network, units[0])
    assert ((x.mean(0) - mean).abs() < 5.0 * x.std(0) / math.sqrt(n)).all()
    p = len(network.noise)
    spread = share @ (means(network, units[0]) - mean).square()
    expected = spread[:p] + network.noise.square()
    torch.testing.assert_close(x[:, :p].var(0), expected, rtol=0.05, atol=0.0)


def log_prior(network, units):
    """Log probabilities of units alone."""
    upper = RegressionNetwork(
        network.weights[1:], network.biases[1:], network.prior, network.noise[:0]
    )
    return log_joint(upper, units[0], units[1:])


def test_means_below_are_those_of_units_where_the_top_is_all_there_is():
    network = network_of("one layer")
    units = all_units(network)
    torch.testing.assert_close(means_below(network, units[0]), means(network, units[0]))
    two = network_of("two layers")
    top = torch.rand(5, 4, generator=generator(), dtype=torch.float64)
    first = (top @ two.weights[1].T + two.biases[1]).sigmoid()
    torch.testing.assert_close(means_below(two, top), means(two, first))


# Learning ------------------------------------------------------------------------------------


def learned(x, n_normal, n_units, seed, share_on=0.05, **options):
    rng = generator(seed)
    weights = x.new_full((len(x),), 1.0 / len(x))
    network, units = first_block(x, weights, n_normal, n_units, share_on, rng)
    settings = {"batch_size": 200, "learning_rate": 0.03, "weight_decay": 1e-3, "max_iter": 60}
    network, history = train(
        network,
        x,
        weights,
        [units],
        **{**settings, **options},
        tol=1e-3,
        n_iter_no_change=30,
        generator=rng,
    )
    return network, units, history


def alike(found, planted):
    """Correlations of matched columns; a flip of a unit turns its weights round."""
    size = len(planted.T)
    table = np.abs(np.corrcoef(found.T.numpy(), planted.T.numpy())[: len(found.T), -size:])
    rows, columns = linear_sum_assignment(-table)
    return table[rows, columns]


def planted(n):
    """A network of 8 units, and `n` rows drawn from it."""
    rng = generator(3)
    network = RegressionNetwork(
        (2.0 * torch.randn(64, 8, generator=rng),),
        (-torch.ones(64),),
        torch.full((8,), -0.8),
        torch.zeros(0),
    )
    return network, draw_data(network, draw_units(network, n, rng), rng)


def test_planted_weights_are_found_again():
    network, x = planted(5000)
    found, _, history = learned(x, 0, 8, 0, share_on=0.3, max_iter=30)
    assert alike(found.weights[0], network.weights[0]).min() > 0.95
    assert history.loss[-1] < history.loss[0]


def test_a_cause_that_two_units_shared_is_one_units():
    # Rare units at the start share the rows of one cause, and another is missed.
    network, x = planted(5000)
    model = DeepRegressionTransformer((8,), likelihood="bernoulli", random_state=0).fit(x.numpy())
    assert alike(torch.as_tensor(model.coefs_[0]), network.weights[0].double()).min() > 0.95


def test_units_that_share_rows_are_merged_and_no_others():
    network = network_of("many features")
    weight = network.weights[0][:, :4].clone()
    weight[:, 1], weight[:, 3] = 0.8 * weight[:, 0], weight[:, 2]
    units = torch.tensor([[1, 0, 1, 1], [0, 1, 1, 1], [0, 0, 0, 0], [1, 0, 0, 1]]).double()
    merge_split(replace(network, weights=(weight,)), torch.full((4,), 0.25).double(), [units])
    assert units.T.tolist() == [[1, 1, 0, 1], [0, 0, 0, 0], [1, 1, 0, 0], [1, 1, 0, 1]]
    # Of normal columns units along one line may be causes of several sizes.
    apart = torch.tensor([[1, 0, 1, 1], [0, 1, 1, 1], [0, 0, 0, 0], [1, 0, 0, 1]]).double()
    normal = replace(network, weights=(weight,), noise=torch.ones(len(weight)).double())
    merge_split(normal, torch.full((4,), 0.25).double(), [kept := apart.clone()])
    assert torch.equal(kept, apart)


def bars(n, seed):
    """8 x 8 images in which every row and column is on with probability 1/8, some pixels wrong."""
    rng = generator(seed)
    on = torch.rand(n, 16, generator=rng) < 0.125
    images = on[:, :8, None] | on[:, None, 8:]
    return (images ^ (torch.rand(n, 8, 8, generator=rng) < 0.02)).flatten(1).float()


def bars_of(network):
    """How many of the bars are what some unit draws alone."""
    rows = torch.eye(8).repeat_interleave(8, dim=1)
    each = torch.cat([rows, rows.unflatten(1, (8, 8)).mT.flatten(1)])
    alone = (network.weights[0] + network.biases[0][:, None]).T > 0.0
    return int((alone[:, None] == (each > 0.5)).all(-1).any(0).sum())


def test_all_bars_are_found():
    network, _, _ = learned(bars(2000, 1), 0, 24, 0)
    assert bars_of(network) == 16


@pytest.mark.slow
def test_the_best_of_four_starts_has_all_bars_and_most_have():
    x = bars(2000, 1)
    runs = [learned(x, 0, 24, seed) for seed in range(4)]
    found = [bars_of(network) for network, _, _ in runs]
    losses = [history.loss[-1] for _, _, history in runs]
    assert found[int(np.argmin(losses))] == 16
    assert found.count(16) >= 3
