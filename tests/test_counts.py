"""Tables of counts: told from other whole numbers, and clustered by shares of their rows."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.metrics import adjusted_rand_score

from skriem import NeighborEncoder, RiemannianKMeans
from skriem.estimators.count_rows import CountRows, are_counts, log_shares, usual_total


def cells(seed, n=300, n_genes=400, n_types=4, depth=800.0, shape=4.0):
    """Overdispersed counts of genes in cells of several types, and the types."""
    rng = np.random.default_rng(seed)
    types = rng.integers(0, n_types, n)
    usual = rng.lognormal(-1.0, 1.3, n_genes)
    marked = rng.random((n_types, n_genes)) < 0.15
    shares = usual * np.exp(rng.normal(size=(n_types, n_genes)) * marked)[types]
    looked = depth * rng.lognormal(0.0, 0.5, (n, 1))
    mean = looked * shares / shares.sum(1, keepdims=True)
    return rng.poisson(mean * rng.gamma(shape, 1.0 / shape, mean.shape)).astype(float), types


def codes_of_categories(rng):
    levels = rng.integers(2, 25, 80)
    return np.stack([rng.choice(m, 300, p=rng.dirichlet(np.full(m, 0.4))) for m in levels], axis=1)


OTHERS = {
    "grey levels": lambda rng: load_digits().data,
    "ratings": lambda rng: rng.integers(0, 6, (300, 80)),
    "codes of categories": codes_of_categories,
    "indicators and ages": lambda rng: np.c_[
        rng.random((300, 70)) < 0.1, rng.integers(18, 90, (300, 3))
    ],
    "counts of few kinds": lambda rng: cells(0)[0][:, :30],
    "numbers without ones": lambda rng: 2.0 * cells(0)[0],
    "shares": lambda rng: cells(0)[0] / 7.0,
    "differences": lambda rng: np.diff(cells(0)[0], axis=0),
    "nothing": lambda rng: np.zeros((20, 80)),
}


@pytest.mark.parametrize("depth", [200.0, 800.0, 5000.0])
def test_counts_are_seen(depth):
    X = cells(1, depth=depth)[0]
    for same in (X, csr_matrix(X), X[:60], X.astype(np.float32)):
        assert are_counts(same)


@pytest.mark.parametrize("name", OTHERS)
def test_other_whole_numbers_are_none(name):
    X = np.asarray(OTHERS[name](np.random.default_rng(0)), dtype=float)
    assert not are_counts(X)
    assert not are_counts(csr_matrix(X))


def test_logarithms_of_equal_totals():
    X = np.array([[1.0, 0.0, 3.0], [0.0, 0.0, 0.0], [8.0, 8.0, 0.0]])
    total = usual_total(X, np.ones(3))
    assert total == pytest.approx(8.0)
    found = log_shares(X, total)
    np.testing.assert_allclose(np.expm1(found).sum(1), [8.0, 0.0, 8.0])
    np.testing.assert_allclose(found[0], np.log([3.0, 1.0, 7.0]))
    np.testing.assert_array_equal(log_shares(csr_matrix(X), total).toarray(), found)
    times = [2, 5, 3]
    repeated = usual_total(np.repeat(X, times, axis=0), np.ones(10))
    assert usual_total(X, np.array(times)) == pytest.approx(repeated)
    np.testing.assert_array_equal(CountRows().fit(X).transform(csr_matrix(X)), found)


@pytest.fixture(scope="module")
def clustered():
    X, types = cells(0, n=600)
    return X, types, RiemannianKMeans(4, random_state=0).fit(X[:300])


def test_types_show_whatever_the_depth(clustered):
    X, types, kmeans = clustered
    straight = KMeans(4, n_init=10, random_state=0).fit_predict(X[:300])
    found = adjusted_rand_score(types[:300], kmeans.labels_)
    assert found > 0.95 > 0.5 > adjusted_rand_score(types[:300], straight)
    assert adjusted_rand_score(types[300:], kmeans.predict(X[300:])) > 0.9
    np.testing.assert_array_equal(kmeans.predict(X[310:311]), kmeans.predict(X[300:])[10:11])
    for same in (X[:300], 3.0 * X[:300], csr_matrix(X[:300])):
        np.testing.assert_array_equal(kmeans.predict(same), kmeans.labels_)


def test_sparse_counts_and_centres_to_begin_with(clustered):
    X, types, kmeans = clustered
    sparse = RiemannianKMeans(4, random_state=0).fit(csr_matrix(X[:300]))
    assert sparse._rows.total_ == pytest.approx(usual_total(X[:300], np.ones(300)))
    assert adjusted_rand_score(types[:300], sparse.labels_) > 0.95
    given = RiemannianKMeans(4, init=X[kmeans.medoid_indices_]).fit(X[:300])
    assert adjusted_rand_score(types[:300], given.labels_) > 0.95


def test_explanations_are_of_the_columns(clustered):
    X, _, kmeans = clustered
    found = kmeans.explain(X[:5], label=0)
    assert found.shape == (5, X.shape[1])
    np.testing.assert_allclose(found.sum(1), kmeans.transform(X[:5])[:, 0])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 6))
@pytest.mark.parametrize("depth", [300.0, 3000.0])
def test_types_show_in_other_tables(seed, depth):
    X, types = cells(seed, depth=depth, n_types=3 + seed)
    labels = RiemannianKMeans(3 + seed, random_state=0).fit_predict(X)
    straight = KMeans(3 + seed, n_init=10, random_state=0).fit_predict(X)
    assert adjusted_rand_score(types, labels) > adjusted_rand_score(types, straight) + 0.2


def test_an_encoder_that_is_named_takes_numbers_as_they_are():
    X = cells(0, n=80)[0]
    kmeans = RiemannianKMeans(4, metric=NeighborEncoder(random_state=0), random_state=0).fit(X)
    points = np.asarray(NeighborEncoder(random_state=0).fit_transform(X))
    np.testing.assert_array_equal(kmeans.cluster_centers_, points[kmeans.medoid_indices_])
