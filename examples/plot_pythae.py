"""
The geometry of a decoder trained with pythae
=============================================

A decoder from another library becomes a metric in one call,
:func:`~skriem.decoder_metric`. Here it is half
of a variational autoencoder from pythae (``pip install pythae``).
"""

# %%
# An autoencoder first. Its activations are smooth: with ReLU, which pythae's own networks have,
# the metric would be in pieces, and `decoder_metric` would say so.

import contextlib
import io
import logging
import tempfile

import matplotlib.pyplot as plt
import numpy as np
import torch
from pythae.data.datasets import BaseDataset
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from sklearn.datasets import load_digits

from skriem import RiemannianKMeans, decoder_metric
from skriem.inspection import LatentSpaceDisplay


class Encoder(BaseEncoder):
    def __init__(self):
        super().__init__()
        self.hidden = torch.nn.Sequential(
            torch.nn.Linear(64, 64), torch.nn.SiLU(), torch.nn.Linear(64, 64), torch.nn.SiLU()
        )
        self.mean, self.log_variance = torch.nn.Linear(64, 2), torch.nn.Linear(64, 2)

    def forward(self, x):
        h = self.hidden(x.flatten(1))
        return ModelOutput(embedding=self.mean(h), log_covariance=self.log_variance(h))


class Decoder(BaseDecoder):
    def __init__(self):
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(2, 64),
            torch.nn.SiLU(),
            torch.nn.Linear(64, 64),
            torch.nn.SiLU(),
            torch.nn.Linear(64, 64),
            torch.nn.Unflatten(1, (1, 8, 8)),
        )

    def forward(self, z):
        return ModelOutput(reconstruction=self.layers(z))


# %%
# pythae trains it. Its loss takes the noise for one unit, so images are scaled to where that is
# about right. It also keeps files, which go where they are forgotten, and prints a lot.

X, y = load_digits(return_X_y=True)
images = torch.as_tensor(X / 4.0, dtype=torch.float32).reshape(-1, 1, 8, 8)
torch.manual_seed(0)
model = VAE(VAEConfig(input_dim=(1, 8, 8), latent_dim=2), Encoder(), Decoder())
logging.disable(logging.WARNING)
with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
    config = BaseTrainerConfig(
        folder, num_epochs=80, learning_rate=3e-3, per_device_train_batch_size=128, no_cuda=True
    )
    BaseTrainer(model, BaseDataset(images, torch.as_tensor(y)), training_config=config).train()
logging.disable(logging.NOTSET)
model = model.cpu().eval()
with torch.no_grad():
    codes = model.encoder(images).embedding.numpy()

# %%
# One call makes the decoder a metric. Codes and data show where the decoder errs and how much;
# away from the codes it is taken to be unsure. `random_state` is for the k-means that finds where
# the codes are.

metric = decoder_metric(model.decoder, codes, data=images, bandwidth=1.5, random_state=0)
print(metric)

# %%
# Everything that takes a metric takes this one. Clusters by geodesic distance, with geodesics from
# their centres (stars) to some of their codes; points have the colours of the digits.

kmeans = RiemannianKMeans(n_clusters=10, metric=metric, random_state=0).fit(codes)
display = LatentSpaceDisplay.from_metric(
    metric,
    codes,
    y,
    centers=kmeans.cluster_centers_,
    center_labels=kmeans.labels_,
    n_geodesics=6,
)
display.ax_.set_title("Codes of a pythae autoencoder")
display.figure_.set_size_inches(8.0, 5.6)

# %%
# And the way from one image to another, of 60 pairs the one whose straight line is longest compared
# with the geodesic. Below is what the decoder says along the two.

rng = np.random.default_rng(0)
a, b = rng.integers(len(codes), size=(2, 60))
t = np.linspace(0.0, 1.0, 200)
straight = codes[a, None] + t[:, None] * (codes[b] - codes[a])[:, None]
lengths = [np.linalg.norm(np.diff(metric.embed(way), axis=0), axis=1).sum() for way in straight]
geodesics = metric.geodesic(codes[a], codes[b], tol=1e-2)
k = int(np.argmax(lengths / geodesics.length))
ways = {"straight": straight[k], "geodesic": geodesics.curve(t)[k]}
print(f"straight {lengths[k]:.1f}, geodesic {geodesics.length[k]:.1f}")

figure, axes = plt.subplots(2, 9, figsize=(8.0, 2.2), layout="constrained")
for row, (name, way) in zip(axes, ways.items()):
    some = torch.as_tensor(way[np.linspace(0, 199, 9).astype(int)], dtype=torch.float32)
    with torch.no_grad():
        frames = model.decoder(some).reconstruction[:, 0].numpy()
    for ax, frame in zip(row, frames):
        ax.imshow(frame, cmap="gray", vmin=0.0, vmax=4.0)
        ax.set(xticks=[], yticks=[])
    row[0].set_ylabel(name)
plt.show()
