"""Silhouettes by geodesic distance, alone and as a scorer."""

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs, make_moons
from sklearn.exceptions import NotFittedError
from sklearn.metrics import silhouette_samples
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skriem import (
    GeodesicDistance,
    NeighborEncoder,
    RiemannianKMeans,
    RiemannianNormal,
    RiemannianSingleLinkage,
    VAETransformer,
    conductance_gap,
    geodesic_silhouette,
)
from skriem.estimators.kmeans import number_of_clusters
from skriem.estimators.silhouette import cluster_silhouettes
from skriem.geometry import PullbackMetric

FLAT = PullbackMetric(lambda z: z, 2)


def moons(n=200):
    return make_moons(n, noise=0.05, random_state=0)[0]


def mean_over_clusters(distances, labels):
    values = silhouette_samples(distances, labels, metric="precomputed")
    return np.mean([values[labels == k].mean() for k in np.unique(labels)])


@pytest.mark.parametrize("n_clusters", [2, 3, 5])
def test_is_the_mean_over_clusters_of_silhouettes(n_clusters):
    X = moons()
    model = RiemannianKMeans(n_clusters, random_state=0).fit(X)
    expected = mean_over_clusters(model.metric_.approximate_pairwise(X), model.labels_)
    assert geodesic_silhouette(model, X) == pytest.approx(expected)


def test_small_clusters_count_like_large_ones():
    x = np.r_[np.zeros(90), 1.0, 1.5, 5.0][:, None] + 1e-3 * np.arange(93)[:, None]
    labels = np.r_[np.zeros(90), 1, 1, 1].astype(int)
    distances = np.abs(x - x.T)
    values = silhouette_samples(distances, labels, metric="precomputed")
    found = cluster_silhouettes(distances, labels)
    np.testing.assert_allclose(found, [values[:90].mean(), values[90:].mean()])


def test_labels_need_not_be_in_a_row():
    distances = np.abs(np.subtract.outer(np.arange(6.0), np.arange(6.0)))
    found = cluster_silhouettes(distances, np.array([7, 7, 7, 2, 2, 2]))
    same = cluster_silhouettes(distances, np.array([1, 1, 1, 0, 0, 0]))
    np.testing.assert_allclose(found, same)


def test_weights_within_clusters():
    distances = np.abs(np.subtract.outer(np.arange(6.0), np.arange(6.0)))
    labels = np.array([0, 0, 0, 1, 1, 1])
    values = silhouette_samples(distances, labels, metric="precomputed")
    weights = np.array([1.0, 2.0, 0.0, 3.0, 1.0, 1.0])
    expected = [np.average(values[k], weights=weights[k]) for k in (labels == 0, labels == 1)]
    np.testing.assert_allclose(cluster_silhouettes(distances, labels, weights), expected)


def test_one_cluster_scores_zero():
    X = moons(60)
    assert geodesic_silhouette(RiemannianKMeans(1, random_state=0).fit(X), X) == 0.0
    # As many clusters as samples are no clusters either.
    assert geodesic_silhouette(RiemannianKMeans(5, random_state=0).fit(X[:5]), X[:5]) == 0.0


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_is_between_bounds(seed):
    X = np.random.default_rng(seed).normal(size=(40, 2))
    model = RiemannianKMeans(7, metric=FLAT, random_state=seed).fit(X)
    assert -1.0 < geodesic_silhouette(model, X) < 1.0


@pytest.mark.slow
def test_well_separated_clusters_score_high():
    X, _ = make_blobs(90, centers=[[0, 0], [50, 0], [0, 50]], random_state=0)
    right, wrong = (
        geodesic_silhouette(RiemannianKMeans(k, metric=FLAT, random_state=0).fit(X), X)
        for k in (3, 5)
    )
    assert right > 0.9 > 0.7 > wrong


@pytest.mark.slow
def test_chooses_the_number_of_clusters():
    X = np.random.default_rng(0).permutation(moons(300))
    search = GridSearchCV(
        RiemannianKMeans(random_state=0),
        {"n_clusters": [1, 2, 4]},
        scoring=geodesic_silhouette,
        cv=3,
        error_score="raise",
    ).fit(X)
    assert search.best_params_ == {"n_clusters": 2}
    assert search.cv_results_["mean_test_score"][0] == 0.0


@pytest.mark.slow
def test_chooses_settings_of_a_pipeline():
    X, _ = make_blobs(60, 4, centers=3, random_state=0)
    vae = VAETransformer(max_iter=20, noise="constant", random_state=0)
    pipeline = make_pipeline(vae, RiemannianKMeans(3, random_state=0))
    search = GridSearchCV(
        pipeline,
        {"vaetransformer__n_components": [1, 2]},
        scoring=geodesic_silhouette,
        cv=2,
        error_score="raise",
    ).fit(X)
    scores = search.cv_results_["mean_test_score"]
    assert ((scores > 0.0) & (scores < 1.0)).all()
    assert search.best_score_ == scores.max()
    codes = search.best_estimator_[:-1].transform(X)
    last = search.best_estimator_[-1]
    assert search.score(X) == geodesic_silhouette(last, codes)


def test_a_pipeline_scores_as_its_parts_do():
    X = moons() * [100.0, 1.0]
    pipeline = make_pipeline(StandardScaler(), RiemannianKMeans(2, random_state=0)).fit(X)
    scaled = pipeline[0].transform(X)
    assert geodesic_silhouette(pipeline, X) == geodesic_silhouette(pipeline[1], scaled)


@pytest.mark.slow
def test_mixtures_have_silhouettes_too():
    X, _ = make_blobs(60, centers=[[0, 0], [10, 0]], random_state=0)
    model = RiemannianNormal(2, metric=FLAT.with_points(X), random_state=0).fit(X)
    assert geodesic_silhouette(model, X) > 0.7


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["array", "pandas", "codes", "list"])
def test_large_sets_are_sampled_alike(kind):
    X = moons(1200)
    model = RiemannianKMeans(2, random_state=0).fit(X[:300])
    expected = geodesic_silhouette(model, X)
    assert expected > 0.5
    given = {
        "array": X.copy(),
        "pandas": pd.DataFrame(X, index=np.arange(1200)[::-1]),
        "codes": model.encoder_.transform(X),
        "list": X.tolist(),
    }[kind]
    if kind == "pandas":
        given.columns = ["a", "b"]
        model = RiemannianKMeans(2, random_state=0).fit(given.iloc[:300])
    assert geodesic_silhouette(model, given) == expected


def test_samples_are_no_larger_than_said(monkeypatch):
    monkeypatch.setattr("skriem.estimators.silhouette.MAX_SAMPLES", 50)
    X = moons()
    model = RiemannianKMeans(2, random_state=0).fit(X)
    seen = []
    predict = model.predict
    monkeypatch.setattr(model, "predict", lambda X: seen.append(len(X)) or predict(X))
    first, second = (geodesic_silhouette(model, X) for _ in range(2))
    assert seen == [50, 50]
    assert first == second


@pytest.mark.parametrize(
    "estimator",
    [
        KMeans(2, n_init=1),
        VAETransformer(max_iter=2),
        NeighborEncoder(),
        GeodesicDistance(metric=FLAT),
        make_pipeline(StandardScaler(), KMeans(2, n_init=1)),
    ],
    ids=lambda e: type(e).__name__,
)
def test_others_are_refused(estimator):
    X = moons(40)
    with pytest.raises(TypeError, match="scores RiemannianKMeans, RiemannianSingleLinkage or Riem"):
        geodesic_silhouette(estimator.fit(X), X)


def test_unfitted_estimators_are_refused():
    with pytest.raises(NotFittedError):
        geodesic_silhouette(RiemannianKMeans(2), moons(40))


def test_small_clusters_that_a_sample_misses_do_not_count(monkeypatch):
    X, y = make_blobs(600, centers=[[0, 0], [9, 0]], cluster_std=0.5, random_state=0)
    with_three = np.concatenate([X, [[40.0, 40.0]]])

    class Known:
        def predict(self, X):
            return np.append(2 * y, 1)

    monkeypatch.setattr(number_of_clusters, "MAX_SAMPLES", 60)
    assert conductance_gap(Known(), with_three) > 0.5


def test_samples_in_no_cluster_are_left_out():
    X = np.concatenate(
        [make_blobs(30, centers=[[0, 0], [9, 0]], random_state=0)[0], [[50.0, 50.0]]]
    )
    tree = RiemannianSingleLinkage(2, metric=PullbackMetric(lambda z: z, 2)).fit(X)
    assert tree.labels_[-1] == -1
    clusters = RiemannianKMeans(2, metric=tree.metric_, random_state=0).fit(X[:-1])
    assert (tree.labels_[:-1] >= 0).all()
    assert geodesic_silhouette(make_pipeline(tree), X) == pytest.approx(
        geodesic_silhouette(clusters, X[:-1]), rel=0.02
    )
