"""Fitted estimators written to files and read back."""

import io
import pickle
import subprocess
import sys
import zipfile

import cloudpickle
import joblib
import numpy as np
import pytest
import skops.io
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Binarizer
from suites import thorough

from skriem import (
    DeepRegressionClassifier,
    DeepRegressionTransformer,
    DynamicsPrior,
    GeodesicDistance,
    MixturePrior,
    NeighborEncoder,
    RBFNoise,
    RiemannianKMeans,
    RiemannianNormal,
    VAETransformer,
)
from skriem.geometry import NearestNeighborMetric

# What is fitted for a test of files is not fitted to the end.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def vae(**parameters):
    return VAETransformer(
        random_state=0,
        **{"max_iter": 5, "noise": RBFNoise(bandwidth=3.0, contrast=5), **parameters},
    )


ESTIMATORS = {
    "VAETransformer": vae(),
    "VAETransformer, variance network": vae(noise="mlp"),
    "VAETransformer, mixture": vae(noise="constant", prior=MixturePrior(2)),
    "VAETransformer, dynamics": vae(noise="constant", prior=DynamicsPrior()),
    "NeighborEncoder": NeighborEncoder(random_state=0),
    "NeighborEncoder, images": NeighborEncoder(image_shape=(8, 8), random_state=0),
    "DeepRegressionTransformer": DeepRegressionTransformer((6, 2), max_iter=2, random_state=0),
    "DeepRegressionTransformer, binary": make_pipeline(
        Binarizer(threshold=7.0),
        DeepRegressionTransformer((6, 2), likelihood="bernoulli", max_iter=2, random_state=0),
    ),
    "DeepRegressionClassifier": DeepRegressionClassifier((6,), max_iter=2, random_state=0),
    "RiemannianKMeans": RiemannianKMeans(3, metric=vae(noise="constant"), random_state=0),
    "RiemannianKMeans, drop-in": RiemannianKMeans(
        3, metric=NeighborEncoder(power=1), random_state=0
    ),
    "pipeline of k-means": make_pipeline(vae(), RiemannianKMeans(3, random_state=0)),
    "RiemannianNormal": RiemannianNormal(
        2, metric=vae(noise="constant"), random_state=0, max_iter=2
    ),
    "GeodesicDistance": GeodesicDistance(metric=vae(noise="constant"), random_state=0),
    "pipeline of distances": make_pipeline(vae(), GeodesicDistance(random_state=0, method="grid")),
}


# The others are made of the same parts.
LONG = ("RiemannianNormal", "pipeline of k-means", "pipeline of distances")
every_estimator = pytest.mark.parametrize("name", thorough(ESTIMATORS, slow=LONG))


def by_pickle(estimator):
    return pickle.loads(pickle.dumps(estimator))


def by_cloudpickle(estimator):
    return cloudpickle.loads(cloudpickle.dumps(estimator))


def by_joblib(estimator):
    file = io.BytesIO()
    joblib.dump(estimator, file)
    file.seek(0)
    return joblib.load(file)


def by_skops(estimator):
    data = skops.io.dumps(estimator)
    return skops.io.loads(data, trusted=skops.io.get_untrusted_types(data=data))


# The last two pickle as well.
every_way = pytest.mark.parametrize(
    "way",
    thorough([by_pickle, by_skops, by_cloudpickle, by_joblib], slow=[by_cloudpickle, by_joblib]),
)


@pytest.fixture(scope="module")
def fitted(digits):
    """Estimators by name, each fitted when it is first asked for."""
    made = {}

    def fit(name):
        if name not in made:
            made[name] = ESTIMATORS[name].fit(digits[0][:60], digits[1][:60])
        return made[name]

    return fit


def answers(estimator, X):
    """Everything that a fitted estimator says of data."""
    found = []
    for name in ("transform", "predict", "predict_proba", "score_samples"):
        if hasattr(estimator, name):
            found.append(np.asarray(getattr(estimator, name)(X)))
    return found


@every_way
@every_estimator
def test_what_comes_back_answers_the_same(name, way, fitted, digits):
    estimator, X = fitted(name), digits[0][100:106]
    twin = way(estimator)
    expected = answers(estimator, X)
    assert expected
    for ours, theirs in zip(expected, answers(twin, X)):
        np.testing.assert_array_equal(ours, theirs)


@every_estimator
def test_skops_has_only_our_types_to_trust(name, fitted):
    data = skops.io.dumps(fitted(name))
    assert all(kind.startswith("skriem.") for kind in skops.io.get_untrusted_types(data=data))


def arrays_of(data):
    """Names and values of the arrays in a file of skops that are not empty."""
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        names = [name for name in file.namelist() if name.endswith(".npy")]
        arrays = {name: np.load(io.BytesIO(file.read(name))) for name in names}
    return {name: array for name, array in arrays.items() if array.size}


def with_array(data, name, array):
    """A file of skops with another array in the place of one."""
    changed, array_file = io.BytesIO(), io.BytesIO()
    np.save(array_file, array)
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(changed, "w") as new:
        for part in old.namelist():
            new.writestr(part, array_file.getvalue() if part == name else old.read(part))
    return changed.getvalue()


DAMAGE = {
    "a number that is none": lambda array: np.where(array == array.flat[0], np.nan, array),
    "infinity": lambda array: np.full(array.shape, np.inf),
    "a row less": lambda array: array[:-1],
    "a dimension more": lambda array: array[None],
}


QUICK = ["NeighborEncoder", "DeepRegressionTransformer"]


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", thorough(ESTIMATORS, slow=ESTIMATORS.keys() - QUICK))
def test_a_file_whose_arrays_were_changed_is_refused(name, damage, fitted):
    data = skops.io.dumps(fitted(name))
    trusted = skops.io.get_untrusted_types(data=data)
    for place, array in arrays_of(data).items():
        changed = DAMAGE[damage](np.atleast_1d(array))
        if changed.dtype == array.dtype:
            with pytest.raises(ValueError, match="damaged or was changed|must be"):
                skops.io.loads(with_array(data, place, changed), trusted=trusted)


def test_an_estimator_that_was_changed_before_it_was_written_is_refused(fitted):
    twin = by_pickle(fitted("RiemannianKMeans, drop-in"))
    twin.cluster_centers_ = twin.cluster_centers_[:, 1:]
    with pytest.raises(ValueError, match=r"cluster_centers_ .* has shape \(3, 63\)"):
        by_pickle(twin)


@every_estimator
def test_nothing_of_torch_is_in_the_file(name, fitted, digits):
    # Tensors remember the device that they were made on.
    estimator = fitted(name)
    answers(estimator, digits[0][:5])
    assert b"torch" not in pickle.dumps(estimator)


@every_way
def test_steps_share_one_metric_afterwards(way, fitted):
    pipe = way(fitted("pipeline of k-means"))
    assert pipe[0].metric_ is pipe[1].metric_
    assert pipe[0].metric_ == fitted("pipeline of k-means")[0].metric_


@pytest.mark.parametrize("way", [by_pickle, by_skops])
def test_a_nearest_neighbour_metric_is_its_points(way, digits):
    metric = NearestNeighborMetric(digits[0][:200, 10:14], scale=2.0, power=3.0)
    Z = digits[0][200:210, 10:14]
    expected = metric.pairwise(Z)
    assert len(pickle.dumps(metric)) < metric.points.nbytes + 1000
    twin = way(metric)
    assert twin == metric
    np.testing.assert_array_equal(twin.pairwise(Z), expected)


def test_a_file_is_little_larger_than_what_was_learned(fitted, digits):
    encoder = fitted("VAETransformer")
    learned = [encoder.metric_.points]
    for network in (encoder._encoder, *encoder._decoders):
        learned += network.parts
    embed = encoder.metric_._space.embed
    learned += [*embed._noise.parts, embed._common]
    expected = sum(part.nbytes for part in learned)
    distance = fitted("pipeline of distances")
    answers(distance, digits[0][:5])
    for estimator in (encoder, distance):
        assert len(pickle.dumps(estimator)) < 1.3 * expected


def test_a_model_for_another_device_can_be_used_here(fitted, digits):
    # As if it had been trained there: the parameter is the only trace that training leaves.
    estimator = by_pickle(fitted("VAETransformer")).set_params(device="cuda")
    twin = by_pickle(estimator)
    np.testing.assert_array_equal(
        twin.transform(digits[0]), fitted("VAETransformer").transform(digits[0])
    )


@pytest.mark.slow
def test_a_file_is_read_in_a_process_that_has_imported_nothing(fitted, digits, tmp_path):
    pipe = fitted("pipeline of k-means")
    joblib.dump((pipe, digits[0][:20]), tmp_path / "pipe.joblib")
    code = (
        "import sys, joblib; pipe, X = joblib.load(sys.argv[1]); print(*pipe.predict(X).tolist())"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "pipe.joblib")],
        check=True,
        capture_output=True,
        text=True,
    )
    assert run.stdout.split() == [str(label) for label in pipe.predict(digits[0][:20])]
