"""Distributions of data given a code: what a decoder's output means."""

from .location_scale import Gaussian, StudentT
from .natural import Bernoulli, Categorical, NegativeBinomial, Poisson

LIKELIHOODS = {
    "gaussian": Gaussian,
    "bernoulli": Bernoulli,
    "categorical": Categorical,
    "poisson": Poisson,
    "negative_binomial": NegativeBinomial,
    "student_t": StudentT,
}
