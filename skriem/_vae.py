"""VAETransformer: a variational autoencoder whose codes know their geometry."""

import math
import numbers

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from ._latent import attach_metric
from .geometry import PullbackMetric
from .nn.embedding import DecoderEmbedding
from .nn.mlp import ACTIVATIONS, init_mlp, mlp
from .nn.precision import bandwidth_rates, fit_rbf_weights, rbf_features
from .nn.train import NOISE_FLOOR, encode, train

MAX_CENTERS = 200
SAMPLES_PER_CENTER = 8
MAX_GRAPH_POINTS = 1000


class _VAE(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
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
        contrast=100.0,
        alpha=1e-5,
        batch_size="auto",
        learning_rate_init=3e-3,
        max_iter=200,
        tol=1e-3,
        n_iter_no_change=20,
        early_stopping=False,
        validation_fraction=0.1,
        warm_start=False,
        device="auto",
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
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.warm_start = warm_start
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X, y=None):
        X = validate_data(self, X, dtype=[np.float64, np.float32], ensure_min_samples=2)
        rng = check_random_state(self.random_state)
        device = self._torch_device()
        generator = torch.Generator(device=device).manual_seed(int(rng.randint(2**31 - 1)))
        self._init_scale(X)
        self._init_networks(X, rng)
        history = self._train(X, generator, device)
        self.loss_curve_ = history.loss
        self.n_iter_ = len(history.loss)
        self._fit_metric(X, rng)
        return self

    def _torch_device(self):
        if self.device == "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        return torch.device(self.device)

    def _init_scale(self, X):
        X = X.astype(np.float64)
        self._center = X.mean(axis=0)
        variance = X.var(axis=0)
        varying = variance > (1e-7 * np.abs(self._center)) ** 2
        self._n_varying = max(1, int(varying.sum()))
        self._scale = float(np.sqrt(variance[varying].mean())) if varying.any() else 1.0

    def _init_networks(self, X, rng):
        n, m = X.shape
        d = self.n_components
        X = self._scaled(X)
        pca = PCA(n_components=min(d, n, m), random_state=rng.randint(2**31 - 1)).fit(X)
        std = np.sqrt(pca.explained_variance_)
        std = np.where(std > 1e-6 * max(1e-300,std[0]), std, np.inf)
        encoder_skip = np.zeros((2 * d, m))
        encoder_skip[: len(std)] = pca.components_ / std[:, None]
        bias = np.zeros(2 * d)
        bias[d:] = -2.0
        decoder_skip = np.zeros((m, d))
        decoder_skip[:, : len(std)] = pca.components_.T * np.where(np.isfinite(std), std, 0.0)
        hidden = list(self.hidden_layer_sizes)
        generator = torch.Generator().manual_seed(int(rng.randint(2**31 - 1)))
        self._encoder = init_mlp([m, *hidden, 2 * d], (encoder_skip, bias), generator)
        self._decoder = init_mlp(
            [d, *hidden[::-1], m], (decoder_skip, np.zeros(m)), generator
        )

    def _scaled(self, X):
        return (X.astype(np.float64) - self._center) / self._scale

    def _train(self, X, generator, device):
        x = torch.as_tensor(self._scaled(X), dtype=torch.float32, device=device)
        encoder = [tuple(p.to(device) for p in pair) for pair in self._encoder]
        decoder = [tuple(p.to(device) for p in pair) for pair in self._decoder]
        batch_size = self.batch_size
        if batch_size == "auto":
            batch_size = min(200, max(16, len(X) // 10))
        history = train(
            x, encoder, decoder, self.activation, n_outputs=self._n_varying,
            batch_size=batch_size, learning_rate=self.learning_rate_init,
            weight_decay=self.alpha, max_iter=self.max_iter, warm_up=self.max_iter // 4,
            tol=self.tol, n_iter_no_change=self.n_iter_no_change, generator=generator,
        )
        self._encoder = [tuple(p.cpu().numpy() for p in pair) for pair in encoder]
        self._decoder = [tuple(p.cpu().numpy() for p in pair) for pair in decoder]
        return history

    def _fit_metric(self, X, rng):
        x = torch.as_tensor(self._scaled(X))
        z = self._encode(x)
        decoder = [tuple(torch.as_tensor(p, dtype=torch.float64) for p in pair) for pair in self._decoder]
        precision = None
        if self.precision == "rbf":
            n_centers = self.n_centers
            if n_centers == "auto":
                n_centers = min(MAX_CENTERS, max(1, len(X) // SAMPLES_PER_CENTER))
            kmeans = KMeans(n_centers, n_init=1, random_state=rng.randint(2**31 - 1))
            kmeans.fit(z.numpy())
            centers = torch.as_tensor(kmeans.cluster_centers_)
            labels = torch.as_tensor(kmeans.labels_, dtype=torch.long)
            rates = bandwidth_rates(z, labels, centers, self.bandwidth)
            residual = (x - mlp(z, decoder, self.activation)).square()
            weights, floor = fit_rbf_weights(
                rbf_features(z, centers, rates), residual, self.contrast, NOISE_FLOOR**2
            )
            precision = dict(centers=centers, rates=rates, weights=weights, floor=floor)
        embedding = DecoderEmbedding(
            self._decoder, self.activation, self._center, self._scale, precision
        )
        points = z.numpy()
        if len(points) > MAX_GRAPH_POINTS:
            points = points[np.sort(rng.choice(len(points), MAX_GRAPH_POINTS, replace=False))]
        self.metric_ = PullbackMetric(embedding, self.n_components, points)

    def _encode(self, x):
        encoder = [tuple(torch.as_tensor(p, dtype=x.dtype, device=x.device) for p in pair) for pair in self._encoder]
        return encode(x, encoder, self.activation)[0]

    def transform(self, X):
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        z = self._encode(torch.as_tensor(self._scaled(X)))
        return z.numpy().astype(X.dtype, copy=False)

    @property
    def _n_features_out(self):
        return self.n_components


class VAETransformer(_VAE):
    def transform(self, X):
        return attach_metric(super().transform(X), self.metric_)
