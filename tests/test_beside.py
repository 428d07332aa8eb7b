"""Geodesic distances beside the estimators of others: what these make of them, and what is lost."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import DBSCAN, HDBSCAN, AgglomerativeClustering, SpectralClustering
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier, StackingClassifier, VotingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.frozen import FrozenEstimator
from sklearn.manifold import TSNE
from sklearn.metrics import adjusted_rand_score, log_loss
from sklearn.model_selection import HalvingGridSearchCV, StratifiedKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skriem import GeodesicDistance, RiemannianKMeans, VAETransformer
from skriem.support.latent import find_metric

# Between clusters the decoders here are rough, and some geodesics through the gaps stay
# unresolved: a warning that the tests of warnings look at, and the others do not.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings(
        "ignore:Some geodesics did not converge:sklearn.exceptions.ConvergenceWarning"
    ),
]


@pytest.fixture(scope="module")
def X(digits):
    # Every second image: in the order of the set, the rest would be by other writers.
    return digits[0][::2]


@pytest.fixture(scope="module")
def y(digits):
    return digits[1][::2]


@pytest.fixture(scope="module")
def unseen(digits):
    """Images that nothing is fitted to, and their labels."""
    return digits[0][1::2], digits[1][1::2]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Where fitted encoders and their distances wait for the next estimator."""
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def fitted(X):
    """The first two steps, fitted by hand, and what they make of X."""
    vae = encoder().fit(X)
    distance = GeodesicDistance(method="graph", random_state=0).fit(vae.transform(X))
    return vae, distance, distance.transform(vae.transform(X))


def encoder(**parameters):
    # Low and wide walls: nothing here hangs on them, and they make short work of geodesics.
    defaults = {"max_iter": 30, "bandwidth": 2.0, "contrast": 10, "random_state": 0}
    return VAETransformer(**{**defaults, **parameters})


def pipeline(estimator, memory=None):
    distance = GeodesicDistance(method="graph", random_state=0)
    return make_pipeline(encoder(), distance, estimator, memory=memory)


def k_neighbors(n_neighbors=3):
    return KNeighborsClassifier(n_neighbors, metric="precomputed")


def forest():
    return RandomForestClassifier(30, random_state=0)


# Clusters --------------------------------------------------------------------------------


def affinity(D):
    return np.exp(-((D / np.median(D)) ** 2))


CLUSTERERS = {
    "DBSCAN": DBSCAN(eps=7.0, metric="precomputed"),
    "HDBSCAN": HDBSCAN(min_cluster_size=15, metric="precomputed", copy=True),
    "average linkage": AgglomerativeClustering(3, metric="precomputed", linkage="average"),
    "spectral, of distances": SpectralClustering(
        3, affinity="precomputed_nearest_neighbors", n_neighbors=60, random_state=0
    ),
    "spectral, of a kernel": make_pipeline(
        FunctionTransformer(affinity), SpectralClustering(3, affinity="precomputed", random_state=0)
    ),
}


@pytest.mark.parametrize("name", CLUSTERERS)
def test_clusterers_find_digits_and_are_what_they_are_by_hand(name, X, y, fitted, cache):
    labels = pipeline(CLUSTERERS[name], memory=cache).fit_predict(X)
    assert adjusted_rand_score(y, labels) > 0.45
    np.testing.assert_array_equal(labels, CLUSTERERS[name].fit_predict(fitted[2]))


# Pictures --------------------------------------------------------------------------------


def neighbors_agree(places, y):
    """Share of points whose nearest other point has the same label."""
    nearest = KNeighborsClassifier(1).fit(places, y).kneighbors(return_distance=False)[:, 0]
    return np.mean(y[nearest] == y)


def test_tsne_draws_geodesic_distances(X, y, fitted, cache):
    tsne = TSNE(metric="precomputed", init="random", max_iter=300, random_state=0)
    places = pipeline(tsne, memory=cache).fit_transform(X)
    assert neighbors_agree(places, y) > 0.8
    np.testing.assert_array_equal(places, tsne.fit_transform(fitted[2]))


@pytest.mark.filterwarnings("ignore:using precomputed metric:UserWarning")
@pytest.mark.filterwarnings("ignore:Transforming new data with precomputed metric:UserWarning")
@pytest.mark.filterwarnings("ignore:n_jobs value 1 overridden:UserWarning")
def test_umap_draws_geodesic_distances_and_places_new_images(X, y, unseen, fitted, cache):
    umap = pytest.importorskip("umap", reason="umap-learn is not installed")
    place = umap.UMAP(metric="precomputed", random_state=0)
    pipe, n_threads = pipeline(place, memory=cache), torch.get_num_threads()
    places = pipe.fit_transform(X)
    # Its compiled code changes the number of OpenMP's threads for torch as well.
    torch.set_num_threads(n_threads)
    assert neighbors_agree(places, y) > 0.8
    np.testing.assert_array_equal(places, place.fit_transform(fitted[2]))
    new = pipe.transform(unseen[0])
    torch.set_num_threads(n_threads)
    assert KNeighborsClassifier(3).fit(places, y).score(new, unseen[1]) > 0.8


# Classes ---------------------------------------------------------------------------------


def test_nearest_neighbors_are_those_by_hand(X, y, unseen, fitted, cache):
    vae, distance, D = fitted
    pipe = pipeline(k_neighbors(), memory=cache).fit(X, y)
    expected = k_neighbors().fit(D, y).predict(distance.transform(vae.transform(unseen[0])))
    np.testing.assert_array_equal(pipe.predict(unseen[0]), expected)
    assert pipe.score(*unseen) > 0.85


def test_a_fitted_distance_is_a_metric_function(X, y, unseen, fitted):
    vae = fitted[0]
    codes, queries = np.asarray(vae.transform(X[:12])), np.asarray(vae.transform(unseen[0][:4]))
    distance = GeodesicDistance(vae.metric_).fit(codes)
    assert distance.method_ == "exact"
    found = KNeighborsClassifier(2, metric=distance, algorithm="brute").fit(codes, y[:12])
    lengths, rows = found.kneighbors(queries)
    expected = distance.transform(queries)
    np.testing.assert_array_equal(rows, expected.argsort(axis=1)[:, :2])
    np.testing.assert_allclose(lengths, np.sort(expected, axis=1)[:, :2])


def test_cross_validation_learns_the_geometry_from_the_training_part_alone(X, y):
    expected = []
    for train, test in StratifiedKFold(2).split(X, y):
        vae = encoder().fit(X[train])
        distance = GeodesicDistance(method="graph", random_state=0)
        nearest = k_neighbors().fit(distance.fit_transform(vae.transform(X[train])), y[train])
        expected.append(nearest.score(distance.transform(vae.transform(X[test])), y[test]))
    np.testing.assert_array_equal(cross_val_score(pipeline(k_neighbors()), X, y, cv=2), expected)
    assert np.mean(expected) > 0.7


def test_cross_validation_splits_distances_by_rows_and_columns(y, fitted):
    expected = []
    for train, test in StratifiedKFold(3).split(fitted[2], y):
        nearest = k_neighbors().fit(fitted[2][np.ix_(train, train)], y[train])
        expected.append(nearest.score(fitted[2][np.ix_(test, train)], y[test]))
    np.testing.assert_array_equal(cross_val_score(k_neighbors(), fitted[2], y, cv=3), expected)


def test_halving_search_over_the_steps_around_the_distances(X, y):
    grid = {"vaetransformer__n_components": [1, 2], "kneighborsclassifier__n_neighbors": [1, 5]}
    search = HalvingGridSearchCV(
        pipeline(k_neighbors()), grid, factor=4, min_resources=37, cv=2, random_state=0
    ).fit(X, y)
    assert search.n_candidates_ == [4, 1]
    # One candidate is left, refitted to all images, and its last step sees its own geometry.
    best = search.best_estimator_
    assert best[1].metric_ is best[0].metric_
    assert best[1].X_fit_.shape == (len(X), search.best_params_["vaetransformer__n_components"])
    assert search.best_score_ > 0.7


def test_calibrated_probabilities_are_better_than_the_votes_of_three(X, y, unseen, cache):
    votes = pipeline(k_neighbors(), memory=cache)
    calibrated = CalibratedClassifierCV(votes, cv=2).fit(X, y)
    frozen = CalibratedClassifierCV(FrozenEstimator(votes.fit(X, y))).fit(*unseen)
    assert frozen.calibrated_classifiers_[0].estimator.estimator[-1] is votes[-1]
    truth = unseen[1]
    loss = log_loss(truth, calibrated.predict_proba(unseen[0]))
    assert loss < log_loss(truth, votes.predict_proba(unseen[0]))
    assert calibrated.score(*unseen) > 0.85


def test_voting_and_stacking_with_a_forest(X, y, unseen, cache):
    members = [
        ("geodesic", pipeline(k_neighbors(), memory=cache)),
        ("forest", forest()),
    ]
    voting = VotingClassifier(members, voting="soft").fit(X, y)
    parts = [member.predict_proba(unseen[0]) for member in voting.estimators_]
    np.testing.assert_allclose(voting.predict_proba(unseen[0]), np.mean(parts, axis=0))
    stacking = StackingClassifier(members, forest(), cv=2).fit(X, y)
    assert stacking.transform(unseen[0]).shape == (len(unseen[0]), 6)
    np.testing.assert_array_equal(stacking.transform(unseen[0])[:, :3], parts[0])
    assert min(voting.score(*unseen), stacking.score(*unseen)) > 0.9


# Columns ---------------------------------------------------------------------------------


def test_distances_are_features_beside_others(X, y, unseen, fitted):
    near = make_pipeline(encoder(), GeodesicDistance(method="graph", random_state=0))
    union = FeatureUnion([("geodesic", near), ("linear", PCA(5))])
    pipe = make_pipeline(union, forest()).fit(X, y)
    np.testing.assert_array_equal(pipe[0].transform(X)[:, :-5], fitted[2])
    assert pipe.score(*unseen) > 0.9


@pytest.fixture(scope="module")
def frame(X):
    """The images as named columns, and one column of another kind."""
    return pd.DataFrame(X, columns=[f"pixel{i}" for i in range(64)]).assign(
        ink=X.sum(1), writer=np.arange(len(X)) % 5
    )


PIXELS = [f"pixel{i}" for i in range(64)]


def test_a_whole_pipeline_on_some_columns_keeps_its_geometry(frame):
    clusters = make_pipeline(encoder(max_iter=5), RiemannianKMeans(3, random_state=0))
    columns = ColumnTransformer([("image", clusters, PIXELS), ("rest", "passthrough", ["ink"])])
    features = columns.fit_transform(frame)
    vae, kmeans = columns.named_transformers_["image"]
    assert kmeans.metric_ is vae.metric_
    expected = kmeans.transform(vae.transform(frame[PIXELS]))
    np.testing.assert_array_equal(features[:, :3], expected)
    np.testing.assert_array_equal(features[:, 3], frame["ink"])


@pytest.mark.parametrize("container", ["default", "pandas"])
def test_codes_put_beside_other_columns_are_data(frame, container):
    columns = ColumnTransformer(
        [("image", encoder(max_iter=5), PIXELS), ("rest", "passthrough", ["ink"])]
    ).set_output(transform=container)
    both = columns.fit_transform(frame)
    assert both.shape == (len(frame), 3)
    assert find_metric(both) is None
    distance = GeodesicDistance(encoder(max_iter=5), method="graph").fit(both)
    assert distance.encoder_ is not None


def test_codes_that_are_all_that_is_left_keep_their_metric_in_a_data_frame_only(frame):
    columns = ColumnTransformer([("image", encoder(max_iter=5), PIXELS)])
    assert find_metric(columns.fit_transform(frame)) is None
    codes = columns.set_output(transform="pandas").fit_transform(frame)
    assert find_metric(codes) is columns.named_transformers_["image"].metric_


# Other libraries -------------------------------------------------------------------------


def test_a_skorch_net_learns_from_codes(X, y, unseen):
    skorch = pytest.importorskip("skorch", reason="skorch is not installed")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = torch.nn.Linear(2, 16), torch.nn.Tanh(), torch.nn.Linear(16, 3)
        net = skorch.NeuralNetClassifier(
            torch.nn.Sequential(*layers),
            criterion=torch.nn.CrossEntropyLoss,
            optimizer=torch.optim.Adam,
            lr=0.05,
            max_epochs=40,
            train_split=None,
            verbose=0,
        )
        # Codes have the floating point type of the data, and nets want this one.
        pipe = make_pipeline(encoder(), net).fit(X.astype(np.float32), y)
    assert pipe.score(unseen[0].astype(np.float32), unseen[1]) > 0.8


def test_optuna_tunes_a_pipeline(X, y, cache):
    optuna = pytest.importorskip("optuna", reason="Optuna is not installed")

    def score(n_components):
        pipe = pipeline(k_neighbors(), memory=cache)
        pipe.set_params(vaetransformer__n_components=n_components)
        return cross_val_score(pipe, X, y, cv=2).mean()

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.GridSampler({"n_components": [1, 2]})
    )
    study.optimize(lambda trial: score(trial.suggest_int("n_components", 1, 2)), n_trials=2)
    optuna.logging.set_verbosity(verbosity)
    assert {trial.params["n_components"] for trial in study.trials} == {1, 2}
    assert study.best_value == max(score(1), score(2)) > 0.7
