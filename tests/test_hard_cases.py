"""Data that nobody would choose: every estimator says what is wrong with them, or copes.

The fast suite has tables of every kind, the thorough one generated cases as well, which are few and
always the same by default. ``HYPOTHESIS_PROFILE=thorough pytest -m slow tests/test_hard_cases.py``
draws more than a thousand, new ones every time unless ``--hypothesis-seed`` is given as well.
"""

import os
import random
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import NamedTuple

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir
from sklearn.base import clone
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from suites import thorough, work_little

from skriem import (
    GeodesicDistance,
    NeighborEncoder,
    Neighbors,
    RiemannianKMeans,
    RiemannianNormal,
    VAETransformer,
)
from skriem.support.latent import find_metric

# Hard data are hard to converge on, and that is what the warning says. Any other warning, such
# as NumPy's of an overflow, is an error here as everywhere.
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:X (does not have valid|has) feature names:UserWarning"),
]

# Otherwise it keeps what it finds in the sources in the folder that the tests are run from.
set_hypothesis_home_dir(Path(tempfile.gettempdir()) / "hypothesis")

# A case that takes longer than the deadline hangs.
settings.register_profile(
    "ordinary",
    settings(),
    max_examples=12,
    derandomize=True,
    database=None,
    deadline=60_000,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "thorough", settings.get_profile("ordinary"), max_examples=250, derandomize=False
)
PROFILE = settings.get_profile(os.environ.get("HYPOTHESIS_PROFILE", "ordinary"))


def cases(share=1.0):
    """Settings of a test that gets a share of the profile's cases: of slow ones there are fewer."""
    return settings(PROFILE, max_examples=round(share * PROFILE.max_examples))


@pytest.fixture(autouse=True, scope="module")
def _surroundings():
    """Little training and integration, and warnings that do not depend on what ran before."""
    often = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    with pytest.MonkeyPatch.context() as patch:
        work_little(patch)
        yield
    torch.set_warn_always(often)


def vae(**parameters):
    return VAETransformer(**{"network": (8,), "max_iter": 4, "random_state": 0, **parameters})


# Data --------------------------------------------------------------------------------------


class Recipe(NamedTuple):
    """How to make a table. A case that fails is printed as this."""

    kind: str
    n_rows: int
    n_columns: int
    exponent: int  # the unit is ten to this power
    spread: int  # of the columns' own units, or how far the origin is, both in powers of ten
    dtype: str
    layout: str
    seed: int

    def make(self):
        X = self._values(np.random.default_rng(self.seed))
        if self.dtype == "bool":
            X = np.greater(X, np.median(X))
        elif self.dtype == "int64":
            X = np.round(X * 10.0 ** max(self.exponent, 0)).astype(np.int64)
        else:
            X = (X * 10.0**self.exponent).astype(self.dtype)
        return LAYOUTS[self.layout](X)

    def _values(self, rng):
        n, p, kind = self.n_rows, self.n_columns, self.kind
        X = rng.normal(size=(n, p))
        if kind == "blobs":
            X += 10.0 * rng.normal(size=(3, p))[rng.integers(3, size=n)]
        elif kind == "uniform":
            X = rng.uniform(size=(n, p))
        elif kind == "lattice":
            X = rng.integers(-2, 3, size=(n, p)).astype(float)
        elif kind == "two places":
            X = X[:2][rng.integers(2, size=n)]
        elif kind == "duplicates":
            X = X[rng.integers(max(1, n // 4), size=n)]
        elif kind == "line":
            X = rng.normal(size=(n, 1)) * rng.normal(size=p)
        elif kind == "constant columns":
            X[:, rng.integers(p, size=(p + 1) // 2)] = 7.0
        elif kind == "outlier":
            X[rng.integers(n)] *= 1e6
        elif kind == "heavy tails":
            X = rng.standard_cauchy(size=(n, p))
        elif kind == "units":
            X *= 10.0 ** rng.uniform(-self.spread, self.spread, size=p)
        elif kind == "far away":
            X += 10.0**self.spread
        return X


def read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


KINDS = [
    "blobs",
    "uniform",
    "lattice",
    "two places",
    "duplicates",
    "line",
    "constant columns",
    "outlier",
    "heavy tails",
    "units",
    "far away",
]
LAYOUTS = {
    "rows": np.ascontiguousarray,
    "columns": np.asfortranarray,
    "strided": lambda X: X.repeat(2, axis=0).repeat(3, axis=1)[::2, ::3],
    "backwards": lambda X: X[::-1, ::-1].copy()[::-1, ::-1],
    "read-only": read_only,
}


def recipes(most_rows=60, most_columns=8, large=True):
    """Tables that are mostly small: two rows and one column are the least there can be."""
    rows, columns = st.integers(2, most_rows), st.integers(1, most_columns)
    if large:
        rows = st.one_of(rows, st.integers(2, 4), rows, st.just(300))
        columns = st.one_of(columns, columns, columns, st.just(40))
    return st.builds(
        Recipe,
        kind=st.sampled_from(KINDS),
        n_rows=rows,
        n_columns=columns,
        exponent=st.integers(-8, 8),
        spread=st.integers(0, 8),
        dtype=st.sampled_from(["float64", "float64", "float32", "int64", "bool", ">f8"]),
        layout=st.sampled_from(sorted(LAYOUTS)),
        seed=st.integers(0, 2**32 - 1),
    )


# What must hold ----------------------------------------------------------------------------


def global_generators():
    legacy = np.random.get_state()[1].tobytes()  # noqa: NPY002
    return random.getstate(), legacy, torch.get_rng_state().tolist()


def copes(estimator, X, look, needs_two_places=True):
    """Fit `X` twice and compare what there is to see, which must be finite and the same.

    The one thing that may be refused is data all of whose rows are the same, by estimators that
    need two places, and with these words.

    Returns
    -------
    dict of ndarray or None
        What was seen.
    """
    before, generators = X.tobytes(), global_generators()
    seen = None
    if needs_two_places and len(np.unique(X, axis=0)) < 2:
        with pytest.raises(ValueError, match="All rows of (X|the data) are the same"):
            clone(estimator).fit(X)
    else:
        seen, again = (look(clone(estimator).fit(X), X) for _ in range(2))
        for name, value in seen.items():
            assert np.isfinite(value).all(), f"{name} is not finite"
            np.testing.assert_array_equal(again[name], value, err_msg=name)
    assert X.tobytes() == before
    assert global_generators() == generators
    return seen


def of_encoder(fitted, X):
    codes = fitted.transform(X)
    found = np.asarray(codes)
    assert found.shape == (len(X), fitted.metric_.n_dims)
    assert found.dtype == (np.float32 if X.dtype == np.float32 else np.float64)
    assert find_metric(codes) is fitted.metric_
    assert len(fitted.get_feature_names_out()) == found.shape[1]
    seen = {"transform": found}
    if found.shape[1] < 100:
        seen["tensor"] = fitted.metric_.tensor(found[:5].astype(np.float64))
    return seen


def of_vae(fitted, X):
    seen = of_encoder(fitted, X)
    seen |= {
        "inverse_transform": fitted.inverse_transform(seen["transform"]),
        "score_samples": fitted.score_samples(X, 10),
        "evidence_lower_bound": fitted.evidence_lower_bound(X, 10),
        "sample": fitted.sample(4, random_state=0),
        "loss_curve_": np.array(fitted.loss_curve_),
    }
    assert seen["inverse_transform"].shape == X.shape
    assert seen["score_samples"].shape == seen["evidence_lower_bound"].shape == (len(X),)
    assert seen["sample"].shape == (4, X.shape[1])
    return seen


def of_neighbors(fitted, X):
    seen = of_encoder(fitted, X)
    seen["pairwise"] = fitted.metric_.pairwise(seen["transform"].astype(np.float64))
    check_distances(seen["pairwise"], len(X))
    return seen


def of_clusters(fitted, X):
    last = fitted[-1] if hasattr(fitted, "steps") else fitted
    k, n_dims = last.n_clusters, last.metric_.n_dims
    seen = {
        "labels_": last.labels_,
        "predict": fitted.predict(X),
        "transform": np.asarray(fitted.transform(X)),
        "cluster_centers_": last.cluster_centers_,
        "inertia_": np.array(last.inertia_),
        "score": np.array(fitted.score(X)),
    }
    for name in ("labels_", "predict"):
        assert seen[name].shape == (len(X),)
        assert np.issubdtype(seen[name].dtype, np.integer)
        assert np.isin(seen[name], range(k)).all()
    assert seen["transform"].shape == (len(X), k)
    assert (seen["transform"] >= 0).all()
    assert seen["cluster_centers_"].shape == (k, n_dims)
    assert seen["inertia_"] >= 0 >= seen["score"]
    return seen


def of_density(fitted, X):
    k, n_dims = fitted.n_components, fitted.metric_.n_dims
    seen = {
        "score_samples": fitted.score_samples(X),
        "by volume": fitted.score_samples(X, measure="riemannian"),
        "predict": fitted.predict(X),
        "predict_proba": fitted.predict_proba(X),
        "bic": np.array(fitted.bic(X)),
        "sample": fitted.sample(3, random_state=0)[0],
        "weights_": fitted.weights_,
        "means_": fitted.means_,
        "covariances_": fitted.covariances_,
        "log_normalizers_": fitted.log_normalizers_,
        "lower_bound_": np.array(fitted.lower_bound_),
    }
    assert seen["score_samples"].shape == (len(X),)
    assert seen["predict_proba"].shape == (len(X), k)
    np.testing.assert_allclose(seen["predict_proba"].sum(1), 1.0)
    assert np.isin(seen["predict"], range(k)).all()
    assert seen["sample"].shape == (3, n_dims)
    assert (np.linalg.eigvalsh(seen["covariances_"]) > 0).all()
    return seen


def of_distances(fitted, X):
    some = X[:5]
    seen = {
        "transform": np.asarray(fitted.transform(X)),
        "pairwise": fitted.pairwise(some),
        "path": np.asarray(fitted.path(X[0], X[-1], 5)),
        "call": np.array(fitted(X[0], X[-1])),
        "error": np.array(list(fitted.error_estimate_.values())),
    }
    check_distances(seen["transform"], len(X))
    check_distances(seen["pairwise"], len(some))
    assert seen["path"].shape == (5, fitted.metric_.n_dims)
    assert seen["call"] >= 0
    return seen


def check_distances(distances, n):
    assert distances.shape == (n, n)
    np.testing.assert_array_equal(distances, distances.T)
    assert (distances >= 0).all()
    assert (distances.diagonal() == 0).all()


# Without walls geodesics are short work; generated cases have them.
NO_WALLS = {"noise": "constant"}
FAST_METRIC = vae(random_state=None, **NO_WALLS)
ESTIMATORS = {
    "autoencoder": (vae(), of_vae),
    "neighbors": (NeighborEncoder(random_state=0), of_neighbors),
    "clusters": (RiemannianKMeans(2, random_state=0), of_clusters),
    "clusters of codes": (RiemannianKMeans(2, metric=FAST_METRIC, random_state=0), of_clusters),
    "pipeline": (make_pipeline(vae(**NO_WALLS), RiemannianKMeans(2, random_state=0)), of_clusters),
    "density": (
        RiemannianNormal(metric=vae(n_components=1, **NO_WALLS), max_iter=2, random_state=0),
        of_density,
    ),
    "distances": (GeodesicDistance(metric=FAST_METRIC, random_state=0), of_distances),
}
# They take longer, and read their data as the others do.
LONG = ("clusters of codes", "pipeline", "density", "distances")
every_estimator = pytest.mark.parametrize(
    ("estimator", "look"),
    [
        pytest.param(*pair, id=name, marks=[pytest.mark.slow] * (name in LONG))
        for name, pair in ESTIMATORS.items()
    ],
)


def table(n=12, p=4, seed=0):
    return np.random.default_rng(seed).normal(size=(n, p))


@pytest.fixture(scope="module")
def fitted():
    """Every estimator, fitted to ``table()``."""
    return {name: clone(pair[0]).fit(table()) for name, pair in ESTIMATORS.items()}


def same(seen, expected):
    assert seen.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(seen[name], value, err_msg=name)


# Every kind of table -----------------------------------------------------------------------


def one_of(kind):
    """A small table of a kind, of another size, unit, type and layout than those of others."""
    i = KINDS.index(kind)
    dtypes, layouts = ("float64", "float32", "int64", ">f8"), sorted(LAYOUTS)
    return Recipe(
        kind,
        n_rows=7 + 3 * (i % 5),
        n_columns=1 + i % 6,
        exponent=(0, -8, 3, 8, -3)[i % 5],
        spread=(4, 8)[i % 2],
        dtype=dtypes[i % 4],
        layout=layouts[i % 5],
        seed=i,
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "name",
    thorough(["autoencoder", "neighbors", "clusters", "distances"], slow=["distances"]),
)
def test_every_kind_of_table(name, kind):
    estimator, look = ESTIMATORS[name]
    needs_two_places = name in ("autoencoder", "distances")
    copes(estimator, one_of(kind).make(), look, needs_two_places)


# Generated cases ---------------------------------------------------------------------------

# The examples that are written out once failed.


@pytest.mark.slow
@cases()
@given(
    recipe=recipes(),
    n_components=st.integers(1, 3),
    precision=st.sampled_from(["rbf", "rbf", "mlp", "constant"]),
    neighbors=st.sampled_from(
        [{}, {}, {"neighbors": 3}, {"neighbors": Neighbors(3, attraction=1.0)}]
    ),
)
# All codes but one are closer to each other than the encoder can tell: scores were NaN.
@example(
    recipe=Recipe("outlier", 38, 1, -4, 4, "float64", "strided", 156),
    n_components=3,
    precision="rbf",
    neighbors={"neighbors": Neighbors(3, attraction=1.0)},
)
# Steps of a negative number of bytes from row to row, which torch does not take.
@example(
    recipe=Recipe("blobs", 9, 2, 0, 0, "float64", "backwards", 0),
    n_components=2,
    precision="rbf",
    neighbors={},
)
def test_autoencoders_cope(recipe, n_components, precision, neighbors):
    estimator = vae(n_components=n_components, noise=precision, **neighbors)
    copes(estimator, recipe.make(), of_vae)


@pytest.mark.slow
@cases()
@given(
    recipe=recipes(),
    standardize=st.sampled_from(["auto", True, False]),
    power=st.sampled_from([1.0, 2.0, 3.0]),
)
def test_encoders_of_neighbors_cope(recipe, standardize, power):
    estimator = NeighborEncoder(standardize=standardize, power=power, random_state=0)
    copes(estimator, recipe.make(), of_neighbors, needs_two_places=False)


@pytest.mark.slow
@cases()
@given(
    recipe=recipes(), n_clusters=st.integers(1, 5), init=st.sampled_from(["k-means++", "random"])
)
def test_clusters_of_data_cope(recipe, n_clusters, init):
    estimator = RiemannianKMeans(min(n_clusters, recipe.n_rows), init=init, random_state=0)
    seen = copes(estimator, recipe.make(), of_clusters, needs_two_places=False)
    np.testing.assert_array_equal(seen["predict"], seen["labels_"])


@pytest.mark.slow
@cases(0.3)
@given(recipe=recipes(16, 3, large=False), n_clusters=st.integers(1, 3))
# Neighbours at no distance made the metric's bandwidth zero.
@example(recipe=Recipe("two places", 14, 2, 0, 0, "float64", "rows", 1), n_clusters=2)
def test_clusters_under_the_local_metric_cope(recipe, n_clusters):
    estimator = RiemannianKMeans(min(n_clusters, recipe.n_rows), metric="local", random_state=0)
    copes(estimator, recipe.make(), of_clusters)


@pytest.mark.slow
@cases(0.3)
@given(recipe=recipes(20, 6, large=False), n_clusters=st.integers(1, 3))
# A curve on the way to the centre leaves the table of the metric: the inertia was NaN.
@example(recipe=Recipe("line", 4, 2, 0, 0, "float64", "rows", 0), n_clusters=1)
def test_clusters_of_codes_cope(recipe, n_clusters):
    estimator = RiemannianKMeans(
        min(n_clusters, recipe.n_rows), metric=vae(max_iter=3, random_state=None), random_state=0
    )
    copes(estimator, recipe.make(), of_clusters)


@pytest.mark.slow
@cases(0.3)
@given(recipe=recipes(20, 6, large=False), n_clusters=st.integers(1, 3))
def test_pipelines_cope(recipe, n_clusters):
    clusters = RiemannianKMeans(min(n_clusters, recipe.n_rows), random_state=0)
    copes(make_pipeline(vae(max_iter=3), clusters), recipe.make(), of_clusters)


@pytest.mark.slow
@cases(0.2)
@given(
    recipe=recipes(8, 2, large=False),
    n_components=st.integers(1, 2),
    metric=st.sampled_from(["local", "codes"]),
)
# One of two components loses all its points.
@example(recipe=Recipe("blobs", 3, 1, 0, 0, "float64", "rows", 0), n_components=2, metric="codes")
def test_densities_cope(recipe, n_components, metric):
    metric = "local" if metric == "local" else vae(n_components=1)
    estimator = RiemannianNormal(n_components, metric=metric, max_iter=2, random_state=0)
    copes(estimator, recipe.make(), of_density)


@pytest.mark.slow
@cases(0.6)
@given(
    recipe=recipes(12, 3, large=False),
    metric=st.sampled_from(["codes", "local", "neighbors"]),
    method=st.sampled_from(["auto", "exact", "graph", "landmarks", "grid"]),
)
# Approximate lengths are corrected, which needs a gradient that this metric does not have.
@example(
    recipe=Recipe("units", 4, 3, 1, 2, "int64", "columns", 965), metric="local", method="landmarks"
)
def test_distances_cope(recipe, metric, method):
    encoder = {"codes": vae(), "local": "local", "neighbors": NeighborEncoder(random_state=0)}
    estimator = GeodesicDistance(metric=encoder[metric], method=method, random_state=0)
    copes(estimator, recipe.make(), of_distances, needs_two_places=metric != "neighbors")


# Wide tables, files, frames ----------------------------------------------------------------


@pytest.mark.slow
@every_estimator
def test_five_thousand_features(estimator, look):
    copes(estimator, table(12, 5000), look)


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64"])
@every_estimator
def test_a_file_mapped_into_memory_is_as_good_as_its_contents(estimator, look, dtype, tmp_path):
    X = (10.0 * table()).astype(dtype)
    path = tmp_path / "table"
    X.tofile(path)
    mapped = np.memmap(path, dtype=dtype, mode="r", shape=X.shape)
    seen = look(clone(estimator).fit(mapped), mapped)
    same(seen, look(clone(estimator).fit(X), X))
    assert path.read_bytes() == X.tobytes()


def mixed_columns():
    """Columns of one table, each of another type; all are exact in float64."""
    x = table(12, 3, seed=1)
    return {
        "height": x[:, 0],
        "width": x[:, 1].astype(np.float32),
        "count": np.round(5.0 * x[:, 2]).astype(np.int64),
        "small": np.round(3.0 * x[:, 0]).astype(np.int8),
        "is_red": x[:, 2] > 0.0,
    }


def pandas_frame():
    frame = pd.DataFrame(mixed_columns())
    return frame.astype({"count": "Int64", "is_red": "boolean", "height": "Float64"})


FRAMES = {
    "pandas": lambda: pd.DataFrame(mixed_columns()),
    "nullable": pandas_frame,
    "reversed": lambda: pandas_frame().set_axis(range(12, 0, -1)),
    "polars": lambda: pl.DataFrame(mixed_columns()),
}


@pytest.mark.parametrize("kind", FRAMES)
@every_estimator
def test_frames_of_mixed_types_are_as_good_as_arrays(estimator, look, kind):
    frame = FRAMES[kind]()
    before = frame.clone() if kind == "polars" else frame.copy()
    X = np.column_stack(list(mixed_columns().values())).astype(np.float64)
    expected = look(clone(estimator).fit(X), X)
    fitted = clone(estimator).fit(frame)
    # Which frames have names is scikit-learn's affair: its 1.6 does not know polars 2.
    known = hasattr(StandardScaler().fit(frame), "feature_names_in_")
    assert list(getattr(fitted, "feature_names_in_", [])) == list(mixed_columns()) * known
    name = "score_samples" if isinstance(estimator, RiemannianNormal) else "transform"
    np.testing.assert_array_equal(getattr(fitted, name)(frame), expected[name])
    assert frame.equals(before)


@pytest.mark.parametrize("container", ["pandas", "polars"])
@pytest.mark.parametrize("how", ["set_output", "config_context"])
@pytest.mark.parametrize("name", [name for name in ESTIMATORS if name != "density"])
def test_frames_come_out_where_they_are_asked_for(name, how, container, fitted):
    estimator, X = clone(ESTIMATORS[name][0]), table()
    if how == "set_output":
        context = sklearn.config_context()
        estimator.set_output(transform=container)
    else:
        context = sklearn.config_context(transform_output=container)
    if isinstance(estimator, Pipeline) and container == "polars":
        with context, pytest.raises(ValueError, match="polars frames cannot carry it"):
            estimator.fit(X)
        return
    with context:
        found = estimator.fit(X).transform(X)
    assert isinstance(found, pd.DataFrame if container == "pandas" else pl.DataFrame)
    assert list(found.columns) == list(fitted[name].get_feature_names_out())
    expected = fitted[name].transform(X)
    assert isinstance(expected, np.ndarray)
    np.testing.assert_array_equal(found.to_numpy(), expected)


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_densities_do_not_mind_what_transformers_put_out(container, fitted):
    estimator, look = ESTIMATORS["density"]
    expected = look(fitted["density"], table())
    with sklearn.config_context(transform_output=container):
        same(look(clone(estimator).fit(table()), table()), expected)


# Again, and at the same time ---------------------------------------------------------------


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_second_fit_forgets_the_first(name, fitted):
    estimator, look = ESTIMATORS[name]
    expected = look(fitted[name], table())
    twice = clone(estimator).fit(table(9, 2, seed=1))
    same(look(twice.fit(table()), table()), expected)
    same(look(clone(twice).fit(table()), table()), expected)


@pytest.mark.slow
@every_estimator
def test_threads_that_fit_clones_do_not_disturb_each_other(estimator, look):
    tables = [table(seed=seed) for seed in range(4)]
    expected = [look(clone(estimator).fit(X), X) for X in tables]
    start = Barrier(len(tables))

    def fit(X):
        twin = clone(estimator)
        start.wait()
        return look(twin.fit(X), X)

    with ThreadPoolExecutor(len(tables)) as pool:
        for seen, wanted in zip(pool.map(fit, tables), expected):
            same(seen, wanted)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_threads_share_a_fitted_estimator(name, fitted):
    estimator, look = ESTIMATORS[name]
    X, n_threads = table(), 4
    expected = look(fitted[name], X)
    shared, start = clone(estimator).fit(X), Barrier(n_threads)

    def ask(_):
        # All at once, when nothing has been looked up yet that is found on first use.
        start.wait()
        return look(shared, X)

    with ThreadPoolExecutor(n_threads) as pool:
        for seen in pool.map(ask, range(n_threads)):
            same(seen, expected)


@pytest.mark.parametrize(
    ("name", "parameters"), [("clusters of codes", {"n_init": 3}), ("distances", {})]
)
def test_work_may_be_shared_among_threads(name, parameters):
    estimator, look = ESTIMATORS[name]
    estimator = clone(estimator).set_params(**parameters)
    expected = look(clone(estimator).fit(table()), table())
    with joblib.parallel_config(backend="threading", n_jobs=3):
        same(look(estimator.fit(table()), table()), expected)


# What was not there in the fit -------------------------------------------------------------


@pytest.mark.parametrize("factor", [0.0, 1e-8, 1e6, 1e12])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_answers_far_from_the_data_are_finite(name, factor, fitted):
    X, found = factor * table(5, seed=1), 0
    for method in ("transform", "predict", "predict_proba", "score_samples"):
        if hasattr(fitted[name], method):
            answer = np.asarray(getattr(fitted[name], method)(X))
            assert len(answer) == len(X)
            assert np.isfinite(answer).all(), method
            found += 1
    assert found


# What is refused ---------------------------------------------------------------------------


def with_cell(value, dtype=np.float64):
    X = table().astype(dtype)
    X[3, 1] = value
    return X


def missing_in_pandas():
    frame = pandas_frame()
    frame.loc[2, "count"] = pd.NA
    return frame


REFUSED = {
    "NaN": (with_cell(np.nan), "contains NaN"),
    "infinity": (with_cell(-np.inf), "contains infinity"),
    "None": (with_cell(None, object), "NaN"),
    "strings": (with_cell("red", object), "could not convert string to float: 'red'"),
    "complex": (table() + 1j, "Complex data not supported"),
    "one dimension": (table()[0], "Expected 2D array, got 1D array"),
    "three dimensions": (table()[None], "dim 3"),
    "a number": (3.0, "Expected 2D array, got scalar array"),
    "no rows": (table()[:0], r"0 sample\(s\)"),
    "no columns": (table()[:, :0], r"0 feature\(s\)"),
    "missing in pandas": (missing_in_pandas(), "NaN"),
    "missing in polars": (pl.DataFrame({"a": [1.0, None, 2.0], "b": [3, 4, 5]}), "NaN"),
    "strings in polars": (pl.DataFrame({"a": ["x", "y", "z"]}), "could not convert string"),
}


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.parametrize("name", ESTIMATORS)
def test_what_is_no_table_of_numbers_is_refused(name, what, fitted):
    X, message = REFUSED[what]
    estimator = fitted[name]
    method = "predict" if hasattr(estimator, "predict") else "transform"
    # Autoencoders take it that entries are missing.
    if "NaN" in message and name in ("autoencoder", "pipeline"):
        for each in (estimator, clone(estimator).fit(X)):
            if np.shape(X)[1] == each.n_features_in_:
                assert np.isfinite(np.asarray(getattr(each, method)(X))).all()
        return
    asked = clone(estimator).fit, getattr(estimator, method)
    # The drop-in takes frames with names and gaps, if the fit was to one.
    if name == "clusters" and hasattr(X, "columns"):
        if "missing" in what:
            assert (clone(estimator).set_params(n_clusters=1).fit(X).labels_ == 0).all()
        asked = asked[1:]
    for ask in asked:
        with pytest.raises((ValueError, TypeError), match=message):
            ask(X)
