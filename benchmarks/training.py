"""Training throughput of VAETransformer, of a bare torch loop and of pythae's trainer.

python benchmarks/training.py --mnist mnist.npz

Images of MNIST, encoder 784-128-64-(2+2), decoder 2-64-128-784, tanh, batches of 256, float32,
Adam. The bare loop has the same networks, skip connections included, and the same loss, written
by hand with nothing else in it. pythae's trainer (``pip install pythae``, left out with
``--skip-pythae``) has the same widths without skip connections, its own Gaussian loss, and what
else it does per step and epoch by default. The three take turns; images per second of training
are from the median of the rounds.
"""

import argparse
import logging
import tempfile
import time
from typing import ClassVar

import numpy as np
import torch
from _shared import load_mnist

from skriem import VAETransformer
from skriem.nn.likelihoods.base import NOISE_FLOOR

HIDDEN, BATCH_SIZE, N_EPOCHS, N_ROUNDS, LEARNING_RATE = (128, 64), 256, 3, 3, 1e-3


class Timed(VAETransformer):
    """Remembers how long training took, without the scaling before and the geometry after it."""

    seconds: ClassVar = []

    def _train(self, *arguments, **options):
        started = time.perf_counter()
        result = super()._train(*arguments, **options)
        self.seconds.append(time.perf_counter() - started)
        return result


def skriem(X):
    """Seconds of training."""
    Timed(
        network=HIDDEN,
        batch_size=BATCH_SIZE,
        max_iter=N_EPOCHS,
        learning_rate_init=LEARNING_RATE,
        random_state=0,
    ).fit(X)
    return Timed.seconds[-1]


class WithSkip(torch.nn.Module):
    """A perceptron plus a linear map."""

    def __init__(self, *sizes):
        super().__init__()
        layers = []
        for fan_in, fan_out in zip(sizes[:-1], sizes[1:]):
            layers += [torch.nn.Linear(fan_in, fan_out), torch.nn.Tanh()]
        self.perceptron = torch.nn.Sequential(*layers[:-1])
        self.skip = torch.nn.Linear(sizes[0], sizes[-1])

    def forward(self, x):
        return self.perceptron(x) + self.skip(x)


def bare_loop(X):
    """Seconds of a loop that does the same arithmetic."""
    torch.manual_seed(0)
    x = torch.as_tensor((X - X.mean(0)) / X.std(), dtype=torch.float32)
    n, m = x.shape
    encoder, decoder = WithSkip(m, *HIDDEN, 4), WithSkip(2, *HIDDEN[::-1], m)
    parameters = [*encoder.parameters(), *decoder.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=LEARNING_RATE, weight_decay=1e-5, fused=True)
    started = time.perf_counter()
    for _ in range(N_EPOCHS):
        for rows in torch.randperm(n).split(BATCH_SIZE):
            batch = x[rows]
            mean, log_variance = encoder(batch).chunk(2, dim=-1)
            z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
            mse = (batch - decoder(z)).square().mean() + NOISE_FLOOR**2
            kl = 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).sum(-1).mean()
            loss = 0.5 * m * mse.log() + kl
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
    return time.perf_counter() - started


def pythae(X):
    """Seconds of pythae's trainer."""
    from pythae.models import VAE, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

    logging.disable(logging.CRITICAL)
    m, (first, second) = X.shape[1], HIDDEN

    class Encoder(BaseEncoder):
        def __init__(self):
            super().__init__()
            self.hidden = torch.nn.Sequential(
                torch.nn.Linear(m, first),
                torch.nn.Tanh(),
                torch.nn.Linear(first, second),
                torch.nn.Tanh(),
            )
            self.mean, self.log_variance = torch.nn.Linear(second, 2), torch.nn.Linear(second, 2)

        def forward(self, x):
            h = self.hidden(x)
            return ModelOutput(embedding=self.mean(h), log_covariance=self.log_variance(h))

    class Decoder(BaseDecoder):
        def __init__(self):
            super().__init__()
            self.layers = torch.nn.Sequential(
                torch.nn.Linear(2, second),
                torch.nn.Tanh(),
                torch.nn.Linear(second, first),
                torch.nn.Tanh(),
                torch.nn.Linear(first, m),
            )

        def forward(self, z):
            return ModelOutput(reconstruction=self.layers(z))

    with tempfile.TemporaryDirectory() as folder:
        config = BaseTrainerConfig(
            output_dir=folder,
            num_epochs=N_EPOCHS,
            learning_rate=LEARNING_RATE,
            per_device_train_batch_size=BATCH_SIZE,
            no_cuda=True,
        )
        from pythae.data.preprocessors import DataProcessor

        images = torch.as_tensor(X, dtype=torch.float32)
        data = DataProcessor.to_dataset(images)
        model = VAE(VAEConfig(input_dim=(m,), latent_dim=2), Encoder(), Decoder())
        trainer = BaseTrainer(model, train_dataset=data, training_config=config)
        started = time.perf_counter()
        trainer.train()
        return time.perf_counter() - started


def main():
    parser = argparse.ArgumentParser(description="training throughput")
    parser.add_argument("--mnist", help="archive of the images; OpenML without it")
    parser.add_argument("--n-images", type=int, default=20_000)
    parser.add_argument("--skip-pythae", action="store_true")
    options = parser.parse_args()
    X = load_mnist(options.mnist)[0][: options.n_images]
    contestants = [skriem, bare_loop] + ([] if options.skip_pythae else [pythae])
    seconds = {one.__name__: [] for one in contestants}
    for _ in range(N_ROUNDS):
        for one in contestants:
            seconds[one.__name__].append(one(X))
    rates = {name: N_EPOCHS * len(X) / np.median(found) for name, found in seconds.items()}
    for name, rate in rates.items():
        print(
            f"{name:10} {rate:9.0f} images per second, skriem is {rates['skriem'] / rate:.2f} times"
        )


if __name__ == "__main__":
    main()
