"""Autoencoders of tables whose columns have likelihoods of their own."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import skops.io
import torch
from mixed_columns import frame, little, numbers
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skriem import (
    DecoderEnsemble,
    MixturePrior,
    Modules,
    RiemannianKMeans,
)
from skriem.estimators.autoencoder.columns import Columns, usual_likelihood

# What is fitted here is not fitted to the end.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


# Tables --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (np.array(["a", "b", "a", None], dtype=object), "name", "categorical"),
        (np.array(list("abcdef"), dtype=object), "name", None),
        (np.array([0.0, 1.0, 1.0, np.nan]), "number", "bernoulli"),
        (np.arange(20.0), "date", "gaussian"),
        (np.arange(20.0) % 5, "number", "negative_binomial"),
        (np.arange(20.0) % 4, "number", "gaussian"),
        (np.arange(20.0), "number", "gaussian"),
        (1.0 + np.arange(20.0) % 5, "number", "gaussian"),
        (0.5 * (np.arange(20.0) % 5), "number", "gaussian"),
        (np.full(4, np.nan), "number", "gaussian"),
    ],
)
def test_what_columns_are(values, kind, expected):
    assert usual_likelihood(values, kind, False) == expected


@pytest.fixture(scope="module")
def of_frame():
    return little().fit(frame(gaps=0.1))


def test_frames_come_back_as_they_were(of_frame):
    X = frame()
    vae = little().fit(X)
    Z = vae.transform(X)
    assert (
        vae._columns.names
        == ["categorical", "gaussian", "gaussian", "bernoulli"]
        + [
            "categorical",
            "gaussian",
            "gaussian",
        ]
        or vae._columns.names[2] == "negative_binomial"
    )
    for found in (vae.inverse_transform(Z), vae.sample(5, random_state=0), vae.impute(X)):
        pd.testing.assert_series_equal(found.dtypes, X.dtypes)
    pd.testing.assert_frame_equal(vae.impute(X), X)
    turned = X.set_index(np.arange(40)[::-1])
    assert vae.impute(turned).index.equals(turned.index)
    of_pandas = clone(vae).set_output(transform="pandas").fit(X)
    codes = of_pandas.transform(turned)
    assert of_pandas.inverse_transform(codes).index.equals(turned.index)
    assert list(vae.get_feature_names_out()) == ["vaetransformer0", "vaetransformer1"]
    assert vae.feature_names_in_.tolist() == X.columns.tolist()


def test_gaps_are_filled_in(of_frame):
    gone = frame(gaps=0.3)
    before = gone.copy()
    filled = of_frame.impute(gone)
    assert not filled.isna().any().any()
    for name in gone:
        known = gone[name].notna()
        assert (filled[name][known] == gone[name][known]).all()
    pd.testing.assert_frame_equal(gone, before)
    # Of objects, which gaps make of them, as of booleans.
    assert gone["flag"].dtype == object
    for found in (filled, of_frame.inverse_transform(of_frame.transform(gone))):
        assert {type(entry) for entry in found["flag"]} == {bool}
    assert np.isfinite(of_frame.transform(gone)).all()
    assert np.isfinite(of_frame.score_samples(gone)).all()


def test_categories_that_were_not_seen(of_frame):
    X = frame()[:5]
    strange, unknown = X.assign(name="violet"), X.assign(name=None)
    with pytest.warns(UserWarning, match="'name'.*not seen in fit") as record:
        found = of_frame.transform(strange)
    assert record[0].filename == __file__
    np.testing.assert_array_equal(found, of_frame.transform(unknown))
    with pytest.warns(UserWarning, match="not seen"):
        assert set(of_frame.impute(strange)["name"]) <= {"red", "green", "blue"}


def test_polars(of_frame):
    X = frame().drop(columns=["size", "rank"])
    ours = little().fit(X)
    theirs = pl.DataFrame({name: X[name].to_numpy() for name in X if name != "name"})
    theirs = theirs.insert_column(0, pl.Series("name", X["name"].tolist()))
    vae = little().fit(theirs)
    np.testing.assert_array_equal(vae.transform(theirs), ours.transform(X))
    gone = theirs.with_columns(pl.when(pl.col("visits") > 0).then(pl.col("visits")).alias("visits"))
    for found in (vae.inverse_transform(np.zeros((3, 2))), vae.impute(gone)):
        assert found.columns == theirs.columns
        assert [t.base_type() for t in found.dtypes] == [t.base_type() for t in theirs.dtypes]


def test_arrays_stay_arrays():
    X = numbers()
    vae = little(likelihood={0: "categorical", 7: "categorical"}).fit(10.0 * X)
    decoded = vae.inverse_transform(vae.transform(10.0 * X))
    assert isinstance(decoded, np.ndarray)
    assert decoded.dtype == np.float64
    assert set(decoded[:, 0]) <= {0.0, 10.0, 20.0}
    names = np.array([["a", 1.0], ["b", 2.0], ["a", 5.0], [None, 3.0]] * 5, dtype=object)
    vae = little().fit(names)
    assert set(vae.impute(names)[:, 0]) == {"a", "b"}
    assert vae.impute(names)[:, 1].tolist() == names[:, 1].tolist()
    assert not hasattr(vae, "feature_names_in_")


def test_names_of_rows_are_left_out():
    X = frame()
    X.insert(0, "who", [f"person {k}" for k in range(40)])
    with pytest.warns(UserWarning, match="'who'.*left out"):
        vae = little().fit(X)
    rest = little().fit(X.drop(columns="who"))
    np.testing.assert_array_equal(vae.transform(X), rest.transform(X.drop(columns="who")))
    gone = X.assign(income=X["income"].where(X["flag"]))
    assert vae.impute(gone)["who"].tolist() == X["who"].tolist()
    assert vae.inverse_transform(np.zeros((2, 2)))["who"].isna().all()
    metric = vae.metric_
    found = metric.contributions(metric.geodesic([[0.0, 0.0]], [[1.0, 0.0]]))
    assert found.shape == (1, 8)
    assert found[0, 0] == 0.0 < found[0, 1:].min()
    asked = little(likelihood={"who": "categorical"}).fit(X)
    assert asked.impute(X)["who"].tolist() == X["who"].tolist()


def test_weights_and_order_do_not_matter():
    X = frame(gaps=0.1)
    weights = np.arange(40) % 3
    weighed = little().fit(X, sample_weight=weights)
    repeated = little().fit(X.iloc[np.repeat(np.arange(40)[::-1], weights[::-1])])
    some = X[weights > 0]
    found, expected = weighed.transform(some), repeated.transform(some)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_names_of_rows_without_weight_are_not_learned():
    X, seen = pd.DataFrame({"name": ["a", "b", "z", "a"] * 5}), [1.0, 2.0, 0.0, 1.0] * 5
    columns = Columns("auto").fit(X, np.array(seen))
    assert columns.n_levels == [2]
    found = columns.values(X, quiet=True)[:4, 0]
    np.testing.assert_array_equal(found, [0.0, 1.0, np.nan, 0.0])


def test_a_column_has_a_scale_of_its_own():
    X = numbers()[:, [1, 4, 5]]
    codes = [
        little().fit(X * factor).transform(X * factor) for factor in ([1, 1, 1], [1e-3, 1e4, 10.0])
    ]
    np.testing.assert_allclose(codes[0], codes[1], rtol=1e-3, atol=1e-4)


def test_forecasts_of_tables():
    n = 20
    turn = np.arange(2 * n) % 4
    frame = pd.DataFrame(
        {
            "who": np.array(["cat", "dog", "cow", "hen"])[turn],
            "size": 10.0 * turn + np.random.default_rng(0).normal(size=2 * n),
            "here": turn > 1,
            "note": [f"row {k}" for k in range(2 * n)],
        }
    )
    groups = np.repeat(["b", "a"], n)
    vae = little(prior="dynamics", noise="constant")
    with pytest.warns(UserWarning, match="'note'"):
        vae.fit(frame, groups=groups)
    found = vae.forecast(3)
    assert found.index.names == ["sequence", "step"]
    assert found.index.tolist() == [(k, step) for k in (0, 1) for step in (1, 2, 3)]
    pd.testing.assert_series_equal(found.dtypes, frame.dtypes)
    # Of the second group, whose label comes first.
    pd.testing.assert_frame_equal(found.loc[0], vae.forecast(3, frame[n:]).loc[0])
    assert found["note"].isna().all()
    states = vae._prior.on().ahead(torch.as_tensor(vae._end_states), 3)
    codes = states[..., :2].reshape(6, 2).numpy()
    pd.testing.assert_frame_equal(found.reset_index(drop=True), vae.inverse_transform(codes))
    theirs = pl.DataFrame({name: frame[name].to_list() for name in ("who", "size", "here")})
    array = theirs.to_numpy()
    columns = ["who", "size", "here"]
    for X, kind in ((theirs, pl.DataFrame), (array, np.ndarray)):
        other = clone(vae).set_params(max_iter=2).fit(X, groups=groups).forecast(3)
        assert isinstance(other, kind)
        assert other.shape == ((6, 3) if kind is pl.DataFrame else (2, 3, 3))
        if kind is pl.DataFrame:
            assert other.columns == columns
            assert other.dtypes == theirs.dtypes
        else:
            assert set(other[..., 0].ravel()) <= set(frame["who"])


# Estimators ----------------------------------------------------------------------------------


def test_files_clones_and_searches(of_frame):
    X = frame(gaps=0.1)
    expected = of_frame.transform(X)
    np.testing.assert_array_equal(clone(of_frame).fit(X).transform(X), expected)
    data = skops.io.dumps(of_frame)
    by_skops = skops.io.loads(data, trusted=skops.io.get_untrusted_types(data=data))
    for twin in (pickle.loads(pickle.dumps(of_frame)), by_skops):
        np.testing.assert_array_equal(twin.transform(X), expected)
        pd.testing.assert_frame_equal(twin.impute(X), of_frame.impute(X))
        assert twin.metric_ == of_frame.metric_
    asked = [{"visits": "poisson"}, "auto"]
    search = GridSearchCV(little(max_iter=2, noise="constant"), {"likelihood": asked}, cv=2).fit(X)
    assert search.best_params_["likelihood"] in asked
    pipe = make_pipeline(little(), RiemannianKMeans(2, random_state=0)).fit(X)
    assert set(pipe.predict(X)) == {0, 1}


@pytest.mark.parametrize(
    "parameters",
    [
        {"noise": DecoderEnsemble(2)},
        {"prior": MixturePrior(2), "noise": "constant"},
        {"n_importance_samples": 2},
        {"network": Modules(decoder=lambda n, m: torch.nn.Linear(n, m))},
        {"neighbors": 3},
    ],
    ids=lambda parameters: "-".join(parameters),
)
def test_with_other_parts(parameters):
    X = frame(gaps=0.1)
    vae = little(max_iter=2, **parameters).fit(X)
    assert np.isfinite(vae.metric_.tensor(np.asarray(vae.transform(X)[:3]))).all()
    assert not vae.impute(X).isna().any().any()
    twin = pickle.loads(pickle.dumps(vae)) if "network" not in parameters else vae
    assert twin.metric_ == vae.metric_


def test_parts_and_warm_starts():
    X = frame()
    vae = little(likelihood={"visits": "poisson"}, warm_start=True).fit(X)
    before = vae._decoders[0].parts[0].copy()
    vae.set_params(max_iter=1, learning_rate_init=1e-9).fit(X)
    np.testing.assert_allclose(vae._decoders[0].parts[0], before, atol=1e-6)
    # With other categories the networks are others.
    other = X.assign(name=np.where(X["flag"], X["name"], "violet"))
    vae.fit(other)
    assert set(vae.impute(other)["name"]) == {"red", "violet", "green", "blue"}
    np.testing.assert_array_equal(
        vae.set_params(likelihood="gaussian").partial_fit(other).impute(other)["name"],
        other["name"],
    )
    first, second = X[:30], X[30:]
    parts = little().partial_fit(first).partial_fit(second)
    assert parts.transform(X).shape == (40, 2)


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"likelihood": {"nothing": "poisson"}}, "does not have"),
        ({"likelihood": {"name": "poisson"}}, "different names"),
        ({"likelihood": {"name": "bernoulli"}}, "different names"),
        ({"likelihood": {"income": "gauss"}}, "must be 'auto' or one of"),
        ({"likelihood": {"income": "poisson"}}, "counts"),
        ({"likelihood": 3}, "or a dict"),
        ({"noise": "mlp"}, "noise='rbf'"),
    ],
)
def test_what_is_not_taken(parameters, match):
    with pytest.raises(ValueError, match=match):
        little(**parameters).fit(frame())


def test_other_data_than_tables(of_frame):
    X = frame()
    with pytest.raises(ValueError, match="feature names"):
        of_frame.transform(X.rename(columns={"name": "other"}))
    with pytest.raises(ValueError, match="'income' of X was made of numbers"):
        of_frame.transform(X.assign(income="much"))
    with pytest.raises(ValueError, match="minimum of 1"):
        of_frame.transform(X[:0])
    with pytest.raises(ValueError, match="minimum of 2"):
        little().fit(X[:1])
    with pytest.raises(ValueError, match="2D"):
        little().fit(["a", "b"])
    with pytest.raises(ValueError, match="numbers beyond"):
        little().fit(X.assign(income=np.inf))
    with (
        pytest.warns(UserWarning, match="nearly everywhere"),
        pytest.raises(ValueError, match="all columns are left out"),
    ):
        little().fit(pd.DataFrame({"who": list("abcdef")}))
