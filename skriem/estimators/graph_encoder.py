"""Codes of data from a graph of their neighbours, and of new samples from those of the data."""

from hashlib import blake2b

import numpy as np
import torch
from scipy.sparse import coo_matrix
from sklearn.decomposition import PCA

from ..geometry.paths.neighbors import nearest_points
from ..nn.layout import lay_out, memberships
from ..nn.tangent_distance import nearest_images, resampled, with_changes
from ..support.fitting import training_device
from ..support.progress import Progress
from ..support.state import Estimator
from .autoencoder.parts import MAX_SEARCHED, torch_generator
from .views import neighbors_in

# Standard deviation of the first coordinate where codes begin.
START = 3.0
# Samples that say together where a new one is.
N_AROUND = 5
# Images nearest along principal components, among which the nearest are looked for.
N_CANDIDATES = 100
# Further than so many units all images are alike far.
FARTHEST = 1e9


class GraphEncoder(Estimator):
    """Codes that are near for neighbours and apart for others.

    Data are joined to their neighbours along principal components, and the graph is laid out
    in a few dimensions. A new sample gets the mean of the codes of those it is nearest to,
    weighed by the inverse square of its distance to them. Of images the candidates along principal
    components are compared by tangent distance.

    Parameters
    ----------
    n_components : int
        Dimensions of the codes.
    n_neighbors : int
    n_epochs : int
    image_shape : (int, int, int) or None
        Channels, height and width, if rows are images.
    device : str
    random_state : int
    verbose : int
    """

    def __init__(
        self,
        n_components,
        n_neighbors,
        n_epochs,
        image_shape=None,
        device="auto",
        random_state=0,
        verbose=0,
    ):
        self.n_components = n_components
        self.n_neighbors = n_neighbors
        self.n_epochs = n_epochs
        self.image_shape = image_shape
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X, y=None):
        """Lay the graph of distinct rows out, of which there are at least two.

        Parameters
        ----------
        X : ndarray of shape (n, p)
        y : Ignored

        Returns
        -------
        self
        """
        device, rng = training_device(self.device), np.random.RandomState(self.random_state)
        n, d = len(X), self.n_components
        # The random numbers of the solver decide nothing that matters here.
        pca = PCA(min(MAX_SEARCHED, *X.shape), random_state=0).fit(X)
        self._mean, self._components = pca.mean_, pca.components_
        self._seen = self._project(X)
        self._unit = float(self._seen.std(0).max() or 1.0)
        distances, near = self._neighbors(X)
        self.neighbors_ = near.astype(np.int32)
        distances = torch.as_tensor(distances, dtype=torch.float64)
        graph = coo_matrix(
            (
                memberships(distances).numpy().ravel(),
                (np.arange(n).repeat(near.shape[1]), near.flat),
            ),
            shape=(n, n),
        ).tocsr()
        # Neighbours if either is one of the other, were these independent chances.
        graph = (graph + graph.T - graph.multiply(graph.T)).tocoo()
        start = rng.normal(scale=1e-2, size=(n, d))
        used = min(d, self._seen.shape[1])
        start[:, :used] += START / self._unit * self._seen[:, :used]
        order = np.lexsort((graph.col, graph.row))
        arrays = graph.row[order], graph.col[order], graph.data[order], start
        kinds = torch.long, torch.long, torch.float32, torch.float32
        rows, columns, weights, start = (
            torch.as_tensor(part, dtype=kind, device=device) for part, kind in zip(arrays, kinds)
        )
        with Progress("NeighborEncoder", "epoch", self.n_epochs, self.verbose) as progress:
            codes = lay_out(
                (rows, columns),
                weights,
                start,
                self.n_epochs,
                torch_generator(rng, device),
                lambda move: progress.step(f"mean move {move:.3g}"),
            )
        self.codes_ = codes.cpu().numpy().astype(np.float64)
        digests = _digests(X)
        self._order = np.argsort(digests, kind="stable")
        self._digests = digests[self._order]
        return self

    def transform(self, X):
        """Codes of samples, (n, d): of those that were fitted, their own to the last bit."""
        codes = np.empty((len(X), self.codes_.shape[1]))
        digests = _digests(X)
        place = np.searchsorted(self._digests, digests).clip(max=len(self._digests) - 1)
        known = self._digests[place] == digests
        codes[known] = self.codes_[self._order[place[known]]]
        if not known.all():
            distances, near = self._around(X[~known])
            # No weight overflows, and who is next to a sample gets its code.
            nearest = np.maximum(distances[:, :1], np.finfo(float).tiny)
            weights = (nearest / np.maximum(distances, nearest)) ** 2
            weights /= weights.sum(1, keepdims=True)
            codes[~known] = np.einsum("nk,nkd->nd", weights, self.codes_[near])
        return codes

    def steps_to(self, X, way):
        """What changes of the features along ways among the codes, from each datum to the next.

        Parameters
        ----------
        X : ndarray of shape (n, p)
            Where the ways begin.
        way : Geodesics
            n of them, whose corners are codes.

        Yields
        ------
        steps : ndarray of shape (n_steps, p)
            As far as the components that neighbours are looked for along tell.
        arcs : ndarray of shape (n_steps,)
            Length of each step, up to a factor.
        """
        for start, points, arc_length in zip(self._project(X), way.points, way.arc_length):
            near = nearest_points(self.codes_, points, 1)[1][:, 0]
            seen = np.concatenate([start[None], self._seen[near[1:]]])
            steps, arcs = np.diff(seen, axis=0), np.diff(arc_length)
            moved = (near[1:] != near[:-1]) & (arcs > 0.0)
            moved[0] = arcs[0] > 0.0
            yield steps[moved] @ self._components, arcs[moved]

    def _neighbors(self, X):
        """Neighbours of what is fitted, distances in any unit and rows, (n, k) each."""
        most = len(X) - 1
        k = min(self.n_neighbors, most)
        seen = (self._seen / self._unit).astype(np.float32)
        if self.image_shape is None:
            return neighbors_in(seen, k)
        self._images = self._smooth(X)
        images = with_changes(self._images)
        candidates = neighbors_in(seen, min(max(N_CANDIDATES, k), most))[1]
        return nearest_images(images, images, candidates, k)

    def _around(self, X):
        """Samples of the fit that are nearest to others, distances and rows, (n, k) each."""
        z = self._project(X)
        if self.image_shape is None:
            return nearest_points(self._seen, z, N_AROUND)
        candidates = nearest_points(self._seen, z, N_CANDIDATES)[1]
        rows, index = np.unique(candidates, return_inverse=True)
        others = with_changes(self._images[rows])
        images = with_changes(self._smooth(X))
        distances, near = nearest_images(images, others, index.reshape(candidates.shape), N_AROUND)
        return distances, rows[near]

    def _smooth(self, X):
        return resampled(np.clip(X / self._unit, -FARTHEST, FARTHEST), self.image_shape)

    def _project(self, X):
        # Not by matrix products of whole batches: what they round depends on the other rows.
        return np.einsum("np,dp->nd", X - self._mean, self._components)


def _digests(X):
    """A number for every row that tells it from others, (n,) uint64."""
    # Minus zero is zero.
    rows = np.ascontiguousarray(X, dtype=np.float64) + 0.0
    digests = b"".join(blake2b(row, digest_size=8).digest() for row in rows)
    return np.frombuffer(digests, dtype=np.uint64)
