"""What a user writes, for type checkers: ``mypy skriem tests/typed_usage.py``. Never run."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from typing_extensions import assert_type

import skriem
from skriem import (
    DeepRegressionClassifier,
    DeepRegressionTransformer,
    DynamicsPrior,
    GeodesicDistance,
    MixturePrior,
    NeighborEncoder,
    RiemannianKMeans,
    RiemannianNormal,
    VAETransformer,
    brownian_motion,
    decoder_metric,
    geodesic_silhouette,
)
from skriem.geometry import (
    EnsembleEmbedding,
    Geodesics,
    Metric,
    MetricField,
    NearestNeighborMetric,
    PullbackMetric,
    RiemannianMetric,
    Status,
    local_metric,
    regularised_metric,
    student_t_weights,
)
from skriem.inspection import LatentSpaceDisplay

Floats = NDArray[np.float64]
X: NDArray[np.float32] = np.zeros((10, 4), dtype=np.float32)
z = torch.zeros(10, 2)


def estimators() -> None:
    vae = VAETransformer(3, likelihood="bernoulli", random_state=0).fit(X, sample_weight=[1.0] * 10)
    assert_type(vae, VAETransformer)
    assert_type(vae.partial_fit(X), VAETransformer)
    assert_type(vae.metric_, PullbackMetric | MetricField)
    codes = vae.transform(X)
    assert_type(codes.metric, Metric)
    assert_type(vae.metric_.distance(codes, codes[:1]), NDArray[Any])
    assert_type(vae.inverse_transform(codes), Floats)
    groups = VAETransformer(prior=MixturePrior(3, component="student_t")).fit(X)
    VAETransformer(prior=DynamicsPrior(4)).fit(X, groups=[0] * len(X)).forecast(3, X)
    assert_type(groups.means_, Floats)
    assert_type(NeighborEncoder().fit(X), NeighborEncoder)

    network = DeepRegressionTransformer((8, 2), likelihood="bernoulli").fit(X)
    assert_type(network.partial_fit(X), DeepRegressionTransformer)
    assert_type(network.transform(X).metric, Metric)
    assert_type(network.restore(X), Floats)
    classifier = DeepRegressionClassifier(objective="discriminative").fit(X, [0, 1] * 5)
    assert_type(classifier.predict_proba(X), Floats)

    kmeans = RiemannianKMeans(3, metric=vae, init=[[0.0, 0.0]] * 3).fit(X)
    assert_type(kmeans, RiemannianKMeans)
    assert_type(kmeans.metric_, Metric)
    assert_type(kmeans.labels_, NDArray[np.intp])
    assert_type(kmeans.predict(X), NDArray[np.intp])
    assert_type(kmeans.transform(X.tolist()), Floats)
    assert_type(geodesic_silhouette(kmeans, X), float)

    normal = RiemannianNormal(metric=kmeans.metric_).fit(X)
    assert_type(normal, RiemannianNormal)
    assert_type(normal.sample(5), tuple[Floats, NDArray[np.intp]])
    assert_type(normal.score_samples(X, measure="riemannian"), Floats)

    distance = GeodesicDistance(method="grid").fit(X)
    assert_type(distance, GeodesicDistance)
    assert_type(distance(X[0], X[1]), float)
    assert_type(distance.path(X[0], X[1]).metric, Metric)


def metrics(metric: RiemannianMetric) -> None:
    A = np.zeros((5, 2))
    # Arrays with arrays, tensors with tensors.
    assert_type(metric.distance(A, A), NDArray[Any])
    assert_type(metric.distance(z, z), torch.Tensor)
    assert_type(metric.pairwise(z), torch.Tensor)
    assert_type(metric.frechet_mean(A, sample_weight=[1.0] * 5), NDArray[Any])
    geodesics = metric.geodesic(A, A)
    assert_type(geodesics, Geodesics)
    assert_type(Status(int(geodesics.status[0])).message, str)
    assert_type(metric.transport(geodesics, A), NDArray[Any])
    assert_type(metric.with_points(A), Metric)

    nearest = NearestNeighborMetric([[0.0], [1.0]], scale=[2.0])
    assert_type(nearest.points, Floats)
    assert_type(nearest.with_points([[0.0]]), NearestNeighborMetric)
    plane = PullbackMetric(lambda z: z, n_dims=2, points=A)
    assert_type(plane.embed(z), torch.Tensor)
    assert_type(plane.with_points(A), PullbackMetric)
    decoder = torch.nn.Linear(2, 4)
    assert_type(decoder_metric(decoder, z, data=X), PullbackMetric)
    assert_type(PullbackMetric(EnsembleEmbedding([decoder, decoder]), 2), PullbackMetric)
    assert_type(regularised_metric(local_metric(A), 1.0), MetricField)
    assert_type(student_t_weights(3.0), tuple[float, float])
    assert_type(brownian_motion(plane, [0.0, 0.0], 10, 0.1, random_state=0), Floats)
    assert_type(skriem.inspection.LatentSpaceDisplay.from_metric(plane, A), LatentSpaceDisplay)


def mistakes(metric: Metric) -> None:
    # Unused ignores are errors: each of these has to be found.
    VAETransformer(noise="none")  # type: ignore[arg-type]
    RiemannianKMeans(n_cluster=3)  # type: ignore[call-arg]
    metric.distance("origin", z)  # type: ignore[type-var]
    skriem.KMeans  # type: ignore[attr-defined]  # noqa: B018
