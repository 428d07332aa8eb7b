"""scikit-learn's own checks, on every estimator, with no expected failure."""

import pytest
from sklearn.utils.estimator_checks import (
    check_get_feature_names_out_error,
    check_set_output_transform,
    check_set_output_transform_pandas,
    check_set_output_transform_polars,
    check_transformer_get_feature_names_out,
    check_transformer_get_feature_names_out_pandas,
    parametrize_with_checks,
)

from skriem import (
    DecoderEnsemble,
    DeepRegressionClassifier,
    DeepRegressionTransformer,
    GeodesicDistance,
    NeighborEncoder,
    Perceptron,
    RBFNoise,
    RiemannianKMeans,
    RiemannianNormal,
    RiemannianSingleLinkage,
    VAETransformer,
)

# The checks use data without structure, single points that come many times, and arrays where
# there were frames before; that some of it deserves a warning is as it should be.
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:X (does not have valid|has) feature names:UserWarning"),
]


def little(**parameters):
    """An autoencoder that is hardly trained, which is no matter to these checks."""
    return VAETransformer(**{"network": (8,), "max_iter": 4, **parameters})


TRANSFORMERS = [
    little(),
    little(prior="mixture", max_iter=2),
    RiemannianKMeans(),
    GeodesicDistance(metric=NeighborEncoder()),
    NeighborEncoder(),
]
UNITS = DeepRegressionTransformer((6, 2), max_iter=3)
# Without walls, round which ways are long to find.
DENSITY = RiemannianNormal(metric=little(noise="constant", n_components=1), max_iter=1)
OTHERS = [
    VAETransformer(),
    VAETransformer(3, network=Perceptron((16,), activation="softplus"), noise="mlp"),
    VAETransformer(noise="constant", neighbors=2, flatness=0.1, max_iter=50),
    VAETransformer(
        likelihood="student_t",
        noise=DecoderEnsemble(2),
        n_importance_samples=3,
        network=Perceptron(residual=True, skip=False),
    ),
    DeepRegressionTransformer(),
    UNITS,
    DeepRegressionTransformer((4,), output="proba", max_iter=3),
    DeepRegressionClassifier((8, 4), objective="discriminative", max_iter=20),
    NeighborEncoder(n_components=2, n_neighbors=3, standardize=True, power=3.0),
    NeighborEncoder(standardize=False, power=1.0),
    RiemannianKMeans(metric=little(noise=RBFNoise(bandwidth=2.0)), init="random", n_init=1),
    RiemannianNormal(
        metric=little(noise=RBFNoise(bandwidth=3.0)),
        covariance_type="diag",
        max_iter=3,
        init_params="k-means++",
    ),
    GeodesicDistance(metric=little(), method="landmarks"),
    GeodesicDistance(metric=little()),
]


CLASSIFIER = DeepRegressionClassifier((8,), max_iter=10)


@parametrize_with_checks([*TRANSFORMERS, DENSITY, CLASSIFIER, RiemannianSingleLinkage()])
def test_scikit_learn_checks(estimator, check, little_work):
    check(estimator)


# Of a sequence the order of rows matters, what a row gets depends on the others, and all have one
# weight.
OF_SEQUENCES = (
    "check_methods_sample_order_invariance",
    "check_methods_subset_invariance",
    "check_sample_weight_equivalence_on_dense_data",
    "check_sample_weight_equivalence_on_sparse_data",
    "check_sample_weights_not_overwritten",
)


@parametrize_with_checks(
    [little(prior="dynamics", max_iter=1)],
    expected_failed_checks=lambda _: dict.fromkeys(OF_SEQUENCES, "rows are steps of a sequence"),
)
def test_scikit_learn_checks_of_sequences(estimator, check, little_work):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(OTHERS)
def test_scikit_learn_checks_of_other_parameters(estimator, check, little_work):
    check(estimator)


@pytest.mark.parametrize(
    "check",
    [
        check_get_feature_names_out_error,
        check_set_output_transform,
        check_set_output_transform_pandas,
        check_set_output_transform_polars,
        check_transformer_get_feature_names_out,
        check_transformer_get_feature_names_out_pandas,
    ],
    ids=lambda check: check.__name__,
)
@pytest.mark.parametrize(
    "estimator", [*TRANSFORMERS, pytest.param(UNITS, marks=pytest.mark.slow)], ids=str
)
def test_output_checks(estimator, check, little_work):
    check(type(estimator).__name__, estimator)
