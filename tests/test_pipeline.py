"""The metric on its way through pipelines, caches, searches and containers."""

import copy

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import BaseEstimator, ClusterMixin, clone
from sklearn.metrics import adjusted_rand_score, make_scorer
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skriem import GeodesicDistance, RBFNoise, RiemannianKMeans, RiemannianNormal, VAETransformer
from skriem.support.latent import LatentArray, find_metric

# Between clusters the decoders here are rough, and some geodesics through the gaps stay
# unresolved: a warning that the tests of warnings look at, and the others do not.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Some geodesics did not converge:sklearn.exceptions.ConvergenceWarning"
)


def encoder(**parameters):
    # Low and wide walls: nothing here hangs on them, and they make short work of geodesics.
    defaults = {"max_iter": 5, "noise": RBFNoise(bandwidth=2.0, contrast=10), "random_state": 0}
    return VAETransformer(**{**defaults, **parameters})


def pipeline(memory=None, **vae):
    return make_pipeline(
        encoder(**{"max_iter": 15, **vae}),
        RiemannianKMeans(3, random_state=0),
        memory=memory,
    )


@pytest.fixture(scope="module")
def X(digits):
    return digits[0][:100]


@pytest.fixture
def y(digits):
    return digits[1][:100]


@pytest.fixture(scope="module")
def fitted(X):
    """A fitted pipeline, which tests leave as it is."""
    return pipeline().fit(X)


def test_codes_bring_their_metric(X, fitted):
    assert fitted[-1].metric_ is fitted[0].metric_
    assert fitted[-1].encoder_ is None
    np.testing.assert_array_equal(fitted.predict(X), fitted[-1].labels_)


def test_refitting_leaves_no_old_metric_behind(X, fitted):
    pipe, first = copy.deepcopy(fitted), fitted[0].metric_
    assert pipe[-1].metric_ is pipe[0].metric_
    pipe.fit(X[:70])
    assert pipe[-1].metric_ is pipe[0].metric_
    assert pipe[-1].metric_ != first
    twin = clone(pipe).fit(X)
    assert twin[-1].metric_ == first


def test_clones_and_refits_leave_no_old_metric_behind(X):
    pipe, metrics = pipeline(max_iter=2, noise="constant"), []
    for rows in (slice(40), slice(20, 60), slice(40)):
        pipe = clone(pipe).fit(X[rows])
        assert not hasattr(clone(pipe)[0], "metric_")
        pipe.fit(X[rows])
        assert pipe[-1].metric_ is pipe[0].metric_
        metrics.append(pipe[-1].metric_)
    assert metrics[0] == metrics[2] != metrics[1]


def test_a_cold_cache_and_one_that_is_warm_twice(X, fitted, tmp_path):
    for _ in range(3):
        pipe = pipeline(memory=str(tmp_path)).fit(X)
        np.testing.assert_array_equal(pipe[-1].labels_, fitted[-1].labels_)
        assert pipe[-1].metric_ == fitted[0].metric_
        assert pipe[-1].encoder_ is None


@pytest.mark.slow
def test_cached_step_sees_a_change_of_the_metric_alone(X, tmp_path):
    # The codes are the same for all bandwidths; only the geometry differs.
    found = []
    for bandwidth in (0.7, 1.0, 2.0):
        steps = encoder(noise=RBFNoise(bandwidth=bandwidth)), GeodesicDistance()
        pipe = make_pipeline(*steps, FunctionTransformer(), memory=str(tmp_path)).fit(X[:20])
        assert pipe[1].metric_ == pipe[0].metric_
        found.append(pipe[:-1].transform(X[:20]))
        np.testing.assert_allclose(found[-1], make_pipeline(*steps).fit_transform(X[:20]))
    assert not np.allclose(found[0], found[1])
    assert not np.allclose(found[1], found[2])


def mean_distance(pipe, X, y):
    """A score that sees the metric and nothing else of the codes."""
    return pipe[:-1].transform(X).mean()


@pytest.mark.slow
def test_grid_search_over_a_parameter_of_the_metric_alone_with_a_cache(X, y, tmp_path):
    bandwidths = [1.5, 2.0, 3.0]

    def search(memory):
        pipe = make_pipeline(
            encoder(noise=RBFNoise(contrast=5)),
            GeodesicDistance(method="graph", random_state=0),
            KNeighborsClassifier(1, metric="precomputed"),
            memory=memory,
        )
        grid = {"vaetransformer__noise__bandwidth": bandwidths}
        return GridSearchCV(pipe, grid, scoring=mean_distance, cv=2).fit(X[:60], y[:60])

    expected = search(None).cv_results_["mean_test_score"]
    assert len(set(expected)) == 3
    for _ in range(2):
        found = search(str(tmp_path))
        np.testing.assert_allclose(found.cv_results_["mean_test_score"], expected, rtol=1e-12)
        best = found.best_estimator_
        assert best[1].metric_ == best[0].metric_
        assert best[0].noise.bandwidth == bandwidths[np.argmax(expected)]


@pytest.mark.slow
def test_cross_validation_in_processes(X, y):
    scorer = make_scorer(adjusted_rand_score)

    def scores(n_jobs):
        return cross_val_score(pipeline(), X, y, cv=2, scoring=scorer, n_jobs=n_jobs)

    np.testing.assert_array_equal(scores(1), scores(2))


@pytest.mark.slow
def test_grid_search_gives_the_same_best_estimator_in_processes(X, y):
    grid = {"vaetransformer__n_components": [2, 3], "riemanniankmeans__n_clusters": [2, 3]}

    def search(n_jobs):
        scorer = make_scorer(adjusted_rand_score)
        return GridSearchCV(pipeline(), grid, scoring=scorer, cv=2, n_jobs=n_jobs).fit(X, y)

    one, two = search(1), search(2)
    assert one.best_params_ == two.best_params_
    for column in ("mean_test_score", "rank_test_score"):
        np.testing.assert_array_equal(one.cv_results_[column], two.cv_results_[column])
    assert one.best_estimator_[0].metric_ == two.best_estimator_[0].metric_
    np.testing.assert_array_equal(one.predict(X), two.predict(X))


@pytest.mark.slow
def test_cross_validation_on_codes_themselves(digits_vae, digits):
    scorer = make_scorer(adjusted_rand_score)
    codes, estimator = digits_vae[1][:120], RiemannianKMeans(3, random_state=0)
    one, two = (
        cross_val_score(estimator, codes, digits[1][:120], cv=2, scoring=scorer, n_jobs=n)
        for n in (1, 2)
    )
    np.testing.assert_array_equal(one, two)
    part, _ = train_test_split(codes, random_state=0)
    assert find_metric(part) == find_metric(codes)


def test_default_output_after_another(X, fitted):
    pipe = pipeline().set_output(transform="pandas").set_output(transform="default")
    np.testing.assert_array_equal(pipe.fit_predict(X), fitted[-1].labels_)
    assert type(pipe[0].transform(X)) is LatentArray
    assert pipe[-1].metric_ is pipe[0].metric_


@pytest.mark.parametrize("how", ["set_output", "set_config"])
def test_pandas_output(X, fitted, how):
    pipe = pipeline()
    if how == "set_output":
        labels = pipe.set_output(transform="pandas").fit_predict(X)
    else:
        with sklearn.config_context(transform_output="pandas"):
            labels = pipe.fit_predict(X)
    np.testing.assert_array_equal(labels, fitted[-1].labels_)
    assert pipe[-1].metric_ is pipe[0].metric_
    assert list(pipe[-1].feature_names_in_) == ["vaetransformer0", "vaetransformer1"]


def test_polars_output_is_refused_with_a_reason(X):
    with pytest.raises(ValueError, match="polars frames cannot carry it"):
        pipeline().set_output(transform="polars").fit(X)


def test_pandas_input(X, fitted):
    frame = pd.DataFrame(X, columns=[f"pixel{i}" for i in range(X.shape[1])])
    np.testing.assert_array_equal(pipeline().fit_predict(frame), fitted[-1].labels_)


def test_steps_that_return_rows_untouched_keep_the_metric(X):
    vae = encoder()
    pipe = make_pipeline(
        vae, FunctionTransformer(), "passthrough", RiemannianKMeans(2, random_state=0)
    )
    assert pipe.fit(X)[-1].metric_ is pipe[0].metric_


def test_a_scaler_in_between_makes_data_of_codes(X):
    pipe = make_pipeline(
        encoder(),
        StandardScaler(),
        RiemannianKMeans(2, metric=encoder(random_state=None), random_state=0),
    ).fit(X)
    assert pipe[-1].encoder_ is not None
    assert pipe[-1].metric_ != pipe[0].metric_


@pytest.mark.parametrize("change", [lambda Z: 2 * Z, lambda Z: Z - Z.mean(0), np.tanh])
def test_arithmetic_in_between_drops_the_metric(X, change):
    pipe = make_pipeline(
        encoder(),
        FunctionTransformer(change),
        RiemannianKMeans(2, metric=encoder(random_state=None), random_state=0),
    ).fit(X)
    # An estimator that is asked to fit an encoder refuses codes that still carry a metric.
    assert find_metric(pipe[:-1].transform(X)) is None
    assert pipe[-1].metric_ != pipe[0].metric_


@pytest.mark.parametrize(
    ("estimator", "method"),
    [
        (RiemannianKMeans(2, random_state=0), "predict"),
        (RiemannianNormal(random_state=0), "score_samples"),
        (GeodesicDistance(random_state=0), "transform"),
    ],
)
def test_predicting_with_codes_of_a_foreign_encoder_raises(X, estimator, method):
    vae = encoder(noise="constant")
    pipe = make_pipeline(vae, clone(estimator)).fit(X[:40])
    foreign = encoder(random_state=1).fit(X[:40])
    # As after a refit of the first step alone.
    pipe.steps[0] = ("vaetransformer", foreign)
    with pytest.raises(ValueError, match="another metric"):
        getattr(pipe, method)(X[:5])


def test_weights_are_passed_on(X):
    pipe = pipeline()
    weights = np.linspace(0.1, 1.0, len(X))
    pipe.fit(X, riemanniankmeans__sample_weight=weights, vaetransformer__sample_weight=weights)
    assert pipe.score(X) < 0


class Recorder(ClusterMixin, BaseEstimator):
    """Keeps what it is given."""

    def fit(self, X, y=None):
        self.seen_ = X
        return self


def test_any_step_may_read_the_metric(X):
    pipe = make_pipeline(encoder(), Recorder()).fit(X)
    assert find_metric(pipe[-1].seen_) is pipe[0].metric_


@pytest.mark.slow
@pytest.mark.parametrize("output", ["pandas", "polars"])
def test_the_drop_in_does_not_mind_what_transformers_put_out(X, output):
    kmeans = RiemannianKMeans(2, metric=encoder(), random_state=0)
    expected = kmeans.fit_predict(X)
    with sklearn.config_context(transform_output=output):
        np.testing.assert_array_equal(kmeans.fit_predict(X), expected)
        np.testing.assert_array_equal(kmeans.predict(X), expected)
