"""Training, encoding, decoding and likelihoods of a Gaussian variational autoencoder."""

import math
import numbers
import warnings

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state, check_scalar
from sklearn.utils.validation import check_is_fitted, validate_data

from ._blocks import by_blocks
from ._progress import Progress
from ._rows import check_weights, distinct_rows
from ._vae_parts import (
    arrays,
    check_parameters,
    data_scale,
    fit_precision,
    fit_variance_network,
    nearest_rows,
    pca_networks,
    tensors,
    torch_generator,
)
from .geometry import PullbackMetric
from .nn.embedding import DecoderEmbedding
from .nn.likelihood import log_weights
from .nn.mlp import mlp
from .nn.train import NOISE_FLOOR, encode, train

MAX_CENTERS = 64
SAMPLES_PER_CENTER = 8
MAX_GRAPH_POINTS = 1000
# Rows kept by partial_fit to estimate the noise and the graph from.
MAX_RESERVOIR = 2000
# Steps from neighbour to neighbour between samples whose codes attract each other.
N_STEPS = 6


class _VAE(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Everything but the metric on the codes; see :class:`skriem.VAETransformer`.

    scikit-learn wraps the ``transform`` of every class to honour ``set_output``. The metric has
    to go on after that, hence a class above this one.
    """

    def __init__(
        self,
        n_components=2,
        *,
        hidden_layer_sizes=(64, 32),
        activation="tanh",
        likelihood="gaussian",
        precision="rbf",
        n_centers="auto",
        bandwidth=1.0,
        contrast=30.0,
        alpha=1e-5,
        flatness=0.0,
        n_neighbors=0,
        attraction=0.0,
        batch_size="auto",
        learning_rate_init=3e-3,
        max_iter=200,
        tol=1e-3,
        n_iter_no_change=20,
        early_stopping=False,
        validation_fraction=0.1,
        warm_start=False,
        device="auto",
        mixed_precision=False,
        random_state=None,
        verbose=0,
    ):
        self.n_components = n_components
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.likelihood = likelihood
        self.precision = precision
        self.n_centers = n_centers
        self.bandwidth = bandwidth
        self.contrast = contrast
        self.alpha = alpha
        self.flatness = flatness
        self.n_neighbors = n_neighbors
        self.attraction = attraction
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.warm_start = warm_start
        self.device = device
        self.mixed_precision = mixed_precision
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X, y=None, sample_weight=None):
        """Train the autoencoder, then the precision network on its codes.

        The result depends on the weighted set of distinct rows only: neither their order nor
        whether a row is repeated or has a larger weight matters. An interrupt from the keyboard
        during training ends it there, with a warning and a model that can be used.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data, at least two different rows, without missing values.
        y : Ignored
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights; None weighs all rows alike.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ValueError
            If all rows are the same, or training diverges: the loss is no longer finite.

        Warns
        -----
        ConvergenceWarning
            If training was interrupted.
        """
        check_parameters(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], ensure_min_samples=2)
        X, weights = distinct_rows(X, check_weights(sample_weight, X))
        if len(X) < 2:
            raise ValueError("All rows of X are the same: there is nothing to encode.")
        rng = check_random_state(self.random_state)
        warm = self.warm_start and self._continues()
        if not warm:
            self._init(X, weights, rng)
        warm_up = 0 if warm else self.max_iter // 4
        neighbors = None
        if self.n_neighbors:
            neighbors = nearest_rows(self._scaled(X), self.n_neighbors)
        history = self._train(X, weights, rng, self.max_iter, warm_up, neighbors)
        self.loss_curve_ = history.loss
        if self.attraction > 0.0 and not history.interrupted:
            # Codes tell better who is a neighbour of whom than the data do.
            neighbors = nearest_rows(self._codes(X).numpy(), self.n_neighbors)
            history = self._train(
                X, weights, rng, self.max_iter, 0, neighbors, N_STEPS, self.attraction
            )
            self.loss_curve_ = self.loss_curve_ + history.loss
        self.n_iter_ = len(self.loss_curve_)
        self._fit_metric(X, weights, rng)
        self._reservoir = None
        return self

    def partial_fit(self, X, y=None):
        """Train for one pass over `X`, for data that come in parts.

        The first call fixes the scale of the data and the shape of the networks. Noise and
        geometry are estimated anew each time, from a uniform sample of at most 2000 of the rows
        seen by ``partial_fit`` so far.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The next part of the data; at least two rows in the first call.
        y : Ignored

        Returns
        -------
        self
            The fitted estimator.
        """
        check_parameters(self)
        first = not hasattr(self, "_encoder")
        X = validate_data(
            self,
            X,
            dtype=[np.float64, np.float32],
            reset=first,
            ensure_min_samples=2 if first else 1,
        )
        rng = check_random_state(self.random_state)
        weights = np.ones(len(X))
        if first:
            self._init(X, weights, rng)
            self.loss_curve_, self.n_iter_ = [], 0
        self.loss_curve_ = self.loss_curve_ + self._train(X, weights, rng, 1, 0).loss
        self.n_iter_ += 1
        # Every row ever seen gets a random key; those with the largest keys are kept.
        rows, keys = X, rng.uniform(size=len(X))
        if getattr(self, "_reservoir", None) is not None:
            rows = np.concatenate([self._reservoir[0], rows])
            keys = np.concatenate([self._reservoir[1], keys])
        kept = np.sort(np.argsort(-keys, kind="stable")[:MAX_RESERVOIR])
        self._reservoir = rows[kept], keys[kept]
        rows, weights = distinct_rows(rows[kept], np.ones(len(kept)))
        self._fit_metric(rows, weights, rng)
        return self

    @by_blocks
    def transform(self, X):
        """Encode data as latent codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data, in the units of those of ``fit``.

        Returns
        -------
        ndarray of shape (n_samples, n_components)
            Means of the approximate posterior, float64 or, for float32 input, float32. The
            array carries the decoder's metric; so does a pandas data frame, in ``attrs``.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        return self._codes(X).numpy().astype(X.dtype, copy=False)

    def inverse_transform(self, Z):
        """Decode codes to the means of the data they stand for.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_components)
            Codes.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            In the units of the data, float64.

        Raises
        ------
        ValueError
            If `Z` has another number of columns.
        """
        check_is_fitted(self)
        Z = np.array(Z, dtype=np.float64, subok=False)
        if Z.ndim != 2 or Z.shape[1] != self.n_components:
            raise ValueError(
                f"Codes must have shape (n_samples, {self.n_components}), got {Z.shape}."
            )
        return self._embedding.mean(torch.as_tensor(Z)).numpy()

    @by_blocks
    def score_samples(self, X, n_samples=100):
        """Log-likelihood of every row, estimated by importance sampling.

        Codes are drawn from the encoder's posterior and from wider ones around it (Burda,
        Grosse and Salakhutdinov, *Importance weighted autoencoders*, ICLR 2016); the estimate
        is a lower bound in expectation and rises to the true value with `n_samples`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        n_samples : int, default=100
            Draws per row.

        Returns
        -------
        ndarray of shape (n_samples,)
            In nats, with respect to Lebesgue measure in the units of the data.
        """
        found = torch.logsumexp(self._log_weights(X, n_samples), dim=1)
        return (found - math.log(n_samples)).numpy()

    def evidence_lower_bound(self, X, n_samples=100):
        """Evidence lower bound of every row's log-likelihood.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data, in the units of those of ``fit``.
        n_samples : int, default=100
            Draws per row from the encoder's posterior.

        Returns
        -------
        ndarray of shape (n_samples,)
            In nats, with respect to Lebesgue measure in the units of the data.
        """
        return self._log_weights(X, n_samples, widths=(1.0,)).mean(1).numpy()

    def _log_weights(self, X, n_samples, **options):
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        check_scalar(n_samples, "n_samples", numbers.Integral, min_val=1)
        generator = torch_generator(check_random_state(self.random_state), torch.device("cpu"))
        posterior = encode(
            torch.as_tensor(self._scaled(X)), tensors(self._encoder), self.activation
        )
        return log_weights(
            torch.as_tensor(np.array(X, order="C")),
            *posterior,
            self._embedding,
            n_samples,
            generator,
            **options,
        )

    def score(self, X, y=None):
        """Mean log-likelihood of the rows; see :meth:`score_samples`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data, in the units of those of ``fit``.
        y : Ignored

        Returns
        -------
        float
            In nats; the larger the better.
        """
        return float(self.score_samples(X).mean())

    def sample(self, n_samples=1, *, noise=True, random_state=None):
        """Draw codes from the standard normal prior and decode them.

        Parameters
        ----------
        n_samples : int, default=1
            How many.
        noise : bool, default=True
            Whether to add the decoder's noise or return its mean.
        random_state : int, RandomState instance or None, default=None
            An int makes the rows reproducible; None draws others in every call.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            In the units of the data.
        """
        check_is_fitted(self)
        check_scalar(n_samples, "n_samples", numbers.Integral, min_val=1)
        rng = check_random_state(random_state)
        z = torch.as_tensor(rng.standard_normal((n_samples, self.n_components)))
        X = self._embedding.mean(z).numpy()
        if noise:
            X = X + self._embedding.std(z).numpy() * rng.standard_normal(X.shape)
        return X

    def _device(self):
        if self.device != "auto":
            return torch.device(self.device)
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def _continues(self):
        """Whether the present weights fit the parameters and the data, for a warm start."""
        if not hasattr(self, "_encoder"):
            return False
        sizes = [self.n_features_in_, *self.hidden_layer_sizes, 2 * self.n_components]
        return [weight.shape[0] for weight, _ in self._encoder[1:]] == sizes[1:] and (
            self._encoder[1][0].shape[1] == sizes[0]
        )

    # Training ----------------------------------------------------------------------------

    def _init(self, X, weights, rng):
        self._center, self._scale, self._n_varying = data_scale(X, weights)
        self._encoder, self._decoder = pca_networks(
            self._scaled(X), weights, self.n_components, list(self.hidden_layer_sizes), rng
        )

    def _scaled(self, X):
        return (X.astype(np.float64) - self._center) / self._scale

    def _train(self, X, weights, rng, max_iter, warm_up, neighbors=None, n_steps=1, attraction=0.0):
        device = self._device()
        x = torch.as_tensor(self._scaled(X), dtype=torch.float32, device=device)
        w = torch.as_tensor(weights / weights.mean(), dtype=torch.float32, device=device)
        held_out = None
        if self.early_stopping:
            n_held_out = math.ceil(self.validation_fraction * len(x))
            if n_held_out >= len(x):
                raise ValueError(
                    f"early_stopping needs more than {len(x)} distinct samples to hold out "
                    f"validation_fraction={self.validation_fraction} of them."
                )
            order = torch.as_tensor(rng.permutation(len(x)), device=device)
            if neighbors is not None:
                raise ValueError("early_stopping does not go together with n_neighbors.")
            held_out = x[order[:n_held_out]], w[order[:n_held_out]]
            x, w = x[order[n_held_out:]], w[order[n_held_out:]]
        batch_size = self.batch_size
        if batch_size == "auto":
            batch_size = min(200, max(16, len(x) // 10))
        if neighbors is not None:
            neighbors = torch.as_tensor(neighbors, device=device)
        encoder = tensors(self._encoder, torch.float32, device)
        decoder = tensors(self._decoder, torch.float32, device)
        with Progress("VAETransformer", "epoch", max_iter, self.verbose) as progress:
            history = train(
                x,
                w,
                encoder,
                decoder,
                self.activation,
                n_outputs=self._n_varying,
                batch_size=batch_size,
                learning_rate=self.learning_rate_init,
                weight_decay=self.alpha,
                flatness=self.flatness,
                max_iter=max_iter,
                warm_up=warm_up,
                tol=self.tol,
                n_iter_no_change=self.n_iter_no_change,
                generator=torch_generator(rng, device),
                mixed_precision=self.mixed_precision,
                neighbors=neighbors,
                n_steps=n_steps,
                attraction=attraction,
                held_out=held_out,
                on_epoch=lambda loss: progress.step(f"loss {loss:.6g}"),
            )
        if history.interrupted:
            warnings.warn(
                f"Training was interrupted after {len(history.loss)} of {max_iter} epochs. The "
                "model is complete and as good as it was then.",
                ConvergenceWarning,
                stacklevel=3,
            )
        if not math.isfinite(history.loss[-1]):
            raise ValueError(
                "Training diverged: the loss is no longer finite. Lower learning_rate_init "
                f"(now {self.learning_rate_init})."
            )
        self._encoder, self._decoder = arrays(encoder), arrays(decoder)
        return history

    # Geometry ----------------------------------------------------------------------------

    def _fit_metric(self, X, weights, rng):
        """Precision network on the codes of the trained encoder, and the metric of it all."""
        codes, precision = self._codes(X), None
        z, squared_errors = self._posterior_errors(X, rng)
        weights = torch.as_tensor(weights)
        if self.precision == "rbf":
            n_centers = self.n_centers
            if n_centers == "auto":
                n_centers = min(MAX_CENTERS, max(1, len(codes) // SAMPLES_PER_CENTER))
            precision = fit_precision(
                codes, z, squared_errors, weights, n_centers, self.bandwidth, self.contrast, rng
            )
        elif self.precision == "mlp":
            precision = fit_variance_network(
                z, squared_errors, weights, self.hidden_layer_sizes[::-1], torch_generator(rng)
            )
        noise = float((weights @ squared_errors.mean(1) / weights.sum()).sqrt())
        self._embedding = DecoderEmbedding(
            self._decoder, self.activation, self._center, self._scale, noise, precision
        )
        points = codes.numpy()
        if len(points) > MAX_GRAPH_POINTS:
            points = points[np.sort(rng.choice(len(points), MAX_GRAPH_POINTS, replace=False))]
        self.metric_ = PullbackMetric(self._embedding, self.n_components, points)
        self._n_features_out = self.n_components

    def _posterior_errors(self, X, rng):
        """A code drawn from every row's posterior, and the decoder's squared errors there."""
        x = torch.as_tensor(self._scaled(X))
        mean, log_variance = encode(x, tensors(self._encoder), self.activation)
        noise = torch.as_tensor(rng.standard_normal(mean.shape))
        z = mean + torch.exp(0.5 * log_variance) * noise
        decoded = mlp(z, tensors(self._decoder), self.activation)
        return z, (x - decoded).square() + NOISE_FLOOR**2

    def _codes(self, X):
        x = torch.as_tensor(self._scaled(X))
        return encode(x, tensors(self._encoder), self.activation)[0]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
