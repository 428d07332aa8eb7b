"""Sparse data in the autoencoder: as their dense copies where these are small, in parts beyond."""

import pickle

import numpy as np
import pytest
from scipy.sparse import coo_matrix, csc_array, csr_array, csr_matrix, dok_matrix
from scipy.sparse import random as random_sparse
from sklearn.utils import get_tags

from skriem import MixturePrior, VAETransformer
from skriem.estimators.autoencoder.sparse import distinct
from skriem.support import parts
from skriem.support.rows import distinct_rows

# What is fitted here is not fitted to the end.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

KINDS = ["gaussian", "student_t", "bernoulli", "poisson", "negative_binomial"]


def counts(n=120, p=30, seed=0):
    X = random_sparse(n, p, 0.2, format="csr", random_state=seed)
    X.data = np.ceil(4.0 * X.data)
    return X


def of_kind(kind):
    X = counts()
    X.data = X.data - 1.5 if kind in ("gaussian", "student_t") else X.data
    X.data = np.ones_like(X.data) if kind == "bernoulli" else X.data
    return X


def little(**parameters):
    return VAETransformer(**{"network": (8,), "max_iter": 4, "random_state": 0, **parameters})


@pytest.fixture
def few(monkeypatch):
    """No more than ten rows are dense at once."""
    monkeypatch.setattr(parts, "BUDGET", 300)


@pytest.mark.parametrize("make", [csr_matrix, csc_array, csr_array, coo_matrix, dok_matrix])
def test_small_matrices_are_as_their_dense_copies(make):
    X = counts()
    vae, dense = little(likelihood="poisson").fit(make(X)), X.toarray()
    expected = little(likelihood="poisson").fit(dense)
    np.testing.assert_array_equal(vae.transform(make(X)), expected.transform(dense))
    np.testing.assert_array_equal(vae.score_samples(make(X)), expected.score_samples(dense))
    np.testing.assert_array_equal(vae.transform(dense), expected.transform(dense))
    assert vae.metric_ == expected.metric_
    assert vae.transform(make(X)).metric == vae.metric_
    assert get_tags(vae).input_tags.sparse


@pytest.mark.parametrize("kind", KINDS)
def test_large_matrices_start_as_small_ones(kind, few):
    X = of_kind(kind)
    weights = np.random.default_rng(0).integers(0, 3, size=120)
    vae = little(likelihood=kind, max_iter=2).fit(X, sample_weight=weights)
    dense = little(likelihood=kind, max_iter=2).fit(X.toarray(), sample_weight=weights)
    np.testing.assert_allclose(vae._center, dense._center, atol=1e-12)
    np.testing.assert_allclose(vae._scale, dense._scale)
    assert getattr(vae._likelihood, "n_varying", 0) == getattr(dense._likelihood, "n_varying", 0)
    codes = vae.transform(X)
    np.testing.assert_allclose(codes, vae.transform(X.toarray()), rtol=1e-9)
    scores = vae.score_samples(X[:30], 10)
    np.testing.assert_allclose(scores, vae.score_samples(X[:30].toarray(), 10), rtol=1e-9)
    assert np.isfinite(vae.evidence_lower_bound(X[:30], 10)).all()
    assert np.isfinite(vae.metric_.tensor(np.asarray(codes[:3]))).all()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(vae)).transform(X), codes)


def test_training_sees_every_row(few):
    """Groups that a few rows would not show."""
    rng = np.random.default_rng(0)
    y = np.arange(200) % 2
    X = csr_matrix(
        rng.poisson(np.where(np.arange(30) < 15, 2.0 * y[:, None], 2.0 - 2.0 * y[:, None]))
    )
    vae = VAETransformer(1, likelihood="poisson", network=(8,), max_iter=30, random_state=0)
    codes = np.asarray(vae.fit(X).transform(X))[:, 0]
    assert abs(np.corrcoef(codes, y)[0, 1]) > 0.95
    decoded = vae.inverse_transform(np.asarray(vae.transform(X)))
    assert abs(decoded.mean() / X.mean() - 1.0) < 0.1


def test_order_and_weights_do_not_matter(few):
    X, weights = counts(), np.arange(120) % 3
    vae = little(likelihood="poisson").fit(X, sample_weight=weights)
    order = np.random.default_rng(0).permutation(np.repeat(np.arange(120), weights))
    repeated = little(likelihood="poisson").fit(X[order])
    np.testing.assert_allclose(vae.transform(X), repeated.transform(X), rtol=1e-4, atol=1e-6)
    again = little(likelihood="poisson").fit(X, sample_weight=weights)
    np.testing.assert_array_equal(again.transform(X), vae.transform(X))


def test_distinct_rows():
    # With a zero that is stored, columns out of order and an entry in two pieces.
    data, columns = [1.0, 0.0, 2.0, 0.5, 0.5, 5.0], [1, 2, 0, 1, 1, 1]
    X = csr_matrix((data, columns, [0, 1, 3, 5, 5, 6]), shape=(5, 3))
    weights = np.array([1.0, 2.0, 3.0, 1.0, 0.0])
    found, mass = distinct(X, weights)
    expected, dense_mass = distinct_rows(X.toarray(), weights)
    order = np.lexsort(found.toarray().T[::-1])
    np.testing.assert_array_equal(found.toarray()[order], expected)
    np.testing.assert_array_equal(mass[order], dense_mass)


def test_warm_starts_parts_and_priors(few):
    X = counts()
    vae = little(likelihood="poisson", warm_start=True).fit(X)
    before = vae._decoders[0].parts[0].copy()
    vae.set_params(max_iter=1, learning_rate_init=1e-9).fit(X)
    np.testing.assert_allclose(vae._decoders[0].parts[0], before, atol=1e-6)
    assert little().partial_fit(X[:60]).partial_fit(X[60:]).transform(X).shape == (120, 2)
    groups = little(prior=MixturePrior(2), noise="constant").fit(X)
    assert set(groups.predict(X)) <= {0, 1}
    assert not hasattr(groups, "predict_proba")
    assert groups.fit(X.toarray()).predict_proba(X).shape == (120, 2)


@pytest.mark.parametrize(
    ("parameters", "error", "match"),
    [
        ({"likelihood": "categorical"}, TypeError, "zero is a category"),
        ({"likelihood": "auto"}, TypeError, "one likelihood for all"),
        ({"likelihood": "bernoulli"}, ValueError, "ranges from"),
        ({"early_stopping": True}, ValueError, "early_stopping does not go"),
        ({"neighbors": 3}, ValueError, "neighbors does not go"),
    ],
)
def test_what_is_not_taken(parameters, error, match, few):
    with pytest.raises(error, match=match):
        little(**parameters).fit(counts())


def test_bad_entries(few):
    vae, X = little().fit(counts()), counts()
    X.data[0] = np.nan
    for method in (vae.fit, vae.transform, vae.score_samples):
        with pytest.raises(ValueError, match="NaN"):
            method(X)
    with pytest.raises(ValueError, match="rows of X are the same"):
        vae.fit(csr_matrix((40, 30)))
    with pytest.raises(ValueError, match="features"):
        vae.transform(counts(p=31))
