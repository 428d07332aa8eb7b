"""Estimators that give tables of mixed columns to an encoder, as a pipeline does."""

import numpy as np
import pandas as pd
import pytest
from mixed_columns import frame, little, numbers
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from skriem import (
    GeodesicDistance,
    NeighborEncoder,
    RiemannianKMeans,
    RiemannianNormal,
    RiemannianSingleLinkage,
    VAETransformer,
    geodesic_silhouette,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# Ways are quick to find along one coordinate.
FLAT = {"noise": "constant", "n_components": 1}
ESTIMATORS = {
    "clusters": RiemannianKMeans(2, random_state=0),
    "distances": GeodesicDistance(random_state=0),
    "density": RiemannianNormal(2, random_state=0, max_iter=2),
    "tree": RiemannianSingleLinkage(2, random_state=0),
}
METHODS = "predict", "transform", "predict_proba", "score_samples", "score"


@pytest.mark.parametrize("name", ESTIMATORS)
def test_as_in_a_pipeline(name):
    X, estimator = frame(gaps=0.2), ESTIMATORS[name]
    alone = clone(estimator).set_params(metric=little(**FLAT))
    pipe = make_pipeline(little(**FLAT), clone(estimator))
    if hasattr(alone, "fit_predict"):
        np.testing.assert_array_equal(alone.fit_predict(X), pipe.fit_predict(X))
    alone.fit(X), pipe.fit(X)
    assert alone.feature_names_in_.tolist() == list(X)
    new = frame(gaps=0.3, seed=1)[:9]
    asked = [method for method in METHODS if hasattr(alone, method)]
    for method in asked:
        np.testing.assert_array_equal(getattr(alone, method)(new), getattr(pipe, method)(new))
    assert asked
    if name == "clusters":
        expected = pipe[-1].explain(pipe[0].transform(new))
        np.testing.assert_array_equal(alone.explain(new), expected)
        assert expected.shape == new.shape
    if hasattr(alone, "predict"):
        assert geodesic_silhouette(alone, X) == geodesic_silhouette(pipe, X)
    with pytest.raises(ValueError, match="feature names"):
        getattr(alone, asked[0])(new.rename(columns={"income": "debt"}))


def test_distances_of_rows():
    X = frame(gaps=0.1)
    distance = GeodesicDistance(little(**FLAT), random_state=0).fit(X)
    expected = distance.transform(X[:1])[0, 1]
    assert distance(X.iloc[0], X.iloc[1]) == distance(X[:1], X[1:2]) == pytest.approx(expected)
    way = distance.path(X.iloc[0], X.iloc[1], 3)
    assert distance.encoder_.inverse_transform(way).columns.tolist() == list(X)


def test_what_may_be_the_encoder():
    X = frame(gaps=0.1)
    vae = little(**FLAT).fit(X)
    expected = RiemannianKMeans(2, random_state=0).fit(vae.transform(X))
    frozen = RiemannianKMeans(2, metric=FrozenEstimator(vae), random_state=0).fit(X)
    np.testing.assert_array_equal(frozen.labels_, expected.labels_)
    assert frozen.metric_ == vae.metric_


def test_an_encoder_behind_another():
    rng = np.random.default_rng(0)
    kind = np.arange(80) % 2
    X = pd.DataFrame(rng.normal(size=(80, 55)) + 4.0 * kind[:, None]).add_prefix("x")
    X.insert(0, "name", np.array(["red", "blue"])[kind])
    names = OneHotEncoder(sparse_output=False)
    first = make_column_transformer((names, ["name"]), remainder="passthrough")
    metric = make_pipeline(first, NeighborEncoder(n_components=2, random_state=0))
    kmeans = RiemannianKMeans(2, metric=metric, random_state=0).fit(X)
    assert kmeans.encoder_[-1].encoder_ is not None
    found = kmeans.explain(X[:5])
    assert found.shape == (5, 57)
    np.testing.assert_allclose(found.sum(1), kmeans.transform(X[:5]).min(1), rtol=1e-6)


def test_arrays_and_weights():
    X = numbers(gaps=0.1)
    kmeans = RiemannianKMeans(2, metric=little(**FLAT), random_state=0)
    weights = np.arange(40) % 3
    kmeans.fit(X, sample_weight=weights)
    encoder = little(**FLAT).fit(X, sample_weight=weights)
    expected = RiemannianKMeans(2, random_state=0)
    expected.fit(encoder.transform(X), sample_weight=weights)
    np.testing.assert_array_equal(kmeans.labels_, expected.labels_)
    assert kmeans.partial_fit(X[:20]).counts_.sum() == weights.sum() + 20
    by_name = RiemannianKMeans(2, metric=little(likelihood={"income": "student_t"}), random_state=0)
    assert by_name.fit(frame()[["income", "flag"]]).encoder_._columns.names[0] == "student_t"


def test_centres_to_begin_with():
    X = frame(gaps=0.1)
    init = X[:2]
    kmeans = RiemannianKMeans(2, metric=little(**FLAT), init=init).fit(X)
    codes = little(**FLAT).fit(X).transform(X)
    expected = RiemannianKMeans(2, init=np.asarray(codes[:2])).fit(codes)
    np.testing.assert_array_equal(kmeans.labels_, expected.labels_)
    with pytest.raises(ValueError, match=r"shape \(2, 7\)"):
        kmeans.set_params(init=X[:3]).fit(X)


@pytest.mark.parametrize(
    ("estimator", "instead"),
    [
        (RiemannianKMeans(2, metric=VAETransformer()), "likelihood='auto' takes names"),
        (RiemannianKMeans(2, metric="local"), r"metric=VAETransformer\(likelihood='auto'\)"),
        (GeodesicDistance(), r"metric=VAETransformer\(likelihood='auto'\)"),
    ],
)
def test_who_takes_no_names(estimator, instead):
    with pytest.raises(ValueError, match=f"could not convert string to float: 'red'.*{instead}"):
        estimator.fit(frame())
