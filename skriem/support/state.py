"""What estimators know after a fit, as they find it again in a file."""

import numpy as np
from sklearn.base import BaseEstimator


class Estimator(BaseEstimator):
    """An estimator that checks what it is given when it is read from a file."""

    def __setstate__(self, state):
        super().__setstate__(state)
        found = outlines(self)
        for name, (shape, finite) in vars(self).get("_outlines", {}).items():
            there, usable = found.get(name, (None, True))
            if there != tuple(shape) or (finite and not usable):
                says = f"shape {there}" if there != tuple(shape) else "NaN or infinite numbers"
                raise ValueError(
                    f"{name} of this {type(self).__name__} has {says}, which is not what the fit "
                    "left: the file it comes from is damaged or was changed."
                )


def outlines(estimator):
    """Shapes of arrays and numbers of NumPy that a fit has set, and whether they are finite.

    By where they are.
    """
    given = {*estimator.get_params(deep=False), "_outlines"}
    # What was seen is kept: what is gone may leave its number to something else.
    found, seen = {}, {}

    def look(value, name):
        if id(value) in seen:
            return
        seen[id(value)] = value
        if isinstance(value, (np.ndarray, np.generic)):
            finite = value.dtype.kind != "f" or bool(np.isfinite(value).all())
            found[name] = tuple(value.shape), finite
        elif isinstance(value, dict):
            for key, part in value.items():
                look(part, f"{name}.{key}")
        elif isinstance(value, (list, tuple)):
            for place, part in enumerate(value):
                look(part, f"{name}[{place}]")
        elif type(value).__module__.split(".")[0] == __package__:
            # Caches may be left out of files.
            state = value.__getstate__() if hasattr(value, "__getstate__") else vars(value)
            look(state, name)

    for name, value in estimator.__getstate__().items():
        if name not in given:
            look(value, name)
    return found
