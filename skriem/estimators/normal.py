"""RiemannianNormal: locally adaptive normal distributions and their mixtures."""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_scalar

from ..geometry import Metric, RiemannianMetric, local_metric
from ..geometry.callers import warn
from ..geometry.models import land
from ..geometry.models.density import log_joint
from ..geometry.models.expectation import Options, Problem
from ..geometry.types import FloatArray, RandomState
from ..support.fitting import all_or_nothing
from ..support.latent import find_metric
from ..support.progress import Progress
from ..support.rows import check_number, check_weights, distinct_rows
from ..support.state import Estimator
from .autoencoder.vae import VAETransformer
from .metric_input import MetricConsumerMixin
from .neighbor_encoder import feature_scale
from .normal_answers import DensityAnswersMixin

if TYPE_CHECKING:
    from typing_extensions import Self

# Data of up to so many features are their own coordinates.
MAX_LOCAL = 2
# Numbers of components that are tried at most, and how many in a row may do no better.
MAX_AUTO, PATIENCE = 20, 2


class RiemannianNormal(DensityAnswersMixin, MetricConsumerMixin, DensityMixin, Estimator):
    """Normal distribution along geodesics, or a mixture of several.

    Like :class:`sklearn.mixture.GaussianMixture`, with the Mahalanobis distance measured along
    geodesics: the locally adaptive normal distribution (LAND). Its density with respect to
    Riemannian volume is

        p(x) = exp(-1/2 v' S^-1 v) / C,   v = Log_m(x),

    with the mean m and the covariance S of tangent vectors at m, in the coordinates of the
    space. On a flat space it is the Gaussian.

    Parameters
    ----------
    n_components : int or "auto", default=1
        Number of mixture components. "auto" fits 1, 2, ... on the same geometry and keeps the
        number with the lowest Bayesian information criterion; two more that do no better end the
        search, and 20 at most are tried.
    covariance_type : {"full", "tied", "diag", "spherical"}, default="full"
        Whether covariances are any, any but the same for all components, diagonal in the
        coordinates of the space, or the same in all directions as the metric measures them.
    metric : "auto", "local", metric or estimator, default="auto"
        Where the geometry comes from. "auto" takes the metric that codes carry; for data of one
        or two features it is "local", for others a :class:`VAETransformer` is fitted. "local" is
        :func:`~skriem.geometry.local_metric` of the data. A metric takes `X` for points of its
        space; an estimator is fitted, and its codes are taken.
    tol : float, default=1e-3
        A run ends when an iteration gains less mean log-likelihood, in nats.
    reg_covar : float, default=1e-6
        Added to the diagonal of the covariances of tangent vectors.
    max_iter : int, default=100
        Largest number of iterations of a run.
    n_init : int, default=1
        Number of runs, of which the one with the largest likelihood is kept. By default, with an
        encoder whose prior is a mixture, one more begins with its largest components.
    init_params : {"kmeans", "k-means++", "random_from_data"}, default="kmeans"
        Where a run starts: from the clusters of k-means along paths between samples, from its
        seeds, or from points drawn at random.
    means_init : array-like of shape (n_components, n_dims), default=None
        Means to start from, in the coordinates of the space; None goes by `init_params`. Not with
        ``n_components="auto"``.
    random_state : int, RandomState instance or None, default=None
        Determines the starting values, the points that are integrated with, and the encoder
        if one is fitted and has no seed of its own.
    verbose : int, default=0
        Whether to show a bar (tqdm, if installed) or lines with rate and likelihood.

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
        Shares of the components, the largest first.
    means_ : ndarray of shape (n_components, n_dims)
        In the coordinates of `metric_`.
    covariances_ : ndarray
        Covariances of tangent vectors at the means, in coordinates: of shape (n_components,
        n_dims, n_dims) for ``covariance_type="full"``, (n_dims, n_dims) for "tied", their
        diagonals (n_components, n_dims) for "diag", and variances of lengths in every direction
        (n_components,) for "spherical".
    log_normalizers_ : ndarray of shape (n_components,)
        Logarithms of the constants C.
    normalizer_stderr_ : ndarray of shape (n_components,)
        Standard errors of the constants, relative to them: log densities are uncertain by
        about as much.
    converged_ : bool
        Whether the best run ended before `max_iter`.
    n_iter_ : int
        Iterations of the best run.
    lower_bound_ : float
        Mean log-likelihood of the samples, with respect to Lebesgue measure, with the
        constants and curves that the fit worked with.
    lower_bounds_ : list of float
        The same at the start and after every iteration of the best run; they never fall. Where the
        constants had to be integrated with other points, or a component that had lost its samples
        was seeded again, they begin after that.
    bics_ : ndarray of shape (n_tried,) or None
        Bayesian information criteria of 1, 2, ... components, as :meth:`bic` says them of a fit
        with so many; None if their number was given.
    metric_ : Metric
        The geometry that was used.
    encoder_ : estimator or None
        The encoder fitted to `X`; None if `X` were points of the metric's space.
    n_features_in_ : int
        Number of features seen in ``fit``.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Defined when `X` has feature names that are all strings.

    See Also
    --------
    sklearn.mixture.GaussianMixture : The same with straight lines.
    RiemannianKMeans : Clusters by geodesic distance.

    Notes
    -----
    Expectation maximisation as in the references, with two differences. The constants C are
    integrals over the space, so that the density integrates to one even where geodesics meet
    again. And covariances are maximised exactly, as the likelihood is concave in their inverses.
    In one and two dimensions the fit follows paths along a grid, and geodesics calibrate its
    covariances and constants; in more, and where no grid is fine enough, it follows geodesics and
    integrates by importance sampling. A component whose share of the samples falls below a
    thousandth of one is seeded again where the density is lowest.

    References
    ----------
    Arvanitidis, Hansen and Hauberg, *A locally adaptive normal distribution*, NIPS 2016.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skriem import RBFNoise, RiemannianNormal, VAETransformer
    >>> X = load_iris().data[::3]
    >>> vae = VAETransformer(noise=RBFNoise(bandwidth=2.0, contrast=5), random_state=0).fit(X)
    >>> codes = vae.transform(X)
    >>> density = RiemannianNormal(random_state=0).fit(codes)
    >>> density.score_samples(codes).shape
    (50,)
    >>> vae.inverse_transform(density.sample(2)[0]).shape
    (2, 4)
    """

    def __init__(
        self,
        n_components: int | Literal["auto"] = 1,
        *,
        covariance_type: Literal["full", "tied", "diag", "spherical"] = "full",
        metric: Literal["auto", "local"] | Metric | BaseEstimator = "auto",
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: Literal["kmeans", "k-means++", "random_from_data"] = "kmeans",
        means_init: ArrayLike | None = None,
        random_state: RandomState = None,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.metric = metric
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.means_init = means_init
        self.random_state = random_state
        self.verbose = verbose

    @all_or_nothing
    def fit(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Estimate the parameters by expectation maximisation.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data, or points that carry a metric; see the parameter `metric`.
        y : Ignored
        sample_weight : array-like of shape (n_samples,), default=None
            How often each sample counts, finite and not negative; None counts each once.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ValueError
            If there are fewer samples than components, means to start from come without a number
            of components, or the metric has no tangent vectors: that of :class:`NeighborEncoder`
            has none.

        Warns
        -----
        ConvergenceWarning
            If the best run ended early.
        """
        self._fit(X, sample_weight)
        return self

    @all_or_nothing
    def fit_predict(
        self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None
    ) -> NDArray[np.intp]:
        """Fit, and return the most probable component of every sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data, or points that carry a metric; see the parameter `metric`.
        y : Ignored
        sample_weight : array-like of shape (n_samples,), default=None
            How often each sample counts, finite and not negative; None counts each once.

        Returns
        -------
        ndarray of shape (n_samples,)
            Integers below the number of components.
        """
        return self._log_joint(self._fit(X, sample_weight)).argmax(1)

    # Fitting -----------------------------------------------------------------------------

    def _fit(self, X, sample_weight=None):
        self._check_parameters()
        values, rng = self._fit_metric(X, sample_weight)
        if not isinstance(self.metric_, RiemannianMetric):
            raise ValueError(
                "Normal distributions need tangent vectors, and the nearest-neighbour metric has "
                "none. Use a VAETransformer instead of a NeighborEncoder."
            )
        automatic = self.n_components == "auto"
        if not automatic and self.n_components > len(values):
            raise ValueError(
                f"n_samples={len(values)} should be >= n_components={self.n_components}."
            )
        points = self._embed_values(values)
        rows, weights = distinct_rows(points, check_weights(sample_weight, values))
        self._settle_units(X, rows, weights, rng)
        log_volumes = self.metric_.log_volume(rows)
        problem = Problem(
            self._space,
            torch.as_tensor(rows / self._units),
            torch.as_tensor(weights / weights.mean()),
            Options(
                self.covariance_type, self.reg_covar, self.tol, self.max_iter, self.init_params
            ),
        )
        start = self.n_components
        if self.means_init is not None:
            means = check_means(self.means_init, (start, self.metric_.n_dims))
            start = torch.as_tensor(means / self._units)
        with Progress("RiemannianNormal", "iteration", None, self.verbose) as progress:

            def report(value):
                progress.step(f"log-likelihood {value:.6g}")

            if automatic:
                n_most = min(MAX_AUTO, len(values))
                best, found, self.bics_ = self._sweep(
                    problem, n_most, rng, report, weights, log_volumes
                )
            else:
                further = self._further(self.n_components)
                best, found = land.fit(problem, start, self.n_init, rng, report, further)
                self.bics_ = None
        if not best.converged:
            warn(
                f"Expectation maximisation did not converge in {self.max_iter} iterations; "
                "raise max_iter or tol.",
                ConvergenceWarning,
            )
        self._keep(best, found)
        log_volume = np.average(log_volumes, weights=weights)
        self.lower_bounds_: list[float] = [value + log_volume for value in best.history]
        self.lower_bound_ = self.lower_bounds_[-1]
        return points

    def _keep(self, best, found):
        """Set what is learned, from a fit and its constants."""
        mixture = best.mixture
        self.weights_, self.means_ = mixture.weights.numpy(), mixture.means.numpy() * self._units
        self._precisions: FloatArray = mixture.precisions.numpy()
        self.covariances_: FloatArray = self._covariances(mixture).numpy()
        self._n_parameters: int = self._count_parameters(len(self.means_))
        self.converged_, self.n_iter_ = best.converged, best.n_iter
        self.log_normalizers_, self.normalizer_stderr_ = (part.numpy() for part in found[:2])
        # What sampling needs: where candidates come from, and the largest ratio of densities.
        self._kernels = [
            [tuple(field.numpy() for field in part) for part in kernel] for kernel in found.kernels
        ]
        self._log_bounds: FloatArray = found.log_bounds.numpy()

    def _sweep(self, problem, n_most, rng, report, weights, log_volumes):
        """The fit with the lowest criterion of those of 1, 2, ... components, and all criteria.

        Each fit draws what it would draw alone; geometry, tables and grids are made once.
        """
        drawn, bics, kept = rng.get_state(), [], None
        for k in range(1, n_most + 1):
            rng.set_state(drawn)
            best, found = land.fit(problem, k, self.n_init, rng, report, self._further(k))
            joint, _ = log_joint(self._space, best.mixture, found.log_normalizers, problem.z)
            log_densities = torch.logsumexp(joint, 1).numpy() + log_volumes
            penalty = self._count_parameters(k) * np.log(weights.sum())
            bics.append(penalty - 2.0 * weights @ log_densities)
            if bics[-1] <= min(bics):
                kept = best, found
            if k - np.argmin(bics) > PATIENCE:
                break
        return *kept, np.array(bics)

    def _further(self, k):
        """Means that further runs start from."""
        by_default = self.means_init is None and self.init_params == "kmeans"
        return [torch.as_tensor(means) for means in self._group_means(k)] if by_default else []

    def _settle_units(self, X, rows, weights, rng):
        """Set the units of the coordinates to work in, and the space with its metric in these."""
        self._units, self._space = np.ones(rows.shape[1]), self.metric_
        if isinstance(self.metric, str) and self.encoder_ is None and find_metric(X) is None:
            self._units = feature_scale(rows, weights, "auto")
        if (self._units != 1.0).any():
            points, options = self._some(rows, rng), {"sample_weight": weights}
            self.metric_ = local_metric(rows, points=points, scale=self._units, **options)
            points = points / self._units
            self._space = local_metric(rows / self._units, points=points, **options)

    def _default_geometry(self, values):
        return "local" if values.shape[1] <= MAX_LOCAL else VAETransformer()

    def _covariances(self, mixture):
        """Covariances of tangent vectors, as many numbers as the type has."""
        covariances = torch.linalg.inv(mixture.precisions)
        if self.covariance_type == "spherical":
            tensors = self._space.tensor(mixture.means)
            return (covariances * tensors).sum((1, 2)) / self.metric_.n_dims
        covariances = covariances * torch.as_tensor(np.outer(self._units, self._units))
        if self.covariance_type == "diag":
            return covariances.diagonal(dim1=1, dim2=2)
        covariances = 0.5 * (covariances + covariances.mT)
        return covariances[0] if self.covariance_type == "tied" else covariances

    def _count_parameters(self, k):
        """The number of free parameters of a mixture of k components."""
        d = self.metric_.n_dims
        full = d * (d + 1) // 2
        of_covariance = {"full": k * full, "tied": full, "diag": k * d, "spherical": k}
        return k * (d + 1) - 1 + of_covariance[self.covariance_type]

    def _check_parameters(self):
        if isinstance(self.n_components, str):
            if self.n_components != "auto":
                raise ValueError(
                    f'n_components must be a number or "auto", got {self.n_components!r}.'
                )
            if self.means_init is not None:
                raise ValueError('means_init needs a number of components, not "auto".')
        else:
            check_scalar(self.n_components, "n_components", numbers.Integral, min_val=1)
        for name in ("max_iter", "n_init"):
            check_scalar(getattr(self, name), name, numbers.Integral, min_val=1)
        for name in ("tol", "reg_covar"):
            check_number(getattr(self, name), name, min_val=0)
        for name, allowed in (
            ("covariance_type", ["full", "tied", "diag", "spherical"]),
            ("init_params", ["kmeans", "k-means++", "random_from_data"]),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {allowed}, got {getattr(self, name)!r}.")


def check_means(means, shape):
    """Means to start from as a float64 array of a shape."""
    means = np.array(means, dtype=np.float64)
    if means.shape != shape or not np.isfinite(means).all():
        raise ValueError(
            f"means_init must be finite numbers of shape {shape}, a row for each component in the "
            f"coordinates of the metric; got shape {means.shape}."
        )
    return means
