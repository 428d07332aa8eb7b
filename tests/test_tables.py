"""Data frames with categories, dates and gaps in the drop-in."""

import pickle
import warnings
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
import skops.io
from sklearn.cluster import KMeans
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import load_iris
from sklearn.impute import SimpleImputer
from sklearn.metrics import adjusted_rand_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skriem import RiemannianKMeans, VAETransformer
from skriem.estimators import table_rows
from skriem.estimators.table_rows import MAX_LEVELS, TableRows, mixed_table
from skriem.inspection import ContributionDisplay


def table(seed, n=400, k=4, apart=2.0, purity=0.7, gaps=0.0):
    """Numbers in units far from each other and categories, some of which say nothing."""
    rng = np.random.default_rng(seed)
    y = rng.choice(k, size=n, p=rng.dirichlet(np.full(k, 8.0)))
    columns = {}
    for j in range(6):
        centers = apart * rng.normal(size=k) if j < 4 else np.zeros(k)
        columns[f"number {j}"] = (centers[y] + rng.normal(size=n)) * 10.0 ** rng.uniform(-2, 3)
    for j in range(6):
        n_levels = rng.integers(2, 6)
        usual = rng.integers(0, n_levels, size=k)
        random = rng.integers(0, n_levels, size=n)
        level = np.where((rng.random(n) < purity) & (j < 4), usual[y], random)
        columns[f"name {j}"] = np.array(list("abcdef"))[level]
    X = pd.DataFrame(columns)
    return (X.mask(rng.random(X.shape) < gaps) if gaps else X), y


def by_hand(X, k):
    """What one does without: one-hot columns beside scaled ones."""
    of_numbers = make_pipeline(SimpleImputer(), StandardScaler())
    of_names = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder())
    columns = make_column_transformer(
        (of_numbers, make_column_selector(dtype_include=np.number)),
        (of_names, make_column_selector(dtype_exclude=np.number)),
        sparse_threshold=0.0,
    )
    return KMeans(k, n_init=10, random_state=0).fit_predict(columns.fit_transform(X))


def test_clusters_are_at_least_those_of_columns_prepared_by_hand():
    ours, theirs = [], []
    for seed, options in enumerate(
        [{}, {"apart": 1.0, "purity": 0.85}, {"apart": 0.3, "purity": 0.9}, {"gaps": 0.2}] * 2
    ):
        X, y = table(seed, **options)
        kmeans = RiemannianKMeans(4, random_state=0).fit(X)
        ours.append(adjusted_rand_score(y, kmeans.labels_))
        theirs.append(adjusted_rand_score(y, by_hand(X, 4)))
    assert np.mean(ours) > np.mean(theirs)
    assert np.mean(ours) > 0.85


@pytest.fixture(scope="module")
def clustered():
    X, _ = table(0, gaps=0.1)
    return RiemannianKMeans(4, random_state=0).fit(X), X


def test_the_same_table_in_other_words(clustered):
    kmeans, X = clustered
    categories = X.astype({c: "category" for c in X if c.startswith("name")})
    strings = X.astype({c: "string" for c in X if c.startswith("name")})
    known = X.astype(object).where(X.notna(), None)
    for other in (categories, strings, pl.DataFrame({c: known[c].tolist() for c in X})):
        again = RiemannianKMeans(4, random_state=0).fit(other)
        np.testing.assert_array_equal(again.labels_, kmeans.labels_)
    renamed = X.replace({"name 0": {"a": "z", "b": "y"}})
    labels = RiemannianKMeans(4, random_state=0).fit(renamed).labels_
    assert adjusted_rand_score(labels, kmeans.labels_) > 0.99
    in_other_units = X.assign(**{"number 1": 1e3 * X["number 1"] - 7.0})
    labels = RiemannianKMeans(4, random_state=0).fit(in_other_units).labels_
    assert adjusted_rand_score(labels, kmeans.labels_) > 0.99


def test_new_rows(clustered):
    kmeans, X = clustered
    np.testing.assert_array_equal(kmeans.predict(X), kmeans.labels_)
    np.testing.assert_array_equal(kmeans.predict(X.iloc[3:4]), kmeans.labels_[3:4])
    expected = kmeans.transform(X.iloc[:9])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(kmeans)).transform(X[:9]), expected)
    file = skops.io.dumps(kmeans)
    stored = skops.io.loads(file, trusted=skops.io.get_untrusted_types(data=file))
    np.testing.assert_array_equal(stored.transform(X[:9]), expected)
    assert kmeans.predict_proba(X).shape == (400, 4)
    # A category that was not there before says nothing.
    strange = X.iloc[:50].assign(**{"name 0": "never seen"})
    unknown = X.iloc[:50].assign(**{"name 0": None})
    np.testing.assert_array_equal(kmeans.transform(strange), kmeans.transform(unknown))
    assert kmeans.feature_names_in_.tolist() == X.columns.tolist()
    with pytest.raises(ValueError, match="feature names"):
        kmeans.predict(X.rename(columns={"name 0": "other"}))
    with pytest.raises(ValueError, match="Column 'number 0' of X was made of numbers in fit"):
        kmeans.predict(X.assign(**{"number 0": "many"}))


def test_features_of_a_table_are_its_columns(clustered):
    kmeans, X = clustered
    found = kmeans.explain(X[:20], label=1)
    assert found.shape == (20, X.shape[1])
    np.testing.assert_allclose(found.sum(1), kmeans.transform(X[:20])[:, 1], rtol=1e-9, atol=1e-12)
    # What is drawn at random tells no clusters apart.
    mean = kmeans.explain(X, label=0)[kmeans.labels_ == 1].mean(0)
    assert max(mean[[4, 5, 10, 11]]) < max(mean)
    names = ContributionDisplay.from_estimator(kmeans, X).feature_names
    assert list(names) == X.columns.tolist()


def test_every_column_counts_alike():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "number": rng.normal(5.0, 200.0, size=4000),
            "three": rng.choice(list("abc"), size=4000, p=[0.6, 0.3, 0.1]),
            "flag": rng.random(4000) < 0.2,
            "day": np.datetime64("2020-01-01") + rng.integers(0, 365, 4000).astype("m8[D]"),
            "same": "always",
            "identity": [f"customer {k}" for k in range(4000)],
        }
    )
    with pytest.warns(UserWarning, match="identity.* left out") as record:
        rows = TableRows().fit(X)
    assert record[0].filename == __file__
    X = X.drop(columns="identity").assign(more="constant")
    rows = TableRows().fit(X)
    variance = rows.feature_squares(rows.transform(X)).mean(0)
    # Neither what is the same everywhere nor names of rows.
    np.testing.assert_allclose(variance, [1.0, 1.0, 1.0, 1.0, 0.0, 0.0], rtol=1e-9)
    weights = np.arange(4000) % 3
    weighed = TableRows().fit(X, weights).transform(X[:5])
    repeated = TableRows().fit(X.iloc[np.repeat(np.arange(4000), weights)]).transform(X[:5])
    np.testing.assert_allclose(weighed, repeated, rtol=1e-9)


def test_gaps_are_filled_from_rows_that_are_alike():
    rng = np.random.default_rng(0)
    group = np.repeat([0, 1], 50)
    X = pd.DataFrame({"a": 10.0 * group + rng.normal(size=100), "b": np.array(["x", "y"])[group]})
    X["c"] = 5.0 * group + 0.1 * rng.normal(size=100)
    whole = TableRows().fit(X).transform(X)
    X.loc[[3, 70], "c"], X.loc[[4, 71], "b"] = np.nan, None
    filled = TableRows().fit(X).transform(X)
    np.testing.assert_allclose(filled, whole, atol=0.5)
    assert np.isfinite(filled).all()


def with_gaps(seed, n=120):
    """Two groups; of many rows a name is all that is known, so that they are equally like many."""
    rng = np.random.default_rng(seed)
    group = rng.integers(0, 2, size=n)
    X = pd.DataFrame({"x": rng.normal(size=n) + 2 * group, "y": rng.normal(size=n) + 2 * group})
    X["name"] = np.where(rng.random(n) < 0.8, np.array(["a", "b"])[group], "c")
    X.loc[rng.random(n) < 0.3, ["x", "y"]] = np.nan
    return X


@pytest.mark.parametrize("seed", range(4))
def test_the_order_of_rows_does_not_matter(seed):
    X, order = with_gaps(seed), np.random.default_rng(9).permutation(120)
    whole = TableRows().fit(X).transform(X)
    turned = TableRows().fit(X.iloc[order]).transform(X.iloc[order])
    np.testing.assert_allclose(turned, whole[order], rtol=1e-9, atol=1e-12)
    rows = TableRows().fit(X)
    for k in (0, 7, 50):
        np.testing.assert_array_equal(rows.transform(X.iloc[k : k + 1]), whole[k : k + 1])
    weights = np.arange(120) % 3
    weighed = TableRows().fit(X, weights).transform(X)
    repeated = TableRows().fit(X.iloc[np.repeat(np.arange(120), weights)]).transform(X)
    np.testing.assert_allclose(weighed, repeated, rtol=1e-9, atol=1e-12)


def test_units_are_those_of_what_is_known():
    X = pd.DataFrame({"x": [1.0, np.nan, 4.0, np.nan, 7.0, 0.0], "y": np.arange(6.0)})
    found, known = TableRows().fit(X).transform(X), X["x"].notna()
    expected = (X - X.mean()) / X.std(ddof=0)
    np.testing.assert_allclose(found[known], expected[known])


def test_columns_known_in_other_rows_than_others_stay(monkeypatch):
    monkeypatch.setattr(table_rows, "MAX_SEEN", 50)
    rng = np.random.default_rng(0)
    group = rng.integers(0, 2, size=400)
    X = pd.DataFrame({"name": np.array(["a", "b"])[group], "y": 8.0 * group + rng.normal(size=400)})
    X.loc[::2, "y"] = np.nan
    kmeans = RiemannianKMeans(2, random_state=0).fit(X)
    assert kmeans.explain(X[:3]).shape == (3, 2)
    assert adjusted_rand_score(group, kmeans.labels_) > 0.9


def test_one_column_in_many_spellings():
    rng = np.random.default_rng(0)
    day = np.datetime64("2020-01-01") + (rng.integers(0, 9, 60) + 100 * (np.arange(60) % 2))
    plain = pd.Series(day.astype("datetime64[s]"))
    spellings = [
        plain,
        plain.dt.tz_localize("UTC"),
        plain.dt.date,
        plain.dt.to_period("D"),
        plain - plain.min(),
    ]
    n = rng.normal(size=60)
    expected = TableRows().fit(pd.DataFrame({"n": n, "day": plain}))
    for column in spellings:
        X = pd.DataFrame({"n": n, "day": column})
        assert mixed_table(X) is not None
        np.testing.assert_allclose(
            TableRows().fit(X).transform(X),
            expected.transform(pd.DataFrame({"n": n, "day": plain})),
            atol=1e-6,
        )
        assert RiemannianKMeans(2, random_state=0).fit(X).n_clusters_ == 2
    # One after another, too: they have one unit.
    for column in spellings[:4]:
        X = pd.DataFrame({"n": n, "day": column})
        np.testing.assert_allclose(
            expected.transform(X), TableRows().fit(X).transform(X), atol=1e-6
        )
    numbers = [pd.Series(n), pd.Series([Decimal(str(x)) for x in n]), pd.Series(n, dtype=object)]
    for column in numbers:
        X = pd.DataFrame({"n": column, "name": ["a", "b"] * 30})
        assert TableRows().fit(X)._kinds == ["number", "name"]
    X = pd.DataFrame({"level": pd.Categorical([0, 1, 2] * 20), "n": n})
    assert TableRows().fit(X)._kinds == ["name", "number"]


def test_what_worked_in_a_batch_works_alone():
    X = pd.DataFrame({"x": [1.0, 2.0, None] * 10, "c": ["a", None, "b"] * 10}, dtype=object)
    X["day"] = [np.datetime64("2020-01-01"), np.datetime64("NaT"), np.datetime64("2021-01-01")] * 10
    kmeans = RiemannianKMeans(2, random_state=0).fit(X)
    together = kmeans.transform(X)
    for k in range(3):
        np.testing.assert_array_equal(kmeans.transform(X[k : k + 1]), together[k : k + 1])
    with pytest.raises(ValueError, match="'day' of X was made of dates"):
        kmeans.predict(X.assign(day=1.0))
    for other in (X.to_numpy(), X.to_numpy().tolist()):
        with pytest.raises(TypeError, match="pass a data frame"), warnings.catch_warnings():
            kmeans.predict(other)


def test_many_levels_share_an_indicator():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"x": 5.0 * (np.arange(600) % 3) + 0.5 * rng.normal(size=600)})
    X["code"] = [f"code {k}" for k in rng.zipf(1.3, size=600) % 250]
    rows = TableRows().fit(X)
    assert rows.transform(X).shape == (600, 1 + MAX_LEVELS + 1)
    labels = RiemannianKMeans(3, random_state=0).fit_predict(X)
    assert adjusted_rand_score(np.arange(600) % 3, labels) > 0.5
    long = X[:50].assign(code="word")
    long.loc[0, "code"] = "x" * 10**6
    assert TableRows().fit(long).transform(long).shape == (50, 3)


def test_cells_of_any_kind():
    X = pd.DataFrame({"x": np.arange(20.0), "cell": [[1, 2], [3]] * 10})
    assert TableRows().fit(X)._kinds == ["number", "name"]
    with pytest.raises(ValueError, match="larger unit"):
        TableRows().fit(X.assign(cell=[10**400] * 20))
    doubled = pd.concat([X, X], axis=1)
    with pytest.raises(ValueError, match="must be different"):
        RiemannianKMeans(2).fit(doubled)


def test_frames_of_numbers_without_gaps_are_arrays():
    iris = load_iris(as_frame=True).data
    assert mixed_table(iris) is None
    assert mixed_table(iris.assign(flag=True)) is None
    assert mixed_table(iris.to_numpy()) is None
    assert mixed_table(iris.mask(iris > 7.0)) is not None
    assert mixed_table(iris.assign(name="a")) is not None
    frame, array = (RiemannianKMeans(3, random_state=0).fit(X) for X in (iris, iris.to_numpy()))
    np.testing.assert_array_equal(frame.labels_, array.labels_)


def test_gaps_that_were_not_there_in_fit():
    iris = load_iris(as_frame=True).data
    kmeans = RiemannianKMeans(3, random_state=0).fit(iris)
    for other in (iris.mask(iris > 7.0), iris.assign(**{iris.columns[0]: "long"})):
        with pytest.raises(ValueError, match="Fit to rows of which some have them"):
            kmeans.predict(other)
    with pytest.raises(ValueError, match="feature names") as caught:
        kmeans.predict(iris.rename(columns={iris.columns[0]: "other"}))
    assert "Fit to rows" not in str(caught.value)


def test_tables_that_say_nothing_and_what_is_not_taken():
    names = pd.DataFrame({"who": [f"person {k}" for k in range(20)], "same": 1.0})
    with pytest.raises(ValueError, match="Nothing in X tells groups apart"):
        RiemannianKMeans(2).fit(names)
    with pytest.raises(ValueError, match="minimum of 2"):
        RiemannianKMeans(1).fit(pd.DataFrame({"a": ["x"]}))
    X, _ = table(0)
    with pytest.raises(ValueError, match="init must be a name"):
        RiemannianKMeans(4, init=np.zeros((4, 12))).fit(X)
    with pytest.raises(ValueError, match="beyond"):
        RiemannianKMeans(4).fit(X.assign(**{"number 0": 1e200}))
    with pytest.raises(ValueError, match="could not convert"):
        RiemannianKMeans(4, metric=VAETransformer(max_iter=1)).fit(X)
