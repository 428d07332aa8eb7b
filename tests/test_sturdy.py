"""What holds of every estimator, whatever happens: failures, interrupts, modes, threads, misuse.

Every invariant is stated once and runs over all estimators. Interrupts come from a profiler that
counts calls, so that each is at the same place in every run.
"""

import copy
import pickle
import sys
import tracemalloc
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from threading import Barrier

import numpy as np
import pytest
import torch
from estimators import ESTIMATORS, METHODS, OTHER, hill, little, look, new, slope, table, wavy
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.utils.validation import check_is_fitted
from soak import soak
from suites import same_bits, thorough

from skriem import (
    Convolutional,
    DecoderEnsemble,
    GeodesicDistance,
    Modules,
    NeighborEncoder,
    Neighbors,
    Perceptron,
    RBFNoise,
    RiemannianKMeans,
    RiemannianNormal,
    VAETransformer,
    geometry,
)
from skriem.geometry import MetricField, PullbackMetric, ambient_metric
from skriem.nn.likelihoods.natural import Categorical, draw_counts
from skriem.support import progress as _progress

# What is fitted here is not fitted to the end.
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.usefixtures("little_work"),
]


def single():
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.Tanh(), torch.nn.Linear(4, 3))


SINGLE = single()

# The others are made of the same parts.
every_estimator = pytest.mark.parametrize(
    "name",
    thorough(
        ESTIMATORS,
        slow=[
            "tree of points",
            "density",
            "clusters of codes",
            "clusters of columns",
            "clusters of points",
            "distances over waves",
        ],
    ),
)


def same(found, expected):
    assert found.keys() == expected.keys()
    for method, answer in found.items():
        same_bits(answer, expected[method], err_msg=method)


def globals_of_torch():
    return (
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.get_rng_state().tolist(),
    )


@pytest.fixture(scope="module")
def fitted():
    """A function that makes fitted copies of an estimator."""
    stored = {}

    def copy_of(name):
        if name not in stored:
            stored[name] = pickle.dumps(new(name).fit(table()))
        return pickle.loads(stored[name])

    return copy_of


# Failures and interrupts -------------------------------------------------------------------

# Python drops an interrupt that comes while a generator is thrown away, and the fit goes on.
may_be_lost = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


class Interrupt:
    """Raises KeyboardInterrupt at the n-th call of a function; never, and counts, if n is None."""

    def __init__(self, n=None):
        self.n, self.count = n, 0

    def __enter__(self):
        sys.setprofile(self)
        return self

    def __exit__(self, *error):
        sys.setprofile(None)

    def __call__(self, frame, event, argument):
        # Not where NumPy's C code calls back, some of which cannot take it.
        package = frame.f_globals.get("__name__", "").partition(".")[0]
        if event != "call" or package not in ("skriem", "sklearn", "torch", "contextlib"):
            return
        self.count += 1
        if self.count == self.n:
            sys.setprofile(None)
            raise KeyboardInterrupt


def interrupted_fit(estimator, X, n):
    """Fit with an interrupt at the n-th call; whether the fit came to an end all the same."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Interrupt(n):
                estimator.fit(X)
        except KeyboardInterrupt:
            return False
    return True


@cache
def complete_fit(name):
    """How many calls a fit makes, and the names of what it leaves."""
    new(name).fit(OTHER)  # what is loaded and kept at first is no part of it
    with Interrupt() as counting:
        complete = new(name).fit(OTHER)
    return counting.count, vars(complete).keys()


def check_interrupted(name, share, fitted):
    """An interrupt at a share of the way leaves the old fit, or a new one that is complete."""
    X, (n_calls, complete) = table(), complete_fit(name)
    n, before = 1 + int(share * (n_calls - 1)), globals_of_torch()
    estimator, fresh = fitted(name), new(name)
    old = dict(vars(estimator))
    if interrupted_fit(estimator, OTHER, n):
        # Training ends at an interrupt, and what comes out is a model.
        assert vars(estimator).keys() == complete
        assert all(np.isfinite(answer).all() for answer in look(estimator, OTHER).values())
    else:
        assert vars(estimator).keys() == old.keys()
        assert all(vars(estimator)[key] is value for key, value in old.items())
        same(look(estimator, X), look(fitted(name), X))
    if not interrupted_fit(fresh, OTHER, n):
        with pytest.raises(NotFittedError):
            check_is_fitted(fresh)
    assert globals_of_torch() == before


@may_be_lost
@pytest.mark.parametrize("share", thorough([0.9, 0.02, 0.5, 0.99], slow=[0.02, 0.5, 0.99]))
@every_estimator
def test_an_interrupted_fit_leaves_the_old_one_or_a_complete_one(name, share, fitted):
    check_interrupted(name, share, fitted)


@pytest.mark.slow
@may_be_lost
@pytest.mark.parametrize("seed", range(12))
@every_estimator
def test_interrupts_anywhere(name, seed, fitted):
    check_interrupted(name, np.random.default_rng(seed).uniform(), fitted)


FAILING = {
    "autoencoder": ({"learning_rate_init": 1e30}, "diverged"),
    "modules": ({"network": Modules(decoder=lambda n, m: torch.nn.Linear(n, m + 1))}, "must turn"),
    "groups": ({"learning_rate_init": 1e30}, "diverged"),
    "columns": ({"likelihood": {1: "poisson"}}, "counts"),
    "sequences": ({"learning_rate_init": 1e30}, "diverged"),
    "units": ({"hidden_layer_sizes": (0,)}, "hidden_layer_sizes"),
    "neighbors": ({"power": 0.5}, "power"),
    "clusters": ({"n_clusters": 99}, "n_samples"),
    "clusters of points": ({"n_clusters": 99}, "n_samples"),
    "clusters of codes": ({"n_clusters": 99}, "n_samples"),
    "clusters of columns": ({"n_clusters": 99}, "n_samples"),
    "clusters among points": ({"n_clusters": 99}, "n_samples"),
    "tree": ({"n_clusters": 99}, "n_samples"),
    "tree of points": ({"min_samples": 99}, "n_samples"),
    "density": ({"n_components": 99}, "n_samples"),
    "distances": ({"method": "shortest"}, "method"),
    "distances over waves": ({"method": "shortest"}, "method"),
}


@every_estimator
def test_a_failed_fit_changes_nothing(name, fitted):
    parameters, message = FAILING[name]
    X, estimator, fresh = table(), fitted(name), new(name)
    old = estimator.get_params(deep=False)
    for each in (estimator, fresh):
        with pytest.raises(ValueError, match=message):
            each.set_params(**parameters).fit(100.0 * X)
    with pytest.raises(NotFittedError):
        check_is_fitted(fresh)
    same(look(estimator, X), look(fitted(name), X))
    same(look(estimator.set_params(**old).fit(X), X), look(fitted(name), X))
    if hasattr(fresh, "partial_fit"):
        same(look(fresh.set_params(**old).partial_fit(X), X), look(clone(fresh).partial_fit(X), X))


# What a random_state draws for scores is asked for in each call, and no part of what is fitted.
AFTERWARDS = {
    "autoencoder": {"n_components": 1, "likelihood": "poisson", "geometry": "fisher_rao"},
    "modules": {"n_components": 3, "network": (8,), "noise": DecoderEnsemble(2)},
    "groups": {"prior": "normal", "n_components": 1},
    "columns": {"likelihood": "gaussian", "geometry": "fisher_rao"},
    "sequences": {"prior": "mixture", "n_components": 1},
    "units": {"hidden_layer_sizes": (3,), "likelihood": "bernoulli", "alpha": 1.0},
    "neighbors": {"n_components": 1, "power": 1.0, "standardize": True},
    "clusters": {"n_clusters": 5, "metric": "local", "init": "random"},
    "clusters of points": {"n_clusters": 1, "metric": "auto"},
    "clusters of codes": {"n_clusters": "auto", "metric": "auto"},
    "clusters of columns": {"n_clusters": 1, "metric": "local"},
    "clusters among points": {"metric": "precomputed", "n_clusters": 5},
    "tree": {"n_clusters": 5, "metric": "local", "min_cluster_size": 1},
    "tree of points": {"n_clusters": None, "distance_threshold": 1.0, "metric": "auto"},
    "density": {"n_components": 3, "covariance_type": "spherical", "metric": "local"},
    "distances": {"method": "exact", "metric": "local"},
    "distances over waves": {"method": "exact", "metric": "local"},
}


@every_estimator
def test_parameters_set_after_the_fit_change_no_answer(name, fitted):
    estimator, X = fitted(name), table(seed=2)
    expected = look(estimator, X)
    same(look(estimator.set_params(**AFTERWARDS[name]), X), expected)
    if hasattr(estimator, "get_feature_names_out"):
        names = estimator.get_feature_names_out()
        assert len(names) == np.shape(expected["transform"])[1]


# Interrupts of many fits -------------------------------------------------------------------


class Interrupting:
    """A bar whose user presses Ctrl-C after the second step."""

    def __init__(self, **options):
        self.left = 2

    def set_postfix_str(self, *arguments, **options):
        pass

    def update(self):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt

    def close(self):
        pass


@pytest.mark.parametrize(
    "search",
    [
        lambda vae: GridSearchCV(vae, {"max_iter": [3, 4]}, cv=2).fit(table()),
        lambda vae: cross_val_score(vae, table(), cv=2),
    ],
)
def test_an_interrupt_stops_a_search(search, monkeypatch):
    monkeypatch.setattr(_progress, "tqdm", Interrupting)
    with pytest.raises(KeyboardInterrupt):
        search(little(verbose=1))


# The same row, the same answer -------------------------------------------------------------

BY_ROW = "transform", "predict", "predict_proba", "score_samples"


@pytest.mark.parametrize("many", thorough([2000, 10], slow=[10]))
@every_estimator
def test_what_a_row_gets_does_not_depend_on_the_others(name, many, monkeypatch):
    if name == "sequences":
        pytest.skip("rows of a sequence depend on each other; test_dynamics_prior.py has that law")
    # Many points in the fit are clustered in another way than few.
    monkeypatch.setattr("skriem.geometry.models.clustering.MANY", many)
    X = np.concatenate([table(seed=1, n=8), table(seed=2, n=8, factor=1.3)])
    estimator = new(name).fit(table())
    together, parts = look(estimator, X), [look(estimator, X[i : i + 4]) for i in range(0, 16, 4)]
    alone = look(estimator, X[3:4])
    for method in set(together) & set(BY_ROW):
        found = np.concatenate([part[method] for part in parts])
        check = np.testing.assert_array_equal if method == "predict" else close
        check(found, together[method])
        check(alone[method], together[method][3:4])


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


# Modes of torch ----------------------------------------------------------------------------


def rounded():
    return torch.autocast("cpu", dtype=torch.bfloat16)


@pytest.mark.parametrize(
    "mode", thorough([torch.inference_mode, rounded, torch.no_grad], slow=[torch.no_grad])
)
@every_estimator
def test_modes_of_torch_do_not_matter(name, mode, fitted):
    X = table()
    expected = look(fitted(name), X)
    with mode():
        inside = new(name).fit(X)
        same(look(inside, X), expected)
        same(look(fitted(name), X), expected)
    same(look(inside, X), expected)


@pytest.mark.parametrize("metric", [PullbackMetric(wavy, 2), MetricField(hill, 2)])
@pytest.mark.parametrize("of", [np.asarray, torch.as_tensor])
def test_derivatives_in_inference_mode(metric, of):
    a, b = table(n=2), table(seed=1, n=2)
    asked = metric.log, metric.distance
    expected = [ask(a, b) for ask in asked] + [metric.scalar_curvature(a)]
    with torch.inference_mode():
        a, b = of(a), of(b)
        found = [ask(a, b) for ask in asked] + [metric.scalar_curvature(a)]
    for one, other in zip(found, expected):
        np.testing.assert_array_equal(np.asarray(one), other)


@pytest.mark.parametrize(
    "metric", [PullbackMetric(slope, 2), PullbackMetric(SINGLE, 2), MetricField(hill, 2)]
)
def test_numbers_of_single_precision_keep_their_digits(metric):
    a, b = (torch.as_tensor(table(seed, n=2)).float() for seed in (0, 1))
    geodesics = metric.geodesic(a, b, 0.1)
    asked = {
        "tensor": (a,),
        "norm": (a, b),
        "log_volume": (a,),
        "scalar_curvature": (a,),
        "distance": (a, b, 0.1),
        "pairwise": (a, b, 0.1),
        "lower_bounds": (a, b),
        "exp": (a, b),
        "log": (a, b, 0.1),
        "transport": (geodesics, b),
        "frechet_mean": (a, None, 0.1),
        "embed": (a,),
    }
    for name, arguments in asked.items():
        if hasattr(metric, name):
            expected = getattr(metric, name)(*arguments)
            with rounded():
                found = getattr(metric, name)(*arguments)
            assert found.dtype == torch.float32
            assert torch.equal(found, expected), name


# Threads -----------------------------------------------------------------------------------


def in_threads(tasks):
    """Results of functions that all begin at the same moment, each in a thread of its own."""
    start = Barrier(len(tasks))

    def run(task):
        start.wait()
        return task()

    with ThreadPoolExecutor(len(tasks)) as pool:
        return list(pool.map(run, tasks))


@every_estimator
def test_threads_agree_with_one_thread(name, fitted):
    shared, before = fitted(name), globals_of_torch()
    tables = [table(0).astype(np.float32), table(1)]
    expected = [look(fitted(name), X) for X in tables]
    tasks = [lambda X=X: look(shared, X) for X in tables] * 2
    for found, wanted in zip(in_threads(tasks), expected * 2):
        same(found, wanted)
    fits = [lambda X=X: look(new(name).fit(X), X) for X in (table(0), table(1))]
    expected = [fit() for fit in fits]
    for found, wanted in zip(in_threads(fits), expected):
        same(found, wanted)
    assert globals_of_torch() == before


@pytest.mark.slow
def test_a_minute_of_random_calls():
    n_calls, wrong = soak(60.0)
    assert n_calls > 100
    assert not wrong


def test_derivatives_of_a_map_in_many_threads():
    z = torch.as_tensor(table(n=200))
    metrics = [PullbackMetric(lambda z, k=k: wavy(k * z), 2) for k in range(1, 5)]
    expected = [metric.tensor(z) for metric in metrics]

    def tensors(metric):
        return [metric.tensor(z) for _ in range(20)]

    for found, wanted in zip(in_threads([lambda m=m: tensors(m) for m in metrics]), expected):
        assert all(torch.equal(one, wanted) for one in found)


# The door for users' maps ------------------------------------------------------------------


def changing(z):
    z *= 2.0
    return wavy(z)


def remembered():
    scale = torch.ones(1, dtype=torch.float64, requires_grad=False)

    def function(z):
        scale.add_(1.0)
        return scale * wavy(z)

    return function


REFUSED_MAPS = {
    "detached": (lambda z: wavy(z.detach()), "no gradient"),
    "without gradients": (torch.no_grad()(wavy), "no gradient"),
    "by NumPy": (lambda z: torch.as_tensor(np.sin(z.detach().numpy())), "no gradient"),
    "by NumPy alone": (lambda z: torch.as_tensor(np.sin(z.numpy())), "compute with torch"),
    "one dimension": (lambda z: z.sum(1), r"tensor \(.*, m\), but returned \(128,\)"),
    "three dimensions": (lambda z: wavy(z)[:, None], r"returned \(128, 1, 3\)"),
    "single precision": (lambda z: wavy(z).float(), "torch.float32"),
    "a mapping": (lambda z: {"mean": wavy(z)}, "returned dict"),
    "a tuple": (lambda z: (wavy(z), z), "returned tuple"),
    "a distribution": (lambda z: torch.distributions.Normal(wavy(z), 1.0), "returned Normal"),
    "a module of single precision": (lambda z: SINGLE(z), "call .double"),
    "rows that depend on others": (lambda z: wavy(z - z.mean(0)), "among others"),
    "rows that change": (remembered(), "random"),
    "of another number of columns": (lambda z: wavy(z) @ torch.eye(2, dtype=z.dtype), "failed on"),
}


@pytest.mark.parametrize("what", REFUSED_MAPS)
def test_maps_that_cannot_be(what):
    function, message = REFUSED_MAPS[what]
    with pytest.raises(ValueError, match=message):
        PullbackMetric(function, 2)


@pytest.mark.parametrize("what", ["detached", "single precision", "rows that depend on others"])
def test_fields_that_cannot_be(what):
    function, message = REFUSED_MAPS[what]
    with pytest.raises(ValueError, match=message):
        MetricField(lambda z: torch.diag_embed(function(z)[:, :2].exp()), 2)


@pytest.mark.parametrize("what", ["detached", "single precision", "one dimension"])
def test_ambient_maps_that_cannot_be(what):
    function, message = REFUSED_MAPS[what]
    with pytest.raises(ValueError, match=message):
        ambient_metric(function, lambda x: 1.0 + x[:, 0].square(), 2)


def test_a_map_that_changes_its_input_does_no_harm():
    a, b = table(n=8), table(seed=1, n=8)
    expected = PullbackMetric(lambda z: wavy(2.0 * z), 2)
    found, points = PullbackMetric(changing, 2), torch.as_tensor(a)
    np.testing.assert_array_equal(found.distance(a, b), expected.distance(a, b))
    found.tensor(points), found.embed(points)
    np.testing.assert_array_equal(points, table(n=8))


@pytest.mark.parametrize(
    "function", [SINGLE, SINGLE.forward, partial(SINGLE), partial(SINGLE.forward)]
)
def test_modules_their_methods_and_what_is_made_of_them_are_all_the_same(function):
    a, b = table(n=4), table(seed=1, n=4)
    expected = PullbackMetric(copy.deepcopy(SINGLE).double(), 2).distance(a, b)
    np.testing.assert_array_equal(PullbackMetric(function, 2).distance(a, b), expected)
    assert next(SINGLE.parameters()).dtype == torch.float32


# Nothing is said in silence ----------------------------------------------------------------


def holey(z):
    return torch.where((z - 0.3).norm(dim=1, keepdim=True) < 0.05, torch.nan, z)


@pytest.mark.filterwarnings("default::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "method", thorough(["exact", "graph", "grid", "landmarks"], slow=["exact", "landmarks"])
)
def test_distances_that_are_not_finite_are_counted(method):
    X = np.concatenate([table(n=12), [[0.3, 0.3]]])
    distance = GeodesicDistance(PullbackMetric(holey, 2), method=method, random_state=0)
    with pytest.warns(ConvergenceWarning, match="NaN|not finite"):
        found = distance.fit(X).transform(X)
    assert not np.isfinite(found[:-1, -1]).any()


PARTS = {RBFNoise: "noise", Neighbors: "neighbors", Perceptron: "network", Convolutional: "network"}
UNUSABLE = (
    [
        (VAETransformer, name, value)
        for name in ("flatness", "tol", "alpha")
        for value in (np.nan, np.inf, -1.0)
    ]
    + [
        (RBFNoise, name, value)
        for name in ("bandwidth", "contrast")
        for value in (np.nan, np.inf, -1.0)
    ]
    + [
        (Neighbors, "attraction", np.nan),
        (Neighbors, "attraction", np.inf),
        (Neighbors, "attraction", -1.0),
        (RBFNoise, "bandwidth", 1e-300),
        (RBFNoise, "contrast", 1e160),
        (VAETransformer, "learning_rate_init", np.nan),
        (VAETransformer, "validation_fraction", np.nan),
        (Perceptron, "hidden_layer_sizes", 64),
        (Convolutional, "image_shape", 8.0),
        (VAETransformer, "device", "nowhere"),
        (VAETransformer, "device", "cuda:99"),
        (NeighborEncoder, "power", np.nan),
        (NeighborEncoder, "image_shape", (2, 2)),
        (NeighborEncoder, "image_shape", 2),
        (RiemannianKMeans, "tol", np.nan),
        (RiemannianKMeans, "init", {}),
        (RiemannianKMeans, "n_jobs", 0),
        (GeodesicDistance, "n_jobs", 0),
        (RiemannianNormal, "tol", np.nan),
        (RiemannianNormal, "reg_covar", np.nan),
    ]
)


@pytest.mark.parametrize(("kind", "name", "value"), UNUSABLE)
def test_parameters_that_cannot_be_used(kind, name, value):
    estimator = kind(**{name: value})
    if kind in PARTS:
        estimator = VAETransformer(**{PARTS[kind]: estimator})
    with pytest.raises(ValueError, match=name):
        estimator.fit(table())


@pytest.mark.parametrize("method", ["graph", "grid", "landmarks"])
def test_approximate_distances_need_some_that_are_not_zero(method):
    distance = GeodesicDistance(PullbackMetric(slope, 2), method=method)
    with pytest.raises(ValueError, match="method='exact'"):
        distance.fit(np.ones((4, 2)))
    assert not distance.set_params(method="exact").fit_transform(np.ones((4, 2))).any()


@pytest.mark.parametrize("name", ESTIMATORS)
def test_numbers_whose_squares_overflow_are_refused(name, fitted):
    method = "predict" if hasattr(fitted(name), "predict") else "transform"
    for ask in (new(name).fit, getattr(fitted(name), method)):
        with pytest.raises(ValueError, match="larger unit"):
            ask(1e160 * table())


def test_weights_whose_sums_overflow_are_refused():
    with pytest.raises(ValueError, match="sample_weight"):
        RiemannianKMeans(2).fit(table(), sample_weight=np.full(16, 1e300))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_tensors_of_half_precision_are_refused(dtype):
    points = torch.as_tensor(table()).to(dtype)
    with pytest.raises(TypeError, match="float32 or float64"):
        PullbackMetric(wavy, 2).distance(points, points)


def test_points_whose_squares_overflow_are_refused():
    metric, far = PullbackMetric(wavy, 2), 1e160 * table(n=4)
    for ask in (metric.tensor, metric.frechet_mean, metric.scalar_curvature, metric.pairwise):
        with pytest.raises(ValueError, match="larger unit"):
            ask(far)
    for ask in (metric.distance, metric.log, metric.exp, metric.geodesic):
        with pytest.raises(ValueError, match="larger unit"):
            ask(far, table(n=4))
    with pytest.raises(ValueError, match="larger unit"):
        metric.distance(torch.full((2, 2), 1e18), torch.zeros(2, 2))
    with pytest.raises(ValueError, match="larger unit"):
        PullbackMetric(wavy, 2, points=far)


@pytest.mark.parametrize("factor", thorough([1e3, 1e9], slow=[1e3]))
def test_means_of_points_far_apart_on_a_periodic_map_are_given_up(factor):
    metric = PullbackMetric(lambda z: torch.cat([z.sin(), z.cos()], dim=1), 2)
    with pytest.warns(geometry.ConvergenceWarning, match="did not converge"):
        mean = metric.frechet_mean(factor * table(n=5))
    assert np.isfinite(mean).all()


# Size --------------------------------------------------------------------------------------


@pytest.mark.parametrize("likelihood", ["poisson", "negative_binomial"])
def test_counts_as_large_as_numbers_go(likelihood):
    counts = np.rint(1e15 * (1.0 + table() ** 2))
    vae = little(likelihood=likelihood).fit(counts)
    drawn = vae.sample(50, random_state=0)
    assert np.isfinite(drawn).all()
    np.testing.assert_array_equal(drawn, np.rint(drawn))
    with pytest.raises(ValueError, match="larger unit"):
        vae.fit(100.0 * counts)


def test_means_that_numpy_does_not_take_have_counts_of_their_mean_and_variance():
    mean = np.full(20_000, 1e20)
    counts = draw_counts(mean, np.random.default_rng(0))
    assert counts.mean() == pytest.approx(1e20, abs=5.0 * 1e10 / np.sqrt(len(mean)))
    assert counts.std() == pytest.approx(1e10, rel=0.03)


def test_large_codes_of_categories_take_little_memory():
    codes = np.zeros((20, 1))
    codes[-1] = 200_000
    likelihood = Categorical().fit(codes)
    tracemalloc.start()
    found = likelihood.inputs(codes)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * found.nbytes
    np.testing.assert_array_equal(found.argmax(1), codes[:, 0])


def test_draws_in_blocks_are_those_at_once(fitted, monkeypatch):
    vae = fitted("autoencoder")
    expected = vae.score_samples(table())
    monkeypatch.setattr("skriem.nn.importance.BUDGET", 1)
    np.testing.assert_allclose(vae.score_samples(table()), expected)


@every_estimator
def test_dask_arrays_with_unknown_or_empty_blocks(name, fitted):
    array = pytest.importorskip("dask.array", reason="Dask is not installed")
    X, estimator = table(), fitted(name)
    blocks = array.from_array(X, chunks=(4, 1))
    unknown = array.from_array(X, chunks=(4, 2))
    unknown = unknown[unknown[:, 0] > -np.inf]
    empty = array.concatenate([blocks[:0], blocks, blocks[:0]])
    for method in {*BY_ROW} & {*METHODS} & {*dir(estimator)}:
        expected = np.asarray(getattr(estimator, method)(X))
        for each in (blocks, unknown, empty):
            found = getattr(estimator, method)(each).compute(scheduler="threads")
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


# Beside others -----------------------------------------------------------------------------


def test_a_fitted_distance_survives_the_clones_of_its_consumer():
    X, y = table(), np.arange(16) % 2
    distance = GeodesicDistance(PullbackMetric(slope, 2)).fit(X)
    nearest = KNeighborsClassifier(1, metric=distance.__call__, algorithm="brute")
    assert cross_val_score(nearest, X, y, cv=2).mean() > 0.5
    with pytest.raises(NotFittedError, match="pass metric=distance.__call__"):
        clone(distance)(X[0], X[1])


def test_writing_to_what_comes_out_changes_nothing_that_went_in():
    X = table()
    for container in ("default", "pandas"):
        frame = NeighborEncoder().set_output(transform=container).fit_transform(X)
        frame[:] = 7.0
        np.testing.assert_array_equal(X, table())
