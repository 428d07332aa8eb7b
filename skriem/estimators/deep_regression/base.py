"""What estimators of deep regression networks share: parameters, learning, stored arrays."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from sklearn.utils import check_scalar

from ...geometry.types import FloatArray, RandomState
from ...nn.likelihoods import LIKELIHOODS
from ...nn.regression.inference import most_probable
from ...nn.regression.network import RegressionNetwork
from ...nn.regression.training import first_block, stacked, train
from ...support.fitting import check_training, training_device
from ...support.progress import Progress
from ...support.rows import check_number, validated
from ...support.state import Estimator
from ..autoencoder.networks import check_sizes
from ..autoencoder.parts import data_scale, torch_generator

SHARES_ON = 0.05, 0.3
KINDS = "bernoulli", "gaussian"


class _DeepRegression(Estimator):
    """Parameters and learning; see :class:`skriem.DeepRegressionTransformer`."""

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int] = (32, 8),
        *,
        likelihood: Literal["bernoulli", "gaussian"] = "gaussian",
        alpha: float = 1e-3,
        batch_size: int | Literal["auto"] = "auto",
        learning_rate_init: float = 0.03,
        max_iter: int = 60,
        tol: float = 1e-3,
        n_iter_no_change: int = 10,
        warm_start: bool = False,
        device: str = "auto",
        random_state: RandomState = None,
        verbose: int = 0,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.likelihood = likelihood
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def _check_parameters(self):
        check_sizes(self.hidden_layer_sizes, "hidden_layer_sizes")
        if self.likelihood not in KINDS:
            raise ValueError(f"likelihood must be one of {KINDS}, got {self.likelihood!r}.")
        if self.batch_size != "auto":
            check_scalar(self.batch_size, "batch_size", numbers.Integral, min_val=1)
        check_number(
            self.learning_rate_init, "learning_rate_init", min_val=0, include_boundaries="neither"
        )
        for name in ("alpha", "tol"):
            check_number(getattr(self, name), name, min_val=0)
        for name in ("max_iter", "n_iter_no_change"):
            check_scalar(getattr(self, name), name, numbers.Integral, min_val=1)

    @property
    def _kind(self):
        """The likelihood of the fitted network, which parameters set later do not change."""
        return KINDS[len(self._noise) > 0]

    def _validated(self, X, finite=True):
        values = validated(self, X, reset=False, ensure_all_finite=finite)
        known = values if finite is True else values[~np.isnan(values)]
        LIKELIHOODS[self._kind]().check(known)
        return values

    # Learning ----------------------------------------------------------------------------

    def _learn(self, values, labels, weights, rng):
        """Learn layer by layer, then all layers together.

        Parameters
        ----------
        values : ndarray of shape (n, n_features)
        labels : ndarray of shape (n, n_labels)
            Zeros and ones beside the data.
        weights : ndarray of shape (n,)

        Returns
        -------
        network : RegressionNetwork
            In the unit of the data, of float64 on the processor.
        history : History
            Of the last part.
        """
        unit = self._unit(values, weights)
        x, w = self._tensors(values, labels, weights, unit)
        generator = torch_generator(rng)
        if self.warm_start and self._continues(x.shape[1], len(unit[0])):
            network = self._present(unit, x)
            hidden = most_probable(network, x, generator, n_drawn=0)
            network, history = self._train(network, x, w, hidden, self.max_iter, generator)
        else:
            network, history = self._by_layers(x, w, len(unit[0]), self.max_iter, generator)
        return in_data_unit(network, *unit), history

    def _learn_more(self, values, labels, rng):
        """One pass over a part of the data; the first part is learned as a whole.

        With weights that say nothing yet no unit is ever the most probable one to be on.
        """
        weights = np.ones(len(values))
        first = not hasattr(self, "coefs_")
        unit = self._unit(values, weights) if first else self._parts_unit
        x, w = self._tensors(values, labels, weights, unit)
        generator, n_before = torch_generator(rng), 0
        if first:
            network, history = self._by_layers(x, w, len(unit[0]), self.max_iter, generator)
        else:
            old, n_before = self._present(unit, x), self._n_seen
            hidden = most_probable(old, x, generator, n_drawn=0)
            # Steps shrink, or the network would follow the last part alone.
            shorter = (1.0 + self.n_iter_) ** -0.5
            network, history = self._train(old, x, w, hidden, 1, generator, shorter)
            share = len(values) / (n_before + len(values))
            network = replace(
                network,
                prior=torch.logit(old.prior.sigmoid().lerp(network.prior.sigmoid(), share)),
                noise=old.noise.square().lerp(network.noise.square(), share).sqrt(),
            )
        self._keep(in_data_unit(network, *unit))
        self._parts_unit, self._n_seen = unit, n_before + len(values)
        self.loss_curve_ = [*(() if first else self.loss_curve_), *history.loss]
        self.n_iter_ = len(self.loss_curve_)

    def _by_layers(self, x, w, n_normal, max_iter, generator):
        """Every hidden layer on the units of the one before, then all of them."""
        data, hidden, network = x, [], None
        for size in self.hidden_layer_sizes:
            block, units = first_block(
                data, w, n_normal, size, SHARES_ON[network is not None], generator
            )
            block, history = self._train(block, data, w, [units], max_iter, generator)
            network = block if network is None else stacked(network, block)
            hidden.append(units)
            data, n_normal = units, 0
        if len(hidden) > 1 and not history.interrupted:
            network, history = self._train(network, x, w, hidden, max_iter, generator)
        return network, history

    def _train(self, network, x, w, hidden, max_iter, generator, share=1.0):
        with Progress(type(self).__name__, "epoch", max_iter, self.verbose) as progress:
            network, history = train(
                network,
                x,
                w,
                hidden,
                batch_size=self._batch_size(len(x)),
                learning_rate=share * self.learning_rate_init,
                weight_decay=self.alpha,
                max_iter=max_iter,
                tol=self.tol,
                n_iter_no_change=self.n_iter_no_change,
                generator=generator,
                on_epoch=lambda loss: progress.step(f"loss {loss:.6g}"),
            )
        check_training(history, max_iter, self.learning_rate_init)
        return network, history

    def _batch_size(self, n):
        return min(200, max(16, n // 10)) if self.batch_size == "auto" else self.batch_size

    def _unit(self, values, weights):
        """Centre of normal columns (n_normal,), and their common unit."""
        if self.likelihood == "bernoulli":
            return np.zeros(0), 1.0
        return data_scale(values, weights)[:2]

    def _tensors(self, values, labels, weights, unit):
        """Data with labels beside, and weights with a sum of one, where the work is done."""
        device = training_device(self.device)
        center, scale = unit
        if len(center):
            values = (values.astype(np.float64) - center) / scale
        rows = np.concatenate([values, labels], axis=1)
        return tuple(
            torch.tensor(np.ascontiguousarray(part), dtype=torch.float32, device=device)
            for part in (rows, weights / weights.sum())
        )

    def _continues(self, n_columns, n_normal):
        """Whether the present network fits the parameters and the data, for a warm start."""
        sizes = [n_columns, *self.hidden_layer_sizes]
        return hasattr(self, "coefs_") and (
            [part.shape for part in self.coefs_] == list(zip(sizes, sizes[1:]))
            and len(self._noise) == n_normal
        )

    def _present(self, unit, x):
        """The present network in a unit, of the type and where a tensor is."""
        return in_unit(self._network(), *unit).to(x)

    # State -------------------------------------------------------------------------------

    def _keep(self, network):
        """Store a network as arrays."""
        arrays = [part.cpu().double().numpy() for part in (*network.weights, *network.biases)]
        n_layers = len(network.weights)
        self.coefs_: list[FloatArray] = arrays[:n_layers]
        prior = network.prior.cpu().double().numpy()
        self.intercepts_: list[FloatArray] = [*arrays[n_layers:], prior]
        self._noise = network.noise.cpu().double().numpy()

    def _network(self):
        """The learned network, in the unit of the data."""
        weights, (*biases, prior), noise = (
            [torch.as_tensor(part) for part in parts]
            for parts in (self.coefs_, self.intercepts_, [self._noise])
        )
        return RegressionNetwork(tuple(weights), tuple(biases), prior, *noise)


def double(values):
    """Rows as a tensor, in one order in memory whatever they came in."""
    return torch.as_tensor(np.array(values, dtype=np.float64, order="C"))


def same_starts():
    """The same numbers in every call: what is inferred is a function of its row."""
    return torch.Generator().manual_seed(0)


def in_data_unit(network, center, scale):
    """The inverse of :func:`in_unit`."""
    network = network.to(torch.zeros((), dtype=torch.float64))
    return in_unit(network, -center / scale, 1.0 / scale)


def in_unit(network, center, scale):
    """The same network for normal columns of which `center` is taken and that `scale` divides."""
    p = len(network.noise)
    if not p:
        return network
    weight, bias = network.weights[0].clone(), network.biases[0].clone()
    weight[:p] /= scale
    bias[:p] = (bias[:p] - torch.as_tensor(center).to(bias)) / scale
    return replace(
        network,
        weights=(weight, *network.weights[1:]),
        biases=(bias, *network.biases[1:]),
        noise=network.noise / scale,
    )
