"""The same work on a Dask cluster of two processes, one of which may die."""

import os
import signal
import threading
import time

import numpy as np
import pytest
from joblib import parallel_config
from sklearn.pipeline import make_pipeline

from skriem import GeodesicDistance, RBFNoise, RiemannianKMeans, RiemannianNormal, VAETransformer

distributed = pytest.importorskip("distributed")
da = pytest.importorskip("dask.array")

# What the cluster itself warns about is not ours.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),
    # One worker of the tests at a time starts processes of its own.
    pytest.mark.xdist_group("distributed"),
]


@pytest.fixture(scope="module")
def client():
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def codes_for(vae, n):
    """As many codes as wanted, by drawing from the model."""
    return vae.transform(vae.sample(n, random_state=0))


def test_pairwise_on_a_cluster_is_the_same(client, digits_vae):
    codes = codes_for(digits_vae[0], 600)
    distance = GeodesicDistance(method="grid").fit(codes)
    here = distance.pairwise(codes)
    with parallel_config(backend="dask"):
        there = distance.pairwise(codes)
    np.testing.assert_allclose(here, there, rtol=1e-12)


def test_exact_distances_and_restarts_on_a_cluster_are_the_same(client, digits_vae):
    codes = digits_vae[1][:40]
    exact = GeodesicDistance(method="exact").fit(codes)
    kmeans = RiemannianKMeans(3, n_init=2, random_state=0)
    here = exact.transform(codes[:5]), kmeans.fit_predict(codes)
    with parallel_config(backend="dask"):
        there = exact.transform(codes[:5]), kmeans.fit_predict(codes)
    np.testing.assert_allclose(here[0], there[0], rtol=1e-9)
    np.testing.assert_array_equal(here[1], there[1])


def test_the_loss_of_a_worker_is_survived(client, digits_vae):
    codes = codes_for(digits_vae[0], 3000)
    distance = GeodesicDistance(method="grid").fit(codes)
    here = distance.pairwise(codes[:1500], codes)
    there = []

    def ask():
        with parallel_config(backend="dask"):
            there.append(distance.pairwise(codes[:1500], codes))

    # joblib waits for ever for a worker that is lost before it has begun.
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    busy = []
    while not busy and asking.is_alive():
        busy = [address for address, tasks in client.processing().items() if tasks]
        time.sleep(0.05)
    os.kill(client.run(os.getpid, workers=busy[:1])[busy[0]], signal.SIGKILL)
    asking.join(timeout=120.0)
    np.testing.assert_allclose(here, there[0], rtol=1e-12)
    client.wait_for_workers(2)


def test_dask_arrays_go_through_block_by_block(client, digits_vae, digits):
    X = digits[0]
    blocks = da.from_array(X, chunks=(100, 40))
    pipeline = make_pipeline(
        VAETransformer(random_state=0, max_iter=30, noise=RBFNoise(bandwidth=2.0, contrast=10)),
        RiemannianKMeans(3, random_state=0),
    ).fit(X)
    vae, kmeans = pipeline[0], pipeline[1]
    codes = vae.transform(blocks)
    assert codes.chunks == ((100, 100, 100), (2,))
    np.testing.assert_allclose(codes.compute(), vae.transform(X), rtol=1e-9)
    labels = pipeline.predict(blocks)
    assert labels.chunks == ((100, 100, 100),)
    np.testing.assert_array_equal(labels.compute(), pipeline.predict(X))
    to_centers = kmeans.transform(codes[:20])
    assert to_centers.shape == (20, 3)
    np.testing.assert_allclose(to_centers, kmeans.transform(vae.transform(X[:20])), rtol=1e-6)
    density = RiemannianNormal(random_state=0).fit(vae.transform(X))
    found = density.score_samples(codes)
    np.testing.assert_allclose(found, density.score_samples(vae.transform(X)), rtol=1e-6)
