"""Code as it is written for KMeans, with one name changed; the page about coming from there."""

import inspect
import pickle
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn import cluster, mixture
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits, load_iris, load_sample_image, make_blobs
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_rand_score, silhouette_samples, silhouette_score
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import Normalizer, OneHotEncoder, StandardScaler
from sklearn.utils import shuffle

from skriem import RiemannianKMeans, RiemannianNormal

KMeans = RiemannianKMeans
X, Y = make_blobs(300, centers=4, cluster_std=0.6, random_state=0)
GUIDE = Path(__file__).parents[1] / "doc" / "guide" / "from_kmeans.md"

# Older versions of scikit-learn pass options that newer ones of SciPy deprecate.
pytestmark = pytest.mark.filterwarnings("ignore:scipy.optimize:DeprecationWarning")


def test_fit_and_predict():
    kmeans = KMeans(n_clusters=2, random_state=0, n_init="auto").fit(
        np.array([[1, 2], [1, 4], [1, 0], [10, 2], [10, 4], [10, 0]])
    )
    assert kmeans.labels_.shape == (6,)
    assert len(set(kmeans.predict([[0, 0], [12, 3]]))) == 2
    assert kmeans.cluster_centers_.shape == (2, 2)


def test_all_parameters_by_name():
    kmeans = KMeans(
        n_clusters=4,
        init="k-means++",
        n_init=10,
        max_iter=300,
        tol=1e-4,
        verbose=0,
        random_state=42,
        copy_x=True,
        algorithm="elkan",
    )
    y_kmeans = kmeans.fit_predict(X)
    assert adjusted_rand_score(Y, y_kmeans) > 0.9
    with pytest.raises(ValueError, match="algorithm must be"):
        KMeans(algorithm="auto").fit(X)


def test_elbow():
    wcss = []
    for i in range(1, 7):
        kmeans = KMeans(n_clusters=i, init="k-means++", random_state=42)
        kmeans.fit(X)
        wcss.append(kmeans.inertia_)
    # The elbow is at four.
    assert (np.diff(wcss) < 0.0).all()
    assert np.argmax(np.diff(wcss, 2)) + 2 in (2, 3, 4)


def test_silhouettes_of_numbers_of_clusters():
    scores = {}
    for n_clusters in range(2, 7):
        clusterer = KMeans(n_clusters=n_clusters, random_state=10)
        cluster_labels = clusterer.fit_predict(X)
        scores[n_clusters] = silhouette_score(X, cluster_labels)
    assert max(scores, key=scores.get) == 4


def test_silhouette_plot():
    clusterer = KMeans(n_clusters=4, random_state=10)
    cluster_labels = clusterer.fit_predict(X)
    values = silhouette_samples(X, cluster_labels)
    bars = [np.sort(values[cluster_labels == i]) for i in range(4)]
    assert sum(map(len, bars)) == len(X)
    centers = clusterer.cluster_centers_
    assert centers[:, 0].shape == centers[:, 1].shape == (4,)


def test_scaled_in_a_pipeline():
    pipe = Pipeline([("scaler", StandardScaler()), ("kmeans", KMeans(n_clusters=4, n_init=10))])
    pipe.fit(X)
    labels = pipe["kmeans"].labels_
    np.testing.assert_array_equal(pipe.predict(X), labels)
    centers = pipe["scaler"].inverse_transform(pipe["kmeans"].cluster_centers_)
    assert centers.shape == (4, 2)


def test_digits_by_principal_components():
    data, labels = load_digits(n_class=4, return_X_y=True)
    reduced_data = PCA(n_components=10, random_state=0).fit_transform(data)
    kmeans = KMeans(init="k-means++", n_clusters=4, n_init=4, random_state=0)
    estimator = make_pipeline(StandardScaler(), kmeans).fit(reduced_data)
    assert adjusted_rand_score(labels, estimator[-1].labels_) > 0.7


def test_centres_from_principal_components():
    data = load_iris().data
    pca = PCA(n_components=3).fit(data)
    kmeans = KMeans(init=data[[0, 60, 120]], n_clusters=3, n_init=1)
    assert adjusted_rand_score(load_iris().target, kmeans.fit(data).labels_) > 0.5
    assert pca.components_.shape == (3, 4)


def test_data_frame():
    df = pd.DataFrame(X, columns=["income", "spending"])
    km = KMeans(n_clusters=4, random_state=0)
    df["cluster"] = km.fit_predict(df[["income", "spending"]])
    assert df.groupby("cluster").mean().shape == (4, 2)
    assert list(km.feature_names_in_) == ["income", "spending"]
    with pytest.raises(ValueError, match="feature names"):
        km.predict(df.rename(columns={"income": "wage"})[["wage", "spending"]])


def test_columns_of_several_kinds():
    rng = np.random.default_rng(0)
    df = pd.DataFrame({"age": rng.normal(40, 9, 200), "city": rng.choice(["a", "b"], 200)})
    df["income"] = 1000.0 * df["age"] + rng.normal(0, 3000, 200)
    preprocess = ColumnTransformer(
        [("num", StandardScaler(), ["age", "income"]), ("cat", OneHotEncoder(), ["city"])],
        sparse_threshold=0,
    )
    model = make_pipeline(preprocess, KMeans(n_clusters=3, random_state=0))
    assert set(model.fit_predict(df)) == {0, 1, 2}


def test_text():
    corpus = 6 * [
        "the cat sat on the mat with another cat",
        "a dog and a cat played on the mat",
        "stocks fell as the market lost value",
        "the market rose and stocks gained value",
        "the team won the match in the last minute",
        "a late goal won the match for the team",
    ]
    lsa = make_pipeline(TruncatedSVD(n_components=4, random_state=0), Normalizer(copy=False))
    X_lsa = lsa.fit_transform(TfidfVectorizer(stop_words="english").fit_transform(corpus))
    km = KMeans(n_clusters=3, max_iter=100, n_init=1, random_state=0).fit(X_lsa)
    assert adjusted_rand_score(6 * [0, 0, 1, 1, 2, 2], km.labels_) == 1.0
    original_space_centroids = lsa[0].inverse_transform(km.cluster_centers_)
    assert original_space_centroids.shape[0] == 3


@pytest.mark.slow
def test_colours_of_an_image():
    china = np.array(load_sample_image("china.jpg"), dtype=np.float64) / 255
    w, h, d = china[::4, ::4].shape
    image_array = np.reshape(china[::4, ::4], (w * h, d))
    image_array_sample = shuffle(image_array, random_state=0, n_samples=1_000)
    kmeans = KMeans(n_clusters=16, random_state=0).fit(image_array_sample)
    labels = kmeans.predict(image_array)
    quantised = kmeans.cluster_centers_[labels].reshape(w, h, -1)
    assert quantised.shape == (w, h, 3)
    assert np.abs(quantised - china[::4, ::4]).mean() < 0.15


def test_streams():
    mbk = KMeans(n_clusters=4, random_state=0)
    for batch in np.array_split(X, 3):
        mbk.partial_fit(batch)
    assert adjusted_rand_score(Y, mbk.predict(X)) > 0.9


def test_features_for_a_classifier():
    X_train, X_test, y_train, y_test = train_test_split(X, Y, random_state=0)
    pipeline = Pipeline(
        [("kmeans", KMeans(n_clusters=8, random_state=0)), ("log_reg", LogisticRegression())]
    )
    pipeline.fit(X_train, y_train)
    assert pipeline.score(X_test, y_test) > 0.8


def test_search_for_a_classifier():
    pipeline = Pipeline([("kmeans", KMeans(random_state=0)), ("log_reg", LogisticRegression())])
    grid = GridSearchCV(pipeline, {"kmeans__n_clusters": [3, 6]}, cv=2).fit(X, Y)
    assert grid.best_params_["kmeans__n_clusters"] in (3, 6)


def test_labels_of_representatives():
    k = 10
    kmeans = KMeans(n_clusters=k, random_state=0)
    X_digits_dist = kmeans.fit_transform(X)
    representative_idx = X_digits_dist.argmin(axis=0)
    assert X_digits_dist.shape == (300, k)
    # Centres are samples, and so the representatives.
    np.testing.assert_array_equal(X[representative_idx], kmeans.cluster_centers_)


def test_outliers_by_distance():
    km = KMeans(n_clusters=4, random_state=0).fit(X)
    distances = km.transform(X).min(axis=1)
    assert (distances > np.percentile(distances, 95)).sum() == 15


def test_weighted_samples():
    km = KMeans(n_clusters=4, random_state=0)
    km.fit(X, sample_weight=np.linspace(1, 2, len(X)))
    assert km.score(X, sample_weight=np.ones(len(X))) < 0.0


def test_cross_validated_score():
    scores = cross_val_score(KMeans(n_clusters=4, random_state=0), X, cv=3)
    assert (scores < 0.0).all()


def test_copies_and_files():
    km = KMeans(n_clusters=4, random_state=0)
    twin = clone(km).set_params(n_clusters=3)
    assert twin.get_params()["n_clusters"] == 3
    loaded = pickle.loads(pickle.dumps(km.fit(X)))
    np.testing.assert_array_equal(loaded.predict(X), km.labels_)


def test_regions_of_the_plane():
    reduced = PCA(n_components=2).fit_transform(load_iris().data)
    kmeans = KMeans(init="k-means++", n_clusters=3, n_init=4, random_state=0)
    kmeans.fit(reduced)
    h = 0.1
    x_min, x_max = reduced[:, 0].min() - 1, reduced[:, 0].max() + 1
    y_min, y_max = reduced[:, 1].min() - 1, reduced[:, 1].max() + 1
    xx, yy = np.meshgrid(np.arange(x_min, x_max, h), np.arange(y_min, y_max, h))
    Z = kmeans.predict(np.c_[xx.ravel(), yy.ravel()]).reshape(xx.shape)
    assert set(np.unique(Z)) == {0, 1, 2}
    assert kmeans.cluster_centers_[:, 0].shape == (3,)


def test_distances_as_columns():
    km = KMeans(n_clusters=3, random_state=0).set_output(transform="pandas")
    frame = km.fit_transform(X)
    assert list(frame.columns) == list(km.get_feature_names_out())


def public(cls, instance):
    """Names of the parameters, attributes and methods of an estimator."""
    parameters = set(inspect.signature(cls).parameters)
    methods = {name for name in dir(cls) if not name.startswith("_")}
    attributes = {name for name in vars(instance) if re.fullmatch(r"[a-z]\w*_", name)}
    return parameters | methods | attributes | {"feature_names_in_"}


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [(cluster.KMeans, RiemannianKMeans), (mixture.GaussianMixture, RiemannianNormal)],
)
def test_the_page_has_all_names(theirs, ours):
    if not GUIDE.exists():
        pytest.skip("the documentation is not here")
    start, end = ("## KMeans", "## GaussianMixture")
    text = GUIDE.read_text(encoding="utf-8")
    part = text.split(end)[1] if theirs is mixture.GaussianMixture else text.split(start)[1]
    part = part.split("\n## ")[0]
    # Beside each name of theirs, whether it is here.
    rows = [row.split("|")[1:3] for row in part.splitlines() if row.startswith("|")]
    said = {name: what for names, what in rows for name in re.findall(r"`([^`]+)`", names)}
    names = public(theirs, theirs().fit(X))
    assert not names - said.keys()
    here = set(inspect.signature(ours).parameters) | set(dir(ours))
    for name in names - {n for n in names if n.endswith("_")}:
        assert (name in here) != said[name].strip().startswith("absent"), name
