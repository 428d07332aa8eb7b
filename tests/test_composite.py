"""Autoencoders of columns of different kinds: likelihood, geometry and density."""

import pickle

import numpy as np
import pytest
import torch
from mixed_columns import KINDS, little, numbers
from networks import check_linearised, normal
from scipy import stats
from sklearn.base import clone

from skriem import (
    RBFNoise,
)
from skriem.decoders.composite import CompositeEmbedding
from skriem.nn.likelihoods import LIKELIHOODS
from skriem.nn.likelihoods.composite import Composite, GaussianColumns, StudentTColumns
from skriem.nn.likelihoods.location_scale import Gaussian, StudentT

# What is fitted here is not fitted to the end.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# Likelihoods ---------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["loss", "of_draws"])
@pytest.mark.parametrize("gaps", [0.0, 0.2])
def test_a_composite_is_the_sum_of_its_blocks(method, gaps):
    X = numbers(gaps=gaps)
    weights = np.random.default_rng(2).uniform(size=len(X))
    composite = Composite(KINDS).fit(X, weights)
    weights = torch.as_tensor(weights / weights.sum())
    target = torch.as_tensor(composite.targets(X))
    natural = normal(len(X), target.shape[1])
    natural = natural.expand(3, -1, -1) if method == "of_draws" else natural
    parts = [part.double() + 0.1 for part in composite.init_parts(target.shape[1])]
    assert [len(part) for part in parts] == [1, 1]
    found, expected = getattr(composite, method)(natural, target, weights, parts), 0.0
    for block in composite.blocks:
        # Of real numbers every column is one by itself.
        outputs = range(*block.outputs.indices(100))
        alone = [[k] for k in outputs] if block.likelihood.is_location_scale else [list(outputs)]
        for k in alone:
            name = KINDS[block.columns[0]]
            single = LIKELIHOODS[name]() if name != "categorical" else block.likelihood
            own = [part[[0]] if name == "student_t" else part for part in parts[block.parts]]
            expected += getattr(single, method)(natural[..., k], target[:, k], weights, own)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("name", [name for name in LIKELIHOODS if name != "gaussian"])
def test_one_block_is_the_likelihood_to_the_last_bit(name):
    X = numbers()[:, [k for k, kind in enumerate(KINDS) if kind == name]]
    composite, single = Composite([name] * X.shape[1]).fit(X), LIKELIHOODS[name]().fit(X)
    target = torch.as_tensor(composite.targets(X))
    natural, weights = normal(*target.shape), torch.full((len(X),), 1 / len(X)).double()
    parts = [part.double() + 0.1 for part in composite.init_parts(target.shape[1])]
    found, expected = (
        likelihood.loss(natural, target, weights, parts) for likelihood in (composite, single)
    )
    assert found == expected
    if not single.is_location_scale:
        np.testing.assert_array_equal(composite.targets(X), single.targets(X))
        np.testing.assert_array_equal(composite.decoded(target.numpy()), X)


@pytest.mark.parametrize(
    ("columns", "single"), [(GaussianColumns, Gaussian), (StudentTColumns, StudentT)]
)
def test_a_column_alone_is_a_table_of_one(columns, single):
    target, natural = normal(30, 1, seed=1), normal(30, 1, seed=2)
    target[3] = np.nan
    weights = torch.full((30,), 1 / 30).double()
    parts = [torch.full((1,), 0.3).double()]
    torch.testing.assert_close(
        columns().loss(natural, target, weights, parts),
        single().loss(natural, target, weights, parts),
    )
    squares = (target - natural).square().nan_to_num(1.0)
    np.testing.assert_allclose(
        columns().typical_noise(squares, weights, [np.full(1, 0.3)]),
        [single().typical_noise(squares, weights, [np.array(0.3)])],
    )
    unit = np.log([2.0])
    std = torch.full((30, 1), 0.7).double()
    # Densities of data twice as large are half as large.
    torch.testing.assert_close(
        columns(unit).log_density(target, natural, std),
        single().log_density(2 * target, 2 * natural, 2 * std),
        equal_nan=True,
    )


def test_every_column_counts_alike_to_the_encoder():
    X = numbers(400, gaps=0.1)
    weights = np.random.default_rng(0).integers(0, 3, size=400).astype(float)
    composite = Composite(KINDS).fit(X, weights)
    seen = composite.inputs(X)
    mass = np.where(np.isnan(seen), 0.0, weights[:, None])
    mean = (mass * np.nan_to_num(seen)).sum(0) / mass.sum(0)
    variance = (mass * np.nan_to_num(seen - mean) ** 2).sum(0) / mass.sum(0)
    np.testing.assert_allclose(mean, 0.0, atol=1e-12)
    np.testing.assert_allclose(np.bincount(composite.features, variance), 1.0)
    again = Composite(KINDS).fit(np.repeat(X, weights.astype(int), axis=0))
    np.testing.assert_allclose(again.unit, composite.unit)
    # A constant column keeps its unit.
    assert Composite(["gaussian"]).fit(np.full((5, 1), 0.1)).unit.tolist() == [1.0]


def test_networks_start_with_the_slopes_of_the_likelihoods():
    X = numbers()
    composite = Composite(KINDS).fit(X)
    bias, slope = composite.start(composite.targets(X), np.ones(len(X)))
    for block in composite.blocks:
        at, X_block = block.outputs, X[:, block.columns]
        if block.likelihood.is_location_scale:
            assert (bias[at] == 0.0).all()
            assert (slope[at] == 1.0).all()
            continue
        own, slopes = block.likelihood.start(block.likelihood.targets(X_block), np.ones(len(X)))
        np.testing.assert_array_equal(bias[at], own)
        # Over what an encoder sees, which is in units of its own.
        np.testing.assert_allclose(slope[at] / composite.unit[at], slopes)


def test_targets_and_back():
    X = numbers()
    composite = Composite(KINDS).fit(X)
    np.testing.assert_allclose(composite.decoded(composite.targets(X)), X, rtol=1e-12)
    np.testing.assert_allclose(composite.seen(composite.targets(X)), composite.inputs(X))


# Geometry ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fitted():
    return little(likelihood=dict(enumerate(KINDS)), noise=RBFNoise(bandwidth=2.0)).fit(numbers())


def expected_tensor(vae, z, fisher_rao):
    """The sum of what the blocks' distributions say, by automatic derivatives."""
    total = 0.0
    likelihood, embedding = vae._likelihood, vae._embedding
    for block, member in zip(likelihood.blocks, embedding._members):
        jacobian = torch.func.vmap(torch.func.jacrev(lambda x, f=member: f(x[None])[0]))(z).mT
        n = block.n_outputs
        if not block.likelihood.is_location_scale:
            total = total + jacobian @ jacobian.mT
            continue
        std = member.std(z)[:, None] if fisher_rao else torch.as_tensor(member._std)
        weights = block.likelihood.location_weight, block.likelihood.scale_weight
        for part, weight in zip(jacobian.split(n, dim=-1), weights):
            part = part / std
            total = total + (weight if fisher_rao else 1.0) * part @ part.mT
    return total


@pytest.mark.parametrize("geometry", ["auto", "fisher_rao"])
def test_the_metric_is_the_sum_of_those_of_the_blocks(geometry, fitted):
    vae, z = clone(fitted).set_params(geometry=geometry).fit(numbers()), normal(5, 2)
    expected = expected_tensor(vae, z, geometry == "fisher_rao")
    np.testing.assert_allclose(vae.metric_.tensor(z.numpy()), expected, rtol=1e-9)
    if geometry == "auto":
        assert vae.metric_ == fitted.metric_
        assert vae.metric_ == clone(vae).set_params(geometry="expected").fit(numbers()).metric_


def test_fisher_rao_with_constant_noise():
    vae = little(
        likelihood={0: "gaussian", 1: "student_t"}, noise="constant", geometry="fisher_rao"
    ).fit(numbers()[:, [1, 5]])
    z, total = normal(5, 2), 0.0
    for member, block in zip(vae._embedding._members, vae._likelihood.blocks):
        mean = torch.func.vmap(torch.func.jacrev(lambda x, f=member: f.mean(x[None])[0]))(z).mT
        mean = mean / member.std(z)[:, None]
        total = total + block.likelihood.location_weight * mean @ mean.mT
    np.testing.assert_allclose(vae.metric_.tensor(z.numpy()), total, rtol=1e-9)


def test_derivatives_of_decoders_side_by_side(fitted):
    embed, z = fitted._embedding, 0.7 * normal(6, 2, seed=8)
    assert isinstance(embed, CompositeEmbedding)
    value, jacobian, curvature = embed.linearise(z)
    weights, direction = normal(*value.shape, seed=5), normal(6, 2, seed=4)
    check_linearised(embed, z, (value, jacobian, curvature), weights)
    along = (direction[:, None] @ curvature(weights) @ direction[..., None]).flatten()
    torch.testing.assert_close((embed.bend(z, direction) * weights).sum(1), along)
    slopes, bent = embed.bent_jacobian(z, direction)
    torch.testing.assert_close((bent * weights).sum(1), along)
    torch.testing.assert_close(slopes, jacobian)
    twin = pickle.loads(pickle.dumps(embed))
    assert twin.fingerprint == embed.fingerprint
    torch.testing.assert_close(twin(z), value, rtol=0, atol=0)


def test_contributions_are_those_of_columns(fitted):
    metric = fitted.metric_
    a, b = normal(2, 4, 2).numpy()
    found = metric.contributions(metric.geodesic(a, b))
    assert found.shape == (4, 8)
    np.testing.assert_allclose(found.sum(1), metric.distance(a, b), rtol=1e-3)


# Densities -----------------------------------------------------------------------------------


def test_densities_are_in_the_units_of_the_data():
    """Of one code that says nothing: those of independent columns."""
    X = numbers(300)[:, [1, 3, 2]]
    vae = little(likelihood={0: "gaussian", 1: "bernoulli", 2: "poisson"}, n_components=1)
    vae.set_params(noise="constant", max_iter=1, learning_rate_init=1e-9).fit(X)
    vae._decoders[0].parts[0][:] = 0.0
    vae._fit_metric(vae._read(X), np.ones(300), np.random.RandomState(0))
    found = vae.score_samples(X, 5000)
    expected = stats.norm(X[:, 0].mean(), np.sqrt(1 + 0.05**2) * X[:, 0].std()).logpdf(X[:, 0])
    expected += stats.bernoulli(X[:, 1].mean()).logpmf(X[:, 1])
    expected += stats.poisson(X[:, 2].mean()).logpmf(X[:, 2])
    np.testing.assert_allclose(found, expected, atol=0.1)
    # What is not known is left out.
    gone = X.copy()
    gone[:, 0] = np.nan
    more = stats.norm(X[:, 0].mean(), np.sqrt(1 + 0.05**2) * X[:, 0].std()).logpdf(X[:, 0])
    np.testing.assert_allclose(vae.score_samples(gone, 5000), expected - more, atol=0.1)
