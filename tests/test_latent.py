"""The array that carries its metric: what keeps it, and what drops it."""

import copy
import pickle

import joblib
import numpy as np
import pandas as pd
import pytest

from skriem.geometry import PullbackMetric
from skriem.support.latent import LatentArray, find_metric


@pytest.fixture
def Z(digits_vae):
    return digits_vae[1]


def test_codes_are_arrays_that_know_their_metric(digits_vae):
    vae, Z = digits_vae
    assert isinstance(Z, np.ndarray)
    assert find_metric(Z) is vae.metric_


@pytest.mark.parametrize(
    "select",
    [
        lambda Z: Z[:10],
        lambda Z: Z[::2],
        lambda Z: Z[[3, 1, 2]],
        lambda Z: Z[np.arange(len(Z)) % 2 == 0],
        lambda Z: Z[np.arange(5), ...],
        lambda Z: Z[2:5, :],
        lambda Z: Z.copy(),
        lambda Z: Z.astype(np.float32),
        copy.copy,
        copy.deepcopy,
        lambda Z: pickle.loads(pickle.dumps(Z)),
    ],
)
def test_whole_rows_keep_the_metric(Z, select):
    selected = select(Z)
    assert find_metric(selected) == find_metric(Z)
    assert selected.ndim == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda Z: Z * 2,
        lambda Z: Z + Z,
        np.exp,
        lambda Z: Z[:, :1],
        lambda Z: Z[:, [1, 0]],
        lambda Z: Z[:, ::-1],
        lambda Z: Z[0],
        lambda Z: Z[None],
        lambda Z: Z.T,
        lambda Z: Z.reshape(-1),
        lambda Z: np.concatenate([Z, Z]),
        lambda Z: np.asarray(Z),
        lambda Z: Z.mean(axis=0),
    ],
)
def test_everything_else_drops_it(Z, change):
    assert find_metric(change(Z)) is None


def test_reductions_are_plain(Z):
    assert type(Z.mean()) is np.float64
    assert type(np.mean(Z, axis=0)) is np.ndarray
    assert type(Z * 2) is np.ndarray
    out = np.empty_like(np.asarray(Z))
    assert np.multiply(Z, 2, out=out) is out


def test_joblib_round_trip(Z, tmp_path):
    joblib.dump(Z, tmp_path / "codes")
    loaded = joblib.load(tmp_path / "codes")
    np.testing.assert_array_equal(loaded, Z)
    assert find_metric(loaded) == find_metric(Z)


def test_equal_codes_under_different_metrics_hash_differently():
    codes = np.eye(3)
    metric, other = (PullbackMetric(lambda z: z, 3) for _ in range(2))
    assert joblib.hash(LatentArray(codes, metric)) == joblib.hash(LatentArray(codes, metric))
    assert joblib.hash(LatentArray(codes, metric)) != joblib.hash(LatentArray(codes, other))


def test_data_frames_carry_it_in_attrs(digits, digits_vae):
    vae = copy.deepcopy(digits_vae[0]).set_output(transform="pandas")
    frame = vae.transform(digits[0])
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns) == ["vaetransformer0", "vaetransformer1"]
    assert find_metric(frame) is vae.metric_
    assert find_metric(frame.iloc[5:10]) is vae.metric_


def test_metrics_are_immutable_values(digits_vae):
    from sklearn.base import clone

    metric = digits_vae[0].metric_
    assert copy.deepcopy(metric) is metric
    assert clone(metric, safe=False) is metric
    twin = pickle.loads(pickle.dumps(metric))
    assert twin == metric
    assert hash(twin) == hash(metric)
    assert metric != PullbackMetric(lambda z: z, 2)
    assert len(repr(metric)) < 100
