"""Some two thousand generated cases of what holds of every estimator, on little fitted ones.

Each law is stated once and drawn cases of it run over all estimators: which rows are asked with
which, in what dtype and layout, from how many threads; what is no data; what is no parameter.
"""

import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from estimators import ESTIMATORS, new, table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted
from suites import work_little

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

BY_ROW = "transform", "predict", "predict_proba", "score_samples"
# Those that solve for geodesics in every answer are asked less.
SLOW = {"clusters of points", "clusters of codes", "density"}
NAMES = [*ESTIMATORS, *[name for name in ESTIMATORS if name not in SLOW] * 2]
POOL = np.concatenate([table(seed=3, n=4), table(seed=4, n=4, factor=3.0)])


def cases(n):
    return settings(
        max_examples=n,
        derandomize=True,
        database=None,
        deadline=60_000,
        suppress_health_check=[HealthCheck.too_slow],
    )


@pytest.fixture(scope="module", autouse=True)
def _little_work():
    with pytest.MonkeyPatch.context() as patch:
        work_little(patch)
        yield


FITTED = {}


def fitted(name):
    """An estimator that all cases share."""
    if name not in FITTED:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            FITTED[name] = new(name).fit(table())
    return FITTED[name]


def methods_of(name):
    return [method for method in BY_ROW if hasattr(fitted(name), method)]


def answers_of_all(name, method, stored={}):  # noqa: B006
    """What it says of every row of the pool, each asked alone."""
    if (name, method) not in stored:
        ask = getattr(fitted(name), method)
        stored[name, method] = np.concatenate([np.asarray(ask(row[None])) for row in POOL])
    return stored[name, method]


# The same row, the same answer -------------------------------------------------------------

LAYOUTS = {
    "rows": np.ascontiguousarray,
    "columns": np.asfortranarray,
    "strided": lambda X: X.repeat(2, axis=0).repeat(3, axis=1)[::2, ::3],
    "list": lambda X: X.tolist(),
    "other bytes": lambda X: X.astype(">f8"),
}
some_rows = st.lists(st.integers(0, len(POOL) - 1), min_size=1, max_size=4)


@cases(350)
@given(
    name=st.sampled_from(NAMES),
    which=st.integers(0, 3),
    rows=some_rows,
    layout=st.sampled_from(sorted(LAYOUTS)),
)
def test_a_row_gets_the_same_with_any_others_in_any_layout(name, which, rows, layout):
    methods = methods_of(name)
    method = methods[which % len(methods)]
    X = LAYOUTS[layout](POOL[rows])
    before = pickle.dumps(X)
    # Where rows are steps of sequences each is one of its own.
    apart = {"groups": np.arange(len(rows))} if name == "sequences" else {}
    found = np.asarray(getattr(fitted(name), method)(X, **apart))
    expected = answers_of_all(name, method)[rows]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    assert pickle.dumps(X) == before


call = st.tuples(st.sampled_from(NAMES), st.integers(0, 3), some_rows)


@cases(120)
@given(calls=st.lists(call, min_size=2, max_size=4))
def test_calls_from_threads_are_answered_as_one_by_one(calls):
    def ask(one):
        name, which, rows = one
        methods = methods_of(name)
        return np.asarray(getattr(fitted(name), methods[which % len(methods)])(POOL[rows]))

    expected = [ask(one) for one in calls]
    with ThreadPoolExecutor(len(calls)) as pool:
        for found, wanted in zip(pool.map(ask, calls), expected):
            np.testing.assert_array_equal(found, wanted)


# What is no data ---------------------------------------------------------------------------

NUMBERS = [np.nan, np.inf, -np.inf, 1e101, -1e160, 1e308]
HOSTILE = {
    "a number": lambda X, x: np.where(np.arange(X.size).reshape(X.shape) == X.size - 1, x, X),
    "all numbers": lambda X, x: np.full_like(X, x),
    "a column": lambda X, x: np.column_stack([X[:, :1], np.full(len(X), x)]),
    "a column more": lambda X, x: np.column_stack([X, X[:, 0]]),
    "a column less": lambda X, x: X[:, :1],
    "no rows": lambda X, x: X[:0],
    "no columns": lambda X, x: X[:, :0],
    "one dimension": lambda X, x: X[0],
    "three dimensions": lambda X, x: X[None],
    "a scalar": lambda X, x: x,
    "words": lambda X, x: X.astype(str).astype(object) + "?",
    "None": lambda X, x: None,
    "complex": lambda X, x: X + 1j,
    "objects": lambda X, x: np.array([[{}, []]] * len(X), dtype=object),
    "of unequal lengths": lambda X, x: [[1.0], [1.0, 2.0]],
    "dates": lambda X, x: X.astype("datetime64[s]"),
}


def refused(ask, *arguments):
    """What it answers, and how it refuses to; one of them is None."""
    try:
        return ask(*arguments), None
    except (ValueError, TypeError) as error:
        return None, error


def state(estimator):
    return {key: id(value) for key, value in vars(estimator).items()}


@cases(700)
@given(
    name=st.sampled_from(NAMES),
    which=st.integers(0, 4),
    rows=st.lists(st.integers(0, len(POOL) - 1), min_size=2, max_size=4, unique=True),
    what=st.sampled_from(sorted(HOSTILE)),
    number=st.sampled_from(NUMBERS),
)
def test_what_is_no_data_is_refused_in_words(name, which, rows, what, number):
    """Or answered with numbers: an autoencoder takes NaN for what is missing."""
    estimator = fitted(name)
    before = state(estimator)
    X = HOSTILE[what](POOL[rows], number)
    method = ["fit", *methods_of(name)][which % (1 + len(methods_of(name)))]
    asked = new(name) if method == "fit" else estimator
    found, error = refused(getattr(asked, method), X)
    assert error is None or len(str(error)) > 20
    if method == "fit" and error:
        with pytest.raises(NotFittedError):
            check_is_fitted(asked)
    if method != "fit" and not error:
        assert np.isfinite(np.asarray(found)).all()
    assert state(estimator) == before


# What is no parameter ----------------------------------------------------------------------

VALUES = [np.nan, np.inf, -1, 0, -0.5, 1e-300, "nonsense", None, (), {}, [np.nan], 3.7]
# Fits of the others take long where a value turns out to be usable.
QUICK = ["autoencoder", "modules", "groups", "units", "neighbors", "clusters"]
QUICK += ["clusters among points", "tree", "tree of points"]


@pytest.mark.parametrize("name", QUICK)
def test_what_is_no_parameter_is_refused_by_name_and_changes_nothing(name):
    old = pickle.dumps(fitted(name))
    for parameter in new(name).get_params(deep=False):
        for value in VALUES:
            check_parameter(pickle.loads(old), new(name), parameter, value)


def check_parameter(estimator, fresh, parameter, value):
    before = state(estimator.set_params(**{parameter: value}))
    _, error = refused(estimator.fit, table(seed=5))
    if error:
        # What is said of random_state is scikit-learn's.
        assert parameter in str(error) or parameter == "random_state"
        assert state(estimator) == before
        with pytest.raises(type(error)):
            fresh.set_params(**{parameter: value}).fit(table(seed=5))
        with pytest.raises(NotFittedError):
            check_is_fitted(fresh)
    else:
        for method in set(BY_ROW) & set(dir(estimator)):
            assert np.isfinite(np.asarray(getattr(estimator, method)(POOL))).all()
