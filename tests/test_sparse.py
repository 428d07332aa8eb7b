"""Sparse data, such as texts, in the drop-in."""

import pickle
from itertools import product

import numpy as np
import pytest
from scipy.sparse import coo_matrix, csc_array, csr_matrix, diags
from scipy.sparse import random as random_sparse
from sklearn.cluster import KMeans
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfTransformer, TfidfVectorizer
from sklearn.metrics import adjusted_rand_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer

from skriem import (
    GeodesicDistance,
    RiemannianKMeans,
    RiemannianNormal,
    RiemannianSingleLinkage,
    VAETransformer,
    geodesic_silhouette,
)
from skriem.estimators.sparse_rows import N_COMPONENTS, SparseRows
from skriem.geometry import PullbackMetric


def texts(seed, n=400, n_topics=5, n_words=1500, n_common=300, length=60):
    """Counts of words: some are common to all topics, others are frequent in one."""
    rng = np.random.default_rng(seed)
    common = rng.dirichlet(np.full(n_common, 0.5))
    topics = np.zeros((n_topics, n_words))
    topics[:, :n_common] = 0.6 * common
    topics[:, n_common:] = 0.4 * rng.dirichlet(np.full(n_words - n_common, 0.05), size=n_topics)
    y = rng.choice(n_topics, size=n, p=rng.dirichlet(np.full(n_topics, 5.0)))
    lengths = rng.poisson(length, size=n) + 5
    return csr_matrix([rng.multinomial(m, topics[k]) for m, k in zip(lengths, y)]), y


@pytest.mark.parametrize(
    ("weigh", "n"),
    [(True, 2), *(pytest.param(weigh, 4, marks=pytest.mark.slow) for weigh in (True, False))],
)
def test_texts_are_clustered_as_well_as_by_latent_semantic_analysis(weigh, n):
    ours, peers = [], []
    for seed, length in product(range(n), (15, 25)):
        X, y = texts(seed, length=length)
        X = TfidfTransformer(sublinear_tf=True).fit_transform(X) if weigh else X
        kmeans = RiemannianKMeans(5, random_state=0).fit(X)
        ours.append(adjusted_rand_score(y, kmeans.labels_))
        svd = make_pipeline(TruncatedSVD(100, random_state=0), Normalizer())
        lsa = KMeans(5, n_init=10, random_state=0).fit_predict(svd.fit_transform(X))
        plain = KMeans(5, n_init=10, random_state=0).fit_predict(X)
        peers.append(max(adjusted_rand_score(y, labels) for labels in (lsa, plain)))
    assert np.mean(ours) >= np.mean(peers) - 0.01
    assert np.mean(ours) > (0.9 if weigh else 0.4)


def test_many_texts():
    X, y = texts(0, n=1200)
    kmeans = RiemannianKMeans(5, random_state=0).fit(X)
    # Codes were tried, and show nothing that the texts themselves do not.
    assert "paths among codes" in kmeans.conductances_
    assert kmeans.encoder_.encoder_ is None
    assert adjusted_rand_score(y, kmeans.labels_) > 0.95
    assert adjusted_rand_score(y[::7], kmeans.predict(X[::7])) > 0.95


@pytest.fixture(scope="module")
def clustered():
    X, _ = texts(0)
    return RiemannianKMeans(5, random_state=0).fit(X), X


def test_formats_and_dense_copies_do_not_matter(clustered):
    kmeans, X = clustered
    for other in (coo_matrix(X), csc_array(X), X.astype(np.int64)):
        again = RiemannianKMeans(5, random_state=0).fit(other)
        np.testing.assert_array_equal(again.labels_, kmeans.labels_)
    expected = kmeans.transform(X[:20])
    np.testing.assert_array_equal(kmeans.transform(X[:20].toarray()), expected)
    np.testing.assert_array_equal(kmeans.transform(csc_array(X[:20])), expected)
    np.testing.assert_array_equal(kmeans.transform(X[3:4]), expected[3:4])
    np.testing.assert_array_equal(kmeans.predict(X), kmeans.labels_)
    np.testing.assert_array_equal(
        kmeans.transform(X[kmeans.medoid_indices_]).argmin(1), np.arange(5)
    )
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(kmeans)).transform(X[:20]), expected)
    assert kmeans.n_features_in_ == X.shape[1]
    with pytest.raises(ValueError, match="features"):
        kmeans.predict(X[:, :-1])


def test_length_does_not_matter_where_directions_do(clustered):
    kmeans, X = clustered
    np.testing.assert_allclose(kmeans.transform(3.0 * X[:20]), kmeans.transform(X[:20]), atol=1e-9)
    rows = SparseRows(np.random.RandomState(0)).fit(X)
    assert rows.transform(X).shape == (400, N_COMPONENTS)
    np.testing.assert_allclose(np.linalg.norm(rows.transform(X), axis=1), 1.0)
    # Nor for the axes.
    again = SparseRows(np.random.RandomState(0)).fit(diags(0.5 ** (np.arange(400) % 5)) @ X)
    np.testing.assert_allclose(again.transform(X), rows.transform(X), atol=1e-9)
    # A text of unknown words has no direction.
    assert not rows.transform(csr_matrix((1, X.shape[1]))).any()
    assert kmeans.predict(csr_matrix((1, X.shape[1]))).shape == (1,)


def test_signed_numbers_keep_their_length():
    X = random_sparse(60, 300, 0.1, format="csr", random_state=0)
    X.data -= 0.5
    rows = SparseRows(np.random.RandomState(0)).fit(X)
    exact = TruncatedSVD(N_COMPONENTS, random_state=1, n_iter=20).fit(X)
    # All of the matrix: it has no more than 60 singular vectors.
    np.testing.assert_allclose(
        rows.transform(X) @ rows.transform(X).T,
        exact.transform(X) @ exact.transform(X).T,
        atol=1e-8,
    )
    few = X[:, :40]
    np.testing.assert_array_equal(SparseRows().fit(few).transform(few), few.toarray())


def test_weights_count_and_rows_without_are_not_seen():
    X, _ = texts(1, n=300)
    weights = np.random.default_rng(0).integers(0, 6, size=300)
    times = np.repeat(np.arange(300), weights)
    weighed = SparseRows(np.random.RandomState(0)).fit(X, weights).components_[:4]
    repeated = SparseRows(np.random.RandomState(0)).fit(X[times]).components_[:4]
    # The same axes, whichever way they point.
    np.testing.assert_allclose(np.abs(weighed @ repeated.T), np.eye(4), atol=1e-3)


def test_words_are_named():
    documents = ["cat dog cat", "dog cat", "cat cat dog food", "bond stock", "stock bond fund"] * 4
    words = TfidfVectorizer().fit(documents)
    X = words.transform(documents)
    kmeans = RiemannianKMeans(2, random_state=0).fit(X)
    found = kmeans.explain(X[:3], label=kmeans.labels_[3])
    np.testing.assert_allclose(found.sum(1), kmeans.transform(X[:3])[:, kmeans.labels_[3]])
    best = words.get_feature_names_out()[found.mean(0).argsort()[-4:]]
    assert {"cat", "stock"} <= set(best)


def test_contributions_of_many_columns_add_up(clustered):
    kmeans, X = clustered
    found = kmeans.explain(X[:10])
    assert found.shape == (10, X.shape[1])
    assert (found >= 0).all()
    own = kmeans.transform(X[:10])[np.arange(10), kmeans.labels_[:10]]
    np.testing.assert_allclose(found.sum(1), own, rtol=1e-9, atol=1e-12)


def test_centres_to_begin_with_and_numbers_of_clusters():
    X, y = texts(2, n=200)
    first = [np.flatnonzero(y == k)[0] for k in range(5)]
    for init in (X[first], X[first].toarray()):
        kmeans = RiemannianKMeans(5, init=init).fit(X)
        assert adjusted_rand_score(y, kmeans.labels_) > 0.9
    assert RiemannianKMeans("auto", random_state=0).fit(X).n_clusters_ >= 1


def test_what_is_not_taken():
    X, _ = texts(0, n=60)
    for metric in (PullbackMetric(lambda z: z, X.shape[1]), VAETransformer(max_iter=1)):
        with pytest.raises(TypeError, match="[Ss]parse"):
            RiemannianKMeans(2, metric=metric).fit(X)
    for estimator in (
        RiemannianKMeans(2, metric="local"),
        RiemannianNormal(2, metric="local"),
        RiemannianSingleLinkage(2, metric="local"),
        GeodesicDistance("local"),
    ):
        # Of which nobody is told to make them dense.
        with pytest.raises(TypeError, match=r"metric='local'.*TruncatedSVD\(10\).*pipeline"):
            estimator.fit(X)
    pipe = make_pipeline(TruncatedSVD(2, random_state=0), RiemannianKMeans(2, metric="local"))
    assert set(pipe.fit_predict(X)) == {0, 1}
    kmeans = RiemannianKMeans(2, random_state=0).fit(X)
    assert not hasattr(kmeans, "predict_proba")
    assert kmeans.score_samples(X).shape == (60,)
    assert -1.0 <= geodesic_silhouette(kmeans, X) <= 1.0
    # What was fitted before does not matter.
    D = np.abs(np.subtract.outer(np.arange(9.0), np.arange(9.0)))
    assert kmeans.set_params(metric="precomputed").fit(D).predict_proba(D).shape == (9, 2)
    assert kmeans.set_params(metric="auto").fit(D[:, :2]).predict_proba(D[:, :2]).shape == (9, 2)
    bad = X.astype(float)
    bad.data[0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        kmeans.predict(bad)
    bad.data[0] = 1e200
    with pytest.raises(ValueError, match="larger unit"):
        kmeans.fit(bad)
