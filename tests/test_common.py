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
    GeodesicDistance,
    NeighborEncoder,
    RiemannianKMeans,
    RiemannianNormal,
    VAETransformer,
)

# The checks use data without structure, single points that come many times, and arrays where
# there were frames before; that some of it deserves a warning is as it should be.
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:X (does not have valid|has) feature names:UserWarning"),
]

TRANSFORMERS = [VAETransformer(), RiemannianKMeans(), GeodesicDistance(), NeighborEncoder()]


@parametrize_with_checks([*TRANSFORMERS, RiemannianNormal()])
def test_scikit_learn_checks(estimator, check):
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
@pytest.mark.parametrize("estimator", TRANSFORMERS, ids=lambda e: type(e).__name__)
def test_output_checks(estimator, check):
    check(type(estimator).__name__, estimator)
