"""RiemannianNormal: locally adaptive normal distributions and their mixtures."""

from __future__ import annotations

import numbers
import warnings
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state, check_scalar
from sklearn.utils.validation import check_is_fitted

from ._blocks import by_blocks
from ._metric import MetricConsumerMixin
from ._progress import Progress
from .geometry import Metric, RiemannianMetric, clustering, normal, proposal
from .geometry.types import FloatArray, RandomState

if TYPE_CHECKING:
    from typing_extensions import Self

# Points per component to integrate with: for a first fit, the fit, and the constants.
N_FIRST, N_FITTING, N_FINAL = 256, 1024, 2048
# Starting values come from a sample of this size, and from the best of so many runs of k-means.
N_SAMPLE, N_KMEANS = 300, 3
# Share of every point that the first assignment leaves open.
UNDECIDED = 1e-2
# A batch of candidates in rejection sampling.
MIN_CANDIDATES = 64
# This share of the curves may run out of iterations before there is a warning.
MAX_MISSED = 0.02


class RiemannianNormal(MetricConsumerMixin, DensityMixin, BaseEstimator):
    """Normal distribution along geodesics, or a mixture of several.

    Like :class:`sklearn.mixture.GaussianMixture`, with the Mahalanobis distance measured along
    geodesics: the locally adaptive normal distribution (LAND). Its density with respect to
    Riemannian volume is

        p(x) = exp(-1/2 v' S^-1 v) / C,   v = Log_m(x),

    with the mean m and the covariance S of tangent vectors at m, in the coordinates of the
    space. On a flat space it is the Gaussian.

    Parameters
    ----------
    n_components : int, default=1
        Number of mixture components.
    covariance_type : {"full", "diag"}, default="full"
        Whether covariances are any or diagonal in the coordinates of the space.
    metric : "auto", "local", metric or estimator, default="auto"
        Where the geometry comes from; see :class:`RiemannianKMeans`.
    tol : float, default=1e-3
        A run ends when an iteration gains less mean log-likelihood, in nats.
    reg_covar : float, default=1e-6
        Added to the diagonal of the covariances of tangent vectors.
    max_iter : int, default=100
        Largest number of iterations of a run.
    n_init : int, default=1
        Number of runs, of which the one with the largest likelihood is kept.
    init_params : {"kmeans", "k-means++", "random_from_data"}, default="kmeans"
        Where a run starts: from the clusters of geodesic k-means, from its seeds, or from
        points drawn at random.
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
    covariances_ : ndarray of shape (n_components, n_dims, n_dims) or (n_components, n_dims)
        Covariances of tangent vectors at the means, in coordinates; their diagonals for
        ``covariance_type="diag"``.
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
        The same after every iteration of the best run: they never fall by more than the
        constants are uncertain.
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
    integrals over the space, by importance sampling with quasi-random points around the data,
    so that the density integrates to one even where geodesics meet again. And covariances are
    maximised exactly, as the likelihood is concave in their inverses. A component whose share
    of the samples falls below a thousandth of one is seeded again where the density is lowest;
    the likelihood may fall at that iteration.

    References
    ----------
    Arvanitidis, Hansen and Hauberg, *A locally adaptive normal distribution*, NIPS 2016.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skriem import RiemannianNormal, VAETransformer
    >>> X = load_iris().data[::3]
    >>> vae = VAETransformer(bandwidth=2.0, contrast=5, random_state=0).fit(X)
    >>> codes = vae.transform(X)
    >>> density = RiemannianNormal(random_state=0).fit(codes)
    >>> density.score_samples(codes).shape
    (50,)
    >>> vae.inverse_transform(density.sample(2)[0]).shape
    (2, 4)
    """

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: Literal["full", "diag"] = "full",
        metric: Literal["auto", "local"] | Metric | BaseEstimator = "auto",
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: Literal["kmeans", "k-means++", "random_from_data"] = "kmeans",
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
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Estimate the parameters by expectation maximisation.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data, or points that carry a metric; see the parameter `metric`.
        y : Ignored

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ValueError
            If there are fewer samples than components, or the metric has no tangent vectors:
            that of :class:`NeighborEncoder` has none.

        Warns
        -----
        ConvergenceWarning
            If the best run ended early.
        """
        self._fit(X)
        return self

    def fit_predict(self, X: ArrayLike, y: object = None) -> NDArray[np.intp]:
        """Fit, and return the most probable component of every sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data, or points that carry a metric; see the parameter `metric`.
        y : Ignored

        Returns
        -------
        ndarray of shape (n_samples,)
            Integers below `n_components`.
        """
        return self._log_joint(self._fit(X)).argmax(1)

    @by_blocks
    def score_samples(
        self, X: ArrayLike, *, measure: Literal["lebesgue", "riemannian"] = "lebesgue"
    ) -> FloatArray:
        """Log density of every sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Of the same kind as in ``fit``.
        measure : {"lebesgue", "riemannian"}, default="lebesgue"
            What the density is with respect to: the volume of the coordinates, which makes it
            comparable with other densities of the same codes, or Riemannian volume.

        Returns
        -------
        ndarray of shape (n_samples,)
            In nats. Where an encoder was fitted, this is the density of the codes.

        Raises
        ------
        ValueError
            If `X` carry another metric than `metric_`, or `measure` is unknown.
        """
        if measure not in ("lebesgue", "riemannian"):
            raise ValueError(f"measure must be 'lebesgue' or 'riemannian', got {measure!r}.")
        points = self._points(X)
        log_density = np.logaddexp.reduce(self._log_joint(points), axis=1)
        if measure == "riemannian":
            return log_density
        return log_density + self.metric_.log_volume(points)

    def score(self, X: ArrayLike, y: object = None) -> float:
        """Mean log density of the samples, by Lebesgue measure; see :meth:`score_samples`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Of the same kind as in ``fit``.
        y : Ignored

        Returns
        -------
        float
            In nats; the larger the better.
        """
        return float(self.score_samples(X).mean())

    @by_blocks
    def predict(self, X: ArrayLike) -> NDArray[np.intp]:
        """Most probable component of every sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Of the same kind as in ``fit``.

        Returns
        -------
        ndarray of shape (n_samples,)
            Integers below `n_components`.
        """
        return self._log_joint(self._points(X)).argmax(1)

    @by_blocks
    def predict_proba(self, X: ArrayLike) -> FloatArray:
        """Probability of every component given the sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Of the same kind as in ``fit``.

        Returns
        -------
        ndarray of shape (n_samples, n_components)
            Rows add up to one.
        """
        joint = self._log_joint(self._points(X))
        return np.exp(joint - np.logaddexp.reduce(joint, axis=1, keepdims=True))

    def bic(self, X: ArrayLike) -> float:
        """Bayesian information criterion; the lower the better.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Of the same kind as in ``fit``.

        Returns
        -------
        float
            Minus twice the log-likelihood, by Lebesgue measure, plus the number of free
            parameters times the logarithm of the number of samples. As for
            :class:`sklearn.mixture.GaussianMixture`, so that the two compare.
        """
        points = self._points(X)
        return -2.0 * len(points) * self.score(X) + self._n_parameters() * np.log(len(points))

    def aic(self, X: ArrayLike) -> float:
        """Akaike information criterion; the lower the better.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Of the same kind as in ``fit``.

        Returns
        -------
        float
            Minus twice the log-likelihood plus twice the number of free parameters.
        """
        return -2.0 * len(self._points(X)) * self.score(X) + 2.0 * self._n_parameters()

    def sample(
        self, n_samples: int = 1, *, random_state: RandomState = None
    ) -> tuple[FloatArray, NDArray[np.intp]]:
        """Draw points from the distribution.

        Parameters
        ----------
        n_samples : int, default=1
            How many, at least 1.
        random_state : int, RandomState instance or None, default=None
            An int makes the points reproducible; None draws others in every call.

        Returns
        -------
        X : ndarray of shape (n_samples, n_dims)
            In the coordinates of `metric_`, grouped by component. Decode them with the
            encoder's ``inverse_transform``.
        y : ndarray of shape (n_samples,)
            Their components.

        Notes
        -----
        By rejection from the points' kernel density. The bound on the ratio of the densities
        is the largest that was met among all points so far.
        """
        check_is_fitted(self)
        check_scalar(n_samples, "n_samples", numbers.Integral, min_val=1)
        rng = check_random_state(random_state)
        counts = rng.multinomial(n_samples, self.weights_)
        points = [self._draw(k, count, rng) for k, count in enumerate(counts) if count]
        return np.concatenate(points), np.repeat(np.arange(len(counts)), counts)

    # Fitting -----------------------------------------------------------------------------

    def _fit(self, X):
        self._check_parameters()
        values, rng = self._fit_metric(X)
        if not isinstance(self.metric_, RiemannianMetric):
            raise ValueError(
                "Normal distributions need tangent vectors, and the nearest-neighbour metric has "
                "none. Use a VAETransformer instead of a NeighborEncoder."
            )
        if self.n_components > len(values):
            raise ValueError(
                f"n_samples={len(values)} should be >= n_components={self.n_components}."
            )
        points = self._embed_values(values)
        z = torch.as_tensor(points)
        with Progress("RiemannianNormal", "iteration", None, self.verbose) as progress:
            runs = [self._run(z, rng, progress) for _ in range(self.n_init)]
        best = max(runs, key=lambda run: run.history[-1])
        if not best.converged:
            warnings.warn(
                f"Expectation maximisation did not converge in {self.max_iter} iterations; "
                "raise max_iter or tol.",
                ConvergenceWarning,
                stacklevel=3,
            )
        order = torch.argsort(best.mixture.weights, descending=True)
        mixture = normal.Mixture(*(part[order] for part in best.mixture))
        self.weights_, self.means_ = mixture.weights.numpy(), mixture.means.numpy()
        covariances = torch.linalg.inv(mixture.precisions)
        covariances = 0.5 * (covariances + covariances.mT)
        if self.covariance_type == "diag":
            covariances = covariances.diagonal(dim1=1, dim2=2)
        self.covariances_: FloatArray = covariances.numpy()
        self.converged_, self.n_iter_ = best.converged, len(best.history)
        self._settle(best.points[order], best.shares[order], rng)
        log_volume = self.metric_.log_volume(points).mean()
        self.lower_bounds_: list[float] = [value + log_volume for value in best.history]
        self.lower_bound_ = self.lower_bounds_[-1]
        return points

    def _run(self, z, rng, progress):
        """One run: roughly, on a sample if there are many points, then on all of them."""
        options = {
            "diagonal": self.covariance_type == "diag",
            "reg_covar": self.reg_covar,
            "tol": self.tol,
            "max_iter": self.max_iter,
            "report": lambda value: progress.step(f"log-likelihood {value:.6g}"),
        }
        some = z
        if len(z) > 2 * N_SAMPLE:
            some = z[np.sort(rng.choice(len(z), max(N_SAMPLE, self.n_components), replace=False))]
        start, members = self._start(some, rng)

        def refer(z, members, n):
            return self._reference(z.expand(members.shape[1], -1, -1), members.mT, n, rng)

        rough = normal.fit_mixture(
            self.metric_,
            some,
            start,
            members,
            refer(some, members, N_FIRST),
            lambda members: refer(some, members, N_FIRST),
            **options,
        )
        return normal.fit_mixture(
            self.metric_,
            z,
            rough.mixture,
            None,
            self._reference(rough.points, rough.shares, N_FITTING, rng),
            lambda members: refer(z, members, N_FITTING),
            **options,
        )

    def _start(self, z, rng):
        """Components without precisions, and every point a member of the nearest."""
        k = self.n_components
        if self.init_params == "random_from_data":
            means = z[np.sort(rng.choice(len(z), k, replace=False))]
        else:
            weights = torch.ones(len(z), dtype=z.dtype)

            def seeds():
                return z[clustering.seed(self.metric_, z, k, weights, rng)]

            if self.init_params == "k-means++":
                means = seeds()
            else:
                runs = [
                    clustering.lloyd(self.metric_, z, seeds(), weights, 100, 1e-3)
                    for _ in range(N_KMEANS if k > 1 else 1)
                ]
                means = min(runs, key=lambda run: run.inertia[-1]).centers
        labels = clustering.assign(self.metric_, z, means).labels
        # Not quite, so that no component is without points where means coincide.
        members = (1.0 - UNDECIDED) * torch.nn.functional.one_hot(labels, k).to(z) + UNDECIDED / k
        return normal.Mixture(None, means, None), members

    def _kernels(self, places, shares):
        """A density for each component, around places (k, m, d) by their shares (k, m)."""
        return [proposal.kernel_density(*one, self.reg_covar) for one in zip(places, shares)]

    def _reference(self, places, shares, n, rng):
        """Points to integrate every component with, drawn around places by their shares."""
        return self._drawn(self._kernels(places, shares), n, rng)

    def _drawn(self, kernels, n, rng):
        """Points to integrate every component with, drawn from a density for each."""
        points, log_mass = [], []
        for kernel in kernels:
            uniforms = proposal.even_uniforms(
                n // proposal.N_REPLICATES, self.metric_.n_dims + 1, rng
            )
            points.append(proposal.draw(kernel, uniforms))
            log_volume = self.metric_.log_volume(points[-1])
            log_mass.append(log_volume - proposal.log_density(kernel, points[-1]) - np.log(n))
        return normal.Reference(torch.stack(points), torch.stack(log_mass))

    def _settle(self, points, shares, rng):
        """The constants, by points that the fit has not seen, drawn from about the components
        themselves: around those that the fit integrated with, each by what it added."""
        kernels = self._kernels(points, shares)
        reference = self._drawn(kernels, N_FINAL, rng)
        stars = self._connect(reference.points)
        lost = ~stars.logs.isfinite().all(-1)
        logs = stars.logs.masked_fill(lost[..., None], 0.0)
        log_mass = reference.log_mass.masked_fill(lost, -torch.inf)
        found = normal.log_normalizers(logs, self._precisions(), log_mass)
        self.log_normalizers_, self.normalizer_stderr_ = (part.numpy() for part in found)
        # What sampling needs: where candidates come from, and the largest ratio of densities.
        ratios = normal.log_terms(logs, self._precisions(), log_mass)
        self._proposals = [
            [tuple(field.numpy() for field in part) for part in kernel] for kernel in kernels
        ]
        self._log_bounds = (ratios.max(1).values + np.log(N_FINAL)).numpy()

    def _draw(self, k, count, rng):
        """Points of one component, by rejection."""
        kernel = [proposal.Gaussians(*map(torch.as_tensor, part)) for part in self._proposals[k]]
        precision = self._precisions()[k]
        accepted, bound = [], self._log_bounds[k]
        rate = np.exp(self.log_normalizers_[k] - bound)
        while (missing := count - sum(map(len, accepted))) > 0:
            n = max(MIN_CANDIDATES, int(1.2 * missing / rate))
            uniforms = torch.as_tensor(rng.uniform(size=(n, self.metric_.n_dims + 1)))
            points = proposal.draw(kernel, uniforms)
            logs = self._connect(points[None], [k]).logs[0]
            ratios = self.metric_.log_volume(points) - proposal.log_density(kernel, points)
            ratios = (ratios - 0.5 * normal.squared_norms(logs, precision)).nan_to_num(-torch.inf)
            bound = max(bound, float(ratios.max()))
            accepted.append(points.numpy()[rng.uniform(size=n) < np.exp(ratios.numpy() - bound)])
        return np.concatenate(accepted)[:count]

    # Densities ---------------------------------------------------------------------------

    def _precisions(self):
        covariances = torch.as_tensor(self.covariances_)
        if self.covariance_type == "diag":
            covariances = torch.diag_embed(covariances)
        return torch.linalg.inv(covariances)

    def _connect(self, points, components=slice(None)):
        """Curves from the means of components to their points (k, n, d)."""
        means = torch.as_tensor(self.means_[components])
        return normal.connect(self.metric_, means, points, normal.N_FINE, normal.FINE_ITER)

    def _log_joint(self, points):
        """Log of weight times density by Riemannian volume, (n, n_components)."""
        z = torch.as_tensor(points)
        stars = self._connect(z.expand(self.n_components, -1, -1))
        clustering.check_reached(stars.logs.isfinite().all(-1).all(0))
        mixture = normal.Mixture(
            torch.as_tensor(self.weights_), torch.as_tensor(self.means_), self._precisions()
        )
        joint = normal.log_components(stars.logs, mixture, torch.as_tensor(self.log_normalizers_))
        # What matters is the curve from the component that the point most likely belongs to.
        finished = stars.converged.mT.gather(1, joint.argmax(1, keepdim=True))
        if (~finished).double().mean() > MAX_MISSED:
            warnings.warn(
                f"{int((~finished).sum())} of {len(z)} geodesics to the samples were still "
                "getting shorter when the iterations ran out: their densities are a little low.",
                ConvergenceWarning,
                stacklevel=3,
            )
        return joint.numpy()

    def _n_parameters(self):
        d = self.metric_.n_dims
        of_covariance = d if self.covariance_type == "diag" else d * (d + 1) // 2
        return self.n_components * (d + of_covariance + 1) - 1

    def _check_parameters(self):
        for name in ("n_components", "max_iter", "n_init"):
            check_scalar(getattr(self, name), name, numbers.Integral, min_val=1)
        for name in ("tol", "reg_covar"):
            check_scalar(getattr(self, name), name, numbers.Real, min_val=0)
        for name, allowed in (
            ("covariance_type", ["full", "diag"]),
            ("init_params", ["kmeans", "k-means++", "random_from_data"]),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {allowed}, got {getattr(self, name)!r}.")
