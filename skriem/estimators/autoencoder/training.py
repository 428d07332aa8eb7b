"""How a variational autoencoder is set up for data and trained."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy.sparse import issparse

from ...nn.module import ModuleForm, own_generator
from ...nn.priors.base import NormalPrior, Prior
from ...nn.train import Model, Penalties, train
from ...nn.windows import Windows, held_out_sequences
from ...support.fitting import check_training, training_device
from ...support.progress import Progress
from .missing import has_gaps, known
from .parts import data_scale, make_networks
from .prior import settings_of
from .sparse import DenseBatches


class _Training:
    """Scales, networks and their training; see :class:`skriem.VAETransformer`."""

    _network: Any
    _noise: Any
    _in_unit: Callable[..., Any]
    _inputs: Callable[..., Any]
    _asked_likelihood: Callable[..., Any]
    _init_sparse: Callable[..., Any]

    def _continues(self, X):
        """Whether the present weights fit the parameters and the data, for a warm start."""
        if (
            not hasattr(self, "_encoder")
            or X.shape[1] != self._n_columns
            or not self._likelihood.is_like(self._asked_likelihood())
        ):
            return False
        n_outputs = len(self._center)
        if not issparse(X) and has_gaps(X) and not self._sees_missing:
            return False
        n_inputs = n_outputs * (1 + self._sees_missing)
        forms = self._network._forms(n_inputs, self.n_components, n_outputs)
        sizes = (n_inputs, 2 * self.n_components), (self.n_components, n_outputs)
        for k, factory in enumerate(self._network._factories):
            if factory is not None:
                forms = *forms[:k], ModuleForm(factory, *sizes[k]), *forms[k + 1 :]
        present = [self._encoder, *self._decoders]
        wanted = [forms[0], *[forms[1]] * self._noise._n_decoders]
        return [repr(network.form) for network in present] == [repr(form) for form in wanted]

    def _init(self, X, weights, rng):
        if issparse(X):
            self._init_sparse(X, weights, rng)
            return
        likelihood = self._asked_likelihood()
        # Several likelihoods have units, which what is missing is no part of.
        self._likelihood = (
            likelihood.fit(X, weights) if likelihood.is_mixed else likelihood.fit(known(X))
        )
        self._sees_missing = has_gaps(X)
        # A warm start asks for it, when n_features_in_ is that of the new data already.
        self._n_columns = X.shape[1]
        inputs = self._likelihood.inputs(X)
        self._center, self._scale, n_varying = data_scale(inputs, weights)
        self._settle_init(X, X, n_varying, weights, rng)

    def _settle_init(self, X, like, n_varying, weights, rng):
        """Networks for data, some of which are `X`, that have the mean of `like`."""
        if self._likelihood.is_location_scale:
            self._likelihood.n_varying = n_varying
            bias, slope = np.zeros(len(self._center)), np.ones(len(self._center))
        else:
            shares = weights if like is X else np.ones(1)
            bias, slope = self._likelihood.start(self._likelihood.targets(like), shares)
            slope = slope * self._scale
        self._encoder, self._decoders = make_networks(
            self, self._inputs(X), weights, bias, slope, rng
        )
        self._likelihood_parts = [part.numpy() for part in self._likelihood.init_parts(len(bias))]
        self._prior: Prior = NormalPrior()

    def _targets(self, X):
        """What the decoder's distribution is over, in its unit."""
        if self._likelihood.is_location_scale:
            return self._in_unit(X)
        return self._likelihood.targets(X)

    def _train(
        self,
        X,
        weights,
        rng,
        max_iter,
        warm_up,
        neighbors=None,
        n_steps=1,
        attraction=0.0,
        steps=None,
    ):
        device = training_device(self.device)
        made = partial(self._inputs, steps=steps), self._targets
        if issparse(X):
            parts = [DenseBatches(X, of_rows, device) for of_rows in made]
        else:
            parts = [
                torch.as_tensor(of_rows(X), dtype=torch.float32, device=device) for of_rows in made
            ]
        shares = torch.as_tensor(weights / weights.mean(), dtype=torch.float32, device=device)
        data, steps, held_out = self._held_out([*parts, shares], steps, neighbors, rng)
        windows = None
        if steps is not None:
            windows = Windows(steps.to(device), settings_of(self.prior).hidden_fraction)
        batch_size = self.batch_size
        if batch_size == "auto":
            batch_size = min(200, max(16, len(data[0]) // 10))
        if neighbors is not None:
            neighbors = torch.as_tensor(neighbors, device=device)
        model = Model(
            self._encoder.on(torch.float32, device, training=True),
            [decoder.on(torch.float32, device, training=True) for decoder in self._decoders],
            self._likelihood,
            [
                torch.tensor(part, dtype=torch.float32, device=device)
                for part in self._likelihood_parts
            ],
            self._prior.on(torch.float32, device),
        )
        seed = rng.randint(2**31 - 1)
        # Modules of the user's may draw, for dropout, from torch's global generator.
        with (
            Progress("VAETransformer", "epoch", max_iter, self.verbose) as progress,
            own_generator(seed, device) if any(self._network._factories) else nullcontext(),
        ):
            history = train(
                model,
                *data,
                batch_size=batch_size,
                learning_rate=self.learning_rate_init,
                weight_decay=self.alpha,
                penalties=Penalties(self.flatness, attraction),
                max_iter=max_iter,
                warm_up=warm_up,
                tol=self.tol,
                n_iter_no_change=self.n_iter_no_change,
                generator=torch.Generator(device=device).manual_seed(seed),
                n_draws=self.n_importance_samples,
                mixed_precision=self.mixed_precision,
                neighbors=neighbors,
                n_steps=n_steps,
                windows=windows,
                held_out=held_out,
                on_epoch=lambda loss: progress.step(f"loss {loss:.6g}"),
            )
        check_training(history, max_iter, self.learning_rate_init)
        self._encoder = model.encoder.stored()
        self._decoders = [decoder.stored() for decoder in model.decoders]
        self._likelihood_parts = [part.detach().cpu().numpy() for part in model.parts]
        self._prior = model.prior.stored()
        return history

    def _held_out(self, data, steps, neighbors, rng):
        """Samples that train, their steps, and what decides when to stop, None for nothing."""
        if not self.early_stopping:
            return data, steps, None
        n = len(data[0])
        n_held_out = math.ceil(self.validation_fraction * n)
        if n_held_out >= n:
            raise ValueError(
                f"early_stopping needs more than {n} distinct samples to hold out "
                f"validation_fraction={self.validation_fraction} of them."
            )
        if steps is not None:
            return held_out_sequences(data, steps, n_held_out, rng)
        order = torch.as_tensor(rng.permutation(n), device=data[0].device)
        if neighbors is not None:
            raise ValueError("early_stopping does not go together with neighbors.")
        rest = [part[order[n_held_out:]] for part in data]
        return rest, None, [part[order[:n_held_out]] for part in data]
