"""What is at the ends of a pipeline."""

from sklearn.pipeline import Pipeline


def last_step(estimator, X):
    """The last step of a pipeline and what it is given; anything else and `X` as they are."""
    if not isinstance(estimator, Pipeline):
        return estimator, X
    return estimator[-1], estimator[:-1].transform(X) if len(estimator) > 1 else X


def first_step(estimator):
    """What in a pipeline, or a pipeline of pipelines, sees the data first; anything else itself."""
    while isinstance(estimator, Pipeline):
        estimator = estimator[0]
    return estimator
