"""What features contribute to distances: ``Metric.contributions`` and ``explain``."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from scipy.integrate import quad
from sklearn.datasets import load_digits, load_iris, make_blobs
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skriem import (
    DecoderEnsemble,
    NeighborEncoder,
    RiemannianKMeans,
    VAETransformer,
)
from skriem.estimators.kmeans.explanation import shared
from skriem.geometry import (
    EnsembleEmbedding,
    MetricField,
    NearestNeighborMetric,
    PullbackMetric,
    ambient_metric,
)
from skriem.inspection import ContributionDisplay

IRIS = load_iris(as_frame=True)


def sphere(z):
    a, b = z.T
    return torch.stack([a.sin() * b.cos(), a.sin() * b.sin(), a.cos()], dim=1)


# Metrics -----------------------------------------------------------------------------------


def test_squares_of_coordinates_are_the_shares_in_flat_space():
    a, b = np.zeros((2, 3)), np.array([[1.0, 2.0, 2.0], [0.0, 0.0, -4.0]])
    expected = [[1.0 / 3.0, 4.0 / 3.0, 4.0 / 3.0], [0.0, 0.0, 4.0]]
    flat = PullbackMetric(lambda z: z, 3)
    np.testing.assert_allclose(flat.contributions(flat.geodesic(a, b)), expected, atol=1e-12)
    # The same squared length made of other parts.
    skewed = MetricField(
        lambda z: z.new_tensor([[2.0, 1.0], [1.0, 1.0]]).expand(len(z), 2, 2), n_dims=2
    )
    way = skewed.geodesic(np.zeros((1, 2)), np.array([[1.0, -1.0]]))
    np.testing.assert_allclose(skewed.contributions(way), [[1.0, 0.0]], atol=1e-12)


def test_along_a_great_circle():
    """Outputs of a sphere along its equator, where speed is one: integrals of squared slopes."""
    metric = PullbackMetric(sphere, 2)
    way = metric.geodesic(np.array([[np.pi / 2, 0.2]]), np.array([[np.pi / 2, 1.7]]), tol=1e-6)
    expected = [quad(lambda t, f=f: f(t) ** 2, 0.2, 1.7)[0] for f in (np.sin, np.cos)]
    np.testing.assert_allclose(metric.contributions(way), [[*expected, 0.0]], rtol=1e-4, atol=1e-12)


def test_factors_of_an_ambient_metric_count():
    factors = torch.tensor([4.0, 1.0], dtype=torch.float64)
    metric = ambient_metric(lambda z: z, lambda x: factors.to(x).expand(len(x), 2), n_dims=2)
    way = metric.geodesic(np.zeros((1, 2)), np.array([[1.0, 2.0]]))
    root = np.sqrt(8.0)
    np.testing.assert_allclose(metric.contributions(way), [[4.0 / root, 4.0 / root]])


def test_members_of_an_ensemble_are_added_up():
    ensemble = PullbackMetric(EnsembleEmbedding([lambda z: z, lambda z: 3.0 * z]), 2)
    way = ensemble.geodesic(np.zeros((1, 2)), np.array([[3.0, 4.0]]))
    expected = np.sqrt(5.0) * np.array([[1.8, 3.2]])
    np.testing.assert_allclose(ensemble.contributions(way), expected)
    # Whatever steps of its outputs cost.
    members = EnsembleEmbedding([lambda z: z, lambda z: 3.0 * z])
    dearer = ambient_metric(members, lambda x: x.new_full((len(x),), 4.0), n_dims=2)
    way = dearer.geodesic(np.zeros((1, 2)), np.array([[3.0, 4.0]]))
    np.testing.assert_allclose(dearer.contributions(way), 2.0 * expected)


def test_a_way_round_a_corner_is_half_of_each():
    side = np.linspace(0.0, 1.0, 11)[:, None]
    corner = np.concatenate([np.hstack([side, 0 * side]), np.hstack([0 * side[1:] + 1, side[1:]])])
    metric = NearestNeighborMetric(corner)
    way = metric.geodesic(corner[:1], corner[-1:])
    np.testing.assert_allclose(metric.contributions(way), [[1.0, 1.0]], rtol=1e-9)
    assert metric.contributions(metric.geodesic(corner[:0], corner[:0])).shape == (0, 2)
    np.testing.assert_array_equal(metric.contributions(metric.geodesic(corner[:1], corner[:1])), 0)


def test_tensors_are_answered_with_tensors():
    z = torch.tensor([[0.5, 0.5], [1.0, 1.0]], dtype=torch.float32)
    metric = PullbackMetric(sphere, 2)
    found = metric.contributions(metric.geodesic(z[:1], z[1:]))
    assert found.dtype == torch.float32
    assert found.shape == (1, 3)


@pytest.mark.parametrize("noise", ["rbf", "constant", DecoderEnsemble(2)])
def test_features_of_a_decoder_have_their_mean_and_noise(noise):
    vae = VAETransformer(2, network=(8,), noise=noise, max_iter=5, random_state=0).fit(IRIS.data)
    codes = np.asarray(vae.transform(IRIS.data))
    way = vae.metric_.geodesic(codes[:5], codes[100:105])
    # The same map with nothing known of what its outputs are.
    unnamed = PullbackMetric(lambda z: vae.metric_._map(z), 2)
    each = unnamed.contributions(way).reshape(5, -1, 4)
    assert each.shape[1] == {"rbf": 2, "constant": 1}.get(noise, 2)
    np.testing.assert_allclose(vae.metric_.contributions(way), each.sum(1), rtol=1e-9)


# Clusters ----------------------------------------------------------------------------------


def to_own(kmeans, X):
    return kmeans.transform(X)[np.arange(len(X)), kmeans.predict(X)]


@pytest.mark.parametrize(
    "metric",
    [
        "auto",
        pytest.param("local", marks=pytest.mark.slow),
        PullbackMetric(lambda z: torch.cat([z, z[:, :1] ** 2], 1), 4),
        FrozenEstimator(NeighborEncoder(random_state=0).fit(IRIS.data.to_numpy())),
        make_pipeline(StandardScaler(), NeighborEncoder(random_state=0)),
        pytest.param(
            VAETransformer(2, network=(8,), noise="constant", max_iter=5, random_state=0),
            marks=pytest.mark.slow,
        ),
    ],
    ids=["auto", "local", "own map", "frozen", "pipeline", "autoencoder"],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_contributions_add_up_to_distances(metric):
    X = IRIS.data.to_numpy()[::5]
    kmeans = RiemannianKMeans(3, metric=metric, random_state=0).fit(X)
    new = X + np.random.default_rng(0).normal(scale=0.1, size=X.shape)
    for rows in (X, new):
        found = kmeans.explain(rows)
        assert found.shape == (30, 5 if isinstance(metric, PullbackMetric) else 4)
        assert (found >= 0).all()
        np.testing.assert_allclose(found.sum(1), to_own(kmeans, rows), rtol=1e-2, atol=1e-12)
        np.testing.assert_allclose(
            kmeans.explain(rows, 2).sum(1), kmeans.transform(rows)[:, 2], rtol=1e-2, atol=1e-12
        )
        # Each row on its own.
        np.testing.assert_allclose(kmeans.explain(rows[3:4]), found[3:4], rtol=1e-6, atol=1e-9)


def test_the_feature_that_tells_clusters_apart_is_named():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 6))
    X[:, 4] += 12.0 * (np.arange(300) % 2)
    kmeans = RiemannianKMeans(2, random_state=0).fit(X)
    other = kmeans.explain(X, 1 - kmeans.labels_)
    assert other.mean(0).argmax() == 4
    assert other.mean(0)[4] > other.mean(0).sum() / 2
    assert kmeans.explain(X).mean(0)[4] < other.mean(0)[4] / 4


@pytest.fixture(scope="module")
def of_codes():
    """Clusters of images that are encoded, of which some pixels are always the same."""
    X = load_digits().data[:1100]
    assert (X.std(0) == 0).any()
    return RiemannianKMeans(10, random_state=0).fit(X), X


def test_encoded_data_are_explained_by_their_own_features(of_codes):
    kmeans, X = of_codes
    assert kmeans.encoder_.encoder_ is not None
    new = np.clip(X[:20] + np.random.default_rng(0).integers(-1, 2, size=(20, 64)), 0, 16)
    for rows in (X[:20], new):
        found = kmeans.explain(rows)
        assert found.shape == (20, 64)
        np.testing.assert_allclose(found.sum(1), to_own(kmeans, rows), rtol=1e-9, atol=1e-9)
        assert (found >= 0).all()
    # What never changes contributes nothing.
    assert kmeans.explain(X[:20], 3)[:, X.std(0) == 0].max() < 1e-9
    # From a centre there is no way to go.
    np.testing.assert_allclose(kmeans.explain(X[kmeans.medoid_indices_]), 0.0, atol=1e-9)


def test_steps_are_divided_by_their_squares():
    way = SimpleNamespace(length=np.array([2.0, 3.0]))
    corner = np.array([[1.0, 0.0], [0.0, 5.0]]), np.array([1.0, 2.0])
    found = shared(way, [(np.array([[3.0, 4.0]]), np.ones(1)), corner])
    np.testing.assert_allclose(found, [[0.72, 1.28], [1.0, 2.0]])


def test_labels_that_are_none():
    X = make_blobs(60, centers=3, random_state=0)[0]
    kmeans = RiemannianKMeans(3, random_state=0).fit(X)
    for label in (3, -1, [0, 1], 0.5, "first", [[0]]):
        with pytest.raises(ValueError, match="label must be"):
            kmeans.explain(X, label)
    np.testing.assert_array_equal(kmeans.explain(X, kmeans.labels_), kmeans.explain(X))
    assert not hasattr(RiemannianKMeans(3, metric="precomputed"), "explain")


# Pictures ----------------------------------------------------------------------------------


def test_bars_are_the_mean_contributions():
    kmeans = RiemannianKMeans(3, random_state=0).fit(IRIS.data)
    display = ContributionDisplay.from_estimator(kmeans, IRIS.data, n_features=3)
    ax = display.ax_
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names[0] == "petal length (cm)"
    assert len(names) == 3
    np.testing.assert_allclose(display.own, kmeans.explain(IRIS.data).mean(0))
    second = np.sort(kmeans.transform(IRIS.data), axis=1)[:, 1]
    np.testing.assert_allclose(display.other.sum(), second.mean(), rtol=1e-3)
    widths = [bar.get_width() for bar in ax.containers[0]]
    np.testing.assert_allclose(widths, np.sort(display.other)[::-1][:3])
    own = [bar.get_width() for bar in ax.containers[1]]
    np.testing.assert_allclose(own, display.own[np.argsort(-display.other)[:3]])
    assert display.plot(plt.subplots()[1]).ax_ is not ax


def test_names_are_those_of_columns_or_given():
    pipe = make_pipeline(StandardScaler(), RiemannianKMeans(3, random_state=0)).fit(IRIS.data)
    names = ContributionDisplay.from_estimator(pipe, IRIS.data[:9]).feature_names
    assert list(names) == IRIS.feature_names
    bare = ContributionDisplay.from_estimator(pipe[-1], pipe[:-1].transform(IRIS.data[:9]))
    assert bare.feature_names == ["0", "1", "2", "3"]
    given = ContributionDisplay.from_estimator(pipe, IRIS.data, feature_names=list("abcd"))
    assert set(label.get_text() for label in given.ax_.get_yticklabels()) == set("abcd")
    with pytest.raises(ValueError, match="feature_names must be 4"):
        ContributionDisplay.from_estimator(pipe, IRIS.data, feature_names=list("abc"))


def test_samples_are_encoded_once_for_a_picture(monkeypatch):
    vae = VAETransformer(1, network=(8,), max_iter=3, noise="constant", random_state=0)
    kmeans = RiemannianKMeans(2, metric=vae, random_state=0).fit(IRIS.data)
    expected = kmeans.explain(IRIS.data[:5]).mean(0)
    asked = []
    encode = VAETransformer.transform

    def watched(self, X, *args):
        asked.append(X)
        return encode(self, X, *args)

    monkeypatch.setattr(VAETransformer, "transform", watched)
    display = ContributionDisplay.from_estimator(kmeans, IRIS.data[:5])
    assert len(asked) == 1
    np.testing.assert_array_equal(display.own, expected)


def test_what_cannot_be_explained():
    X = IRIS.data.to_numpy()[:20, :2]
    with pytest.raises(ValueError, match="one cluster"):
        ContributionDisplay.from_estimator(RiemannianKMeans(1).fit(X), X)
    with pytest.raises(TypeError, match="cannot explain"):
        ContributionDisplay.from_estimator(NeighborEncoder().fit(X), X)
