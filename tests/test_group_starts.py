"""Clusters and densities that begin with the components of an autoencoder's mixture prior."""

import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import adjusted_rand_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skriem import MixturePrior, RiemannianKMeans, RiemannianNormal, VAETransformer
from skriem.estimators.metric_input import encoder_within
from skriem.geometry.models import land
from skriem.nn.priors.mixture import mixture_of

N_GROUPS = 12
# A seed that begins with two centres in one group, and one for two groups.
UNLUCKY = 5


def planted_in(X, y, n_groups):
    """An autoencoder whose prior has the groups as components, and two without rows."""
    vae = VAETransformer(
        prior=MixturePrior(n_groups + 2), network=(8,), max_iter=2, noise="constant", random_state=0
    ).fit(X)
    codes, weights = torch.as_tensor(np.array(vae.transform(X))), torch.ones(len(X)).double()
    args = torch.as_tensor(y), n_groups + 2, 0.01, "normal"
    vae._prior = mixture_of(codes, weights, *args).stored()
    return vae


@pytest.fixture(scope="module")
def planted():
    """Four times three groups of twelve rows, and an autoencoder whose prior knows of them."""
    corners, close = np.array([[0, 0], [40, 0], [0, 40], [40, 40]]), [[0, 0], [4, 0], [0, 4]]
    centers = (corners[:, None] + np.array(close)).reshape(-1, 2)
    y = np.repeat(np.arange(N_GROUPS), 12)
    X = centers[y] + 0.5 * np.random.RandomState(0).randn(len(y), 2)
    return planted_in(X, y, N_GROUPS), X, y


def test_main_components(planted):
    vae, _, _ = planted
    (means,) = vae._main_means(N_GROUPS)
    assert {tuple(row) for row in means} == {tuple(row) for row in vae.means_[:N_GROUPS]}
    order = np.argsort(-vae.weights_, kind="stable")
    np.testing.assert_array_equal(vae._main_means(3)[0], vae.means_[order[:3]])
    # The others have no rows, or there are none.
    for n in (N_GROUPS + 1, N_GROUPS + 2, N_GROUPS + 3):
        assert vae._main_means(n) == []


def test_main_components_are_the_largest(planted):
    vae, X, y = planted
    twin = VAETransformer(prior=MixturePrior(3), network=(8,), max_iter=1, noise="constant").fit(X)
    codes = torch.as_tensor(np.array(vae.transform(X)))
    labels = torch.as_tensor(np.where(y < 2, 0, np.where(y < 9, 1, 2)))
    twin._prior = mixture_of(codes, torch.ones(len(X)).double(), labels, 3, 0.1, "normal").stored()
    np.testing.assert_allclose(twin._main_means(1)[0], twin.means_[[1]])
    np.testing.assert_allclose(twin._main_means(2)[0], twin.means_[[1, 2]])


def test_encoders_within(planted):
    vae, _, _ = planted
    inner = make_pipeline(StandardScaler(), FrozenEstimator(vae))
    for wrapped in (vae, FrozenEstimator(vae), inner, FrozenEstimator(inner)):
        assert encoder_within(wrapped) is vae
    assert encoder_within(None) is None


def test_components_find_what_one_seeding_misses(planted):
    vae, X, y = planted
    alone = RiemannianKMeans(N_GROUPS, random_state=UNLUCKY).fit(vae.transform(X))
    assert adjusted_rand_score(y, alone.labels_) < 0.95
    for encoder in (FrozenEstimator(vae), make_pipeline(FrozenEstimator(vae))):
        kmeans = RiemannianKMeans(N_GROUPS, metric=encoder, random_state=UNLUCKY).fit(X)
        assert adjusted_rand_score(y, kmeans.labels_) == 1.0
        assert kmeans.inertia_ < 0.6 * alone.inertia_


def test_without_such_components_nothing_changes(planted):
    """More clusters than components, another init, codes by themselves, or a normal prior."""
    vae, X, _ = planted
    frozen, codes = FrozenEstimator(vae), vae.transform(X)
    normal = VAETransformer(network=(8,), max_iter=2, noise="constant", random_state=0).fit(X)
    for encoder, points, parameters in (
        (frozen, codes, {"n_clusters": N_GROUPS + 1}),
        (frozen, codes, {"n_clusters": 2, "init": "random", "n_init": 1}),
        (frozen, codes, {"n_clusters": 3, "init": X[:3]}),
        (FrozenEstimator(normal), normal.transform(X), {"n_clusters": 3}),
    ):
        kmeans = RiemannianKMeans(metric=encoder, random_state=0, **parameters).fit(X)
        given = parameters.get("init", "k-means++")
        if not isinstance(given, str):
            parameters = {**parameters, "init": points[:3]}
        same = RiemannianKMeans(random_state=0, **parameters).fit(points)
        np.testing.assert_array_equal(kmeans.cluster_centers_, same.cluster_centers_)
        assert kmeans.inertia_ == same.inertia_


def test_densities_are_given_the_components(planted, monkeypatch):
    vae, X, _ = planted
    frozen, given = FrozenEstimator(vae), []

    def fit(problem, start, n_init, rng, report, further=()):
        given.append([means.numpy() for means in further])
        raise StopIteration

    monkeypatch.setattr(land, "fit", fit)
    for parameters in (
        {},
        {"n_components": N_GROUPS + 1},
        {"init_params": "k-means++"},
        {"means_init": np.zeros((N_GROUPS, 2))},
    ):
        normal = RiemannianNormal(**{"n_components": N_GROUPS, "metric": frozen, **parameters})
        with pytest.raises(StopIteration):
            normal.fit(X)
    assert given[1:] == [[], [], []]
    np.testing.assert_array_equal(given[0], vae._main_means(N_GROUPS))
    with pytest.raises(StopIteration):
        RiemannianNormal("auto", metric=frozen).fit(X)
    np.testing.assert_array_equal(given[-1], vae._main_means(1))


@pytest.mark.slow
def test_densities_find_what_others_miss():
    """Two small groups beside a wide one, which k-medoids cut in two."""
    rng, y = np.random.RandomState(0), np.repeat([0, 1, 2], [150, 25, 25])
    wide = 3.0 * rng.randn(200, 2)
    small = np.where((y == 1)[:, None], [10, 0], [10, 3]) + 0.3 * rng.randn(200, 2)
    X = np.where((y == 0)[:, None], wide, small)
    vae = planted_in(X, y, 3)
    codes = vae.transform(X)
    alone = RiemannianNormal(3, random_state=0).fit(codes)
    normal = RiemannianNormal(3, metric=FrozenEstimator(vae), random_state=0).fit(X)
    assert normal.lower_bound_ > alone.lower_bound_ + 0.1
    assert adjusted_rand_score(y, alone.predict(codes)) < 0.95
    assert adjusted_rand_score(y, normal.predict(X)) > 0.98
