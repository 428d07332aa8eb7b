"""The metric object: what users hold, and what estimators ask for distances."""

import copy
import hashlib
import uuid
import warnings
from functools import cached_property

import numpy as np
import torch

from . import curves
from .geodesics import LEVELS, solve_geodesics
from .graph import attach, build_graph, graph_distances, shortest_paths
from .jacobian import linearise
from .mean import frechet_means
from .relax import relax_best
from .solution import Geodesics

# Means are found on curves of this resolution (segments, chords per segment).
MEAN_LEVEL = (16, 4)
# A start this many times as long as another is not tried.
HOPELESS = 1.5


class ConvergenceWarning(UserWarning):
    """Some geodesics or means did not converge."""


class FrozenModule:
    """A copy of a torch module, in evaluation mode, for inputs of any dtype on any device."""

    def __init__(self, module):
        self._module = copy.deepcopy(module).cpu().eval().requires_grad_(False)
        self._copies = {}
        digest = hashlib.sha256(repr(self._module).encode())
        for name, value in self._module.state_dict().items():
            digest.update(name.encode() + value.numpy().tobytes())
        self.fingerprint = digest.hexdigest()

    def __call__(self, z):
        key = (z.dtype, z.device)
        if key not in self._copies:
            self._copies[key] = copy.deepcopy(self._module).to(device=z.device, dtype=z.dtype)
        return self._copies[key](z)

    def __getstate__(self):
        return {**self.__dict__, "_copies": {}}


class PullbackMetric:
    """Riemannian metric that a differentiable map pulls back from Euclidean space.

    Distances between points are lengths of the shortest curves, measured after `embed`. With
    the embedding z -> (mean(z), standard deviation(z)) of a random decoder this is the
    decoder's expected metric (Arvanitidis, Hansen and Hauberg, *Latent Space Oddity*, ICLR
    2018, theorem 1).

    Methods take arrays or tensors of shape (n, n_dims) and answer in kind: the same container,
    dtype and device. Arrays are computed on in float64, on the processor.

    The object is immutable; copies and clones are the object itself.

    Parameters
    ----------
    embed : callable
        Differentiable torch function from (n, n_dims) to (n, m), each row on its own. A
        ``torch.nn.Module`` is copied and put into evaluation mode.
    n_dims : int
        Number of coordinates.
    points : array-like of shape (n_points, n_dims), default=None
        Points where the metric is meant to be used, such as the codes of training data.
        Searches for geodesics then start from shortest paths through them where these are
        shorter than the straight line. The work grows with the square of their number.

    Attributes
    ----------
    n_dims : int
    points : ndarray of shape (n_points, n_dims) or None
    fingerprint : str
        Digest of the embedding. Metrics with equal fingerprints are equal. An embedding whose
        content cannot be read (a plain function) is equal to itself and its pickles only.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from skriem.geometry import PullbackMetric
    >>> def sphere(z):
    ...     polar, azimuth = z.unbind(-1)
    ...     return torch.stack([polar.sin() * azimuth.cos(), polar.sin() * azimuth.sin(),
    ...                         polar.cos()], dim=-1)
    >>> metric = PullbackMetric(sphere, n_dims=2)
    >>> a, b = np.array([[1.0, 0.0]]), np.array([[1.0, 1.5]])
    >>> metric.distance(a, b).round(4)
    array([1.2217])
    """

    def __init__(self, embed, n_dims, points=None):
        if not callable(embed):
            raise TypeError(f"embed must be a function on torch tensors, got {embed!r}.")
        self._map = FrozenModule(embed) if isinstance(embed, torch.nn.Module) else embed
        # What is solved with may be any isometric copy.
        self._embed = self._map.compact() if hasattr(self._map, "compact") else self._map
        self.n_dims = int(n_dims)
        self.points = None
        if points is not None:
            points = np.array(points, dtype=np.float64)
            if points.ndim != 2 or points.shape[1] != self.n_dims or not len(points):
                raise ValueError(
                    f"points must have shape (n_points, {self.n_dims}), got {points.shape}."
                )
            if not np.isfinite(points).all():
                raise ValueError("points must be finite.")
            points.flags.writeable = False
            self.points = points
        self.fingerprint = getattr(self._map, "fingerprint", None) or uuid.uuid4().hex

    # Identity ----------------------------------------------------------------------------

    def __eq__(self, other):
        return isinstance(other, PullbackMetric) and self.fingerprint == other.fingerprint

    def __hash__(self):
        return hash(self.fingerprint)

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self

    def __sklearn_clone__(self):
        return self

    def __getstate__(self):
        return {name: value for name, value in self.__dict__.items() if name != "graph"}

    def __repr__(self):
        return f"PullbackMetric(n_dims={self.n_dims}, fingerprint={self.fingerprint[:8]})"

    # Pointwise ---------------------------------------------------------------------------

    def embed(self, Z):
        """Embed points: (n, n_dims) -> (n, m). Gradients flow through tensors."""
        points, answer = self._enter(Z)
        return answer(self._map(Z if isinstance(Z, torch.Tensor) else points))

    @torch.no_grad()
    def tensor(self, Z):
        """Metric tensors at points, (n, n_dims, n_dims)."""
        Z, answer = self._enter(Z)
        jacobian = linearise(self._embed, Z)[1]
        return answer(jacobian @ jacobian.mT)

    @torch.no_grad()
    def log_volume(self, Z):
        """Logarithm of the magnification factor, log sqrt(det M), (n,)."""
        Z, answer = self._enter(Z)
        jacobian = linearise(self._embed, Z)[1]
        # The triangular factor has the tensor's determinant without squaring its condition.
        factor = torch.linalg.qr(jacobian.mT, mode="r").R
        return answer(factor.diagonal(dim1=-2, dim2=-1).abs().log().sum(-1))

    # Pairs -------------------------------------------------------------------------------

    @torch.no_grad()
    def geodesic(self, A, B, tol=1e-3, max_iter=100):
        """Shortest curves from the rows of `A` to the rows of `B`.

        Parameters
        ----------
        A, B : array-like of shape (n, n_dims)
        tol : float, default=1e-3
            Relative tolerance of the lengths. Curves are refined until their length changes
            by less.
        max_iter : int, default=100
            Newton iterations at each resolution.

        Returns
        -------
        Geodesics
            Curves, lengths and one status per pair. A curve that did not converge is returned
            as far as it got; see :attr:`Geodesics.status`.
        """
        (A, answer), (B, _) = self._enter(A), self._enter(B)
        if A.shape != B.shape:
            raise ValueError(
                f"A and B must have one row per pair, got {len(A)} and {len(B)} rows. For all "
                "pairs use pairwise(A, B)."
            )
        # One order for every pair, whichever way round it was asked: distances are symmetric
        # to the last bit.
        flipped = _comes_first(B, A)
        first = torch.where(flipped[:, None], B, A)
        second = torch.where(flipped[:, None], A, B)
        starts = self.starts(first, second, LEVELS[0][0])
        found = solve_geodesics(self._embed, first, second, starts, tol, max_iter)
        back = flipped[:, None]
        total = found.arc_length[:, -1:]
        found = found._replace(
            points=torch.where(back[..., None], found.points.flip(1), found.points),
            arc_length=torch.where(back, total - found.arc_length.flip(1), found.arc_length),
        )
        return Geodesics(*(answer(field) for field in found))

    def distance(self, A, B, tol=1e-3, max_iter=100):
        """Geodesic distances between the rows of `A` and `B`, (n,); see :meth:`geodesic`.

        Warns
        -----
        ConvergenceWarning
            Once, with counts, if some pairs did not converge.
        """
        geodesics = self.geodesic(A, B, tol=tol, max_iter=max_iter)
        warn_unconverged(geodesics)
        return geodesics.length

    @torch.no_grad()
    def pairwise(self, A, B=None, tol=1e-3, max_iter=100):
        """Geodesic distances between all rows of `A` and all rows of `B` (or `A`), (n, m)."""
        (A, answer) = self._enter(A)
        if B is None:
            i, j = torch.triu_indices(len(A), len(A), offset=1, device=A.device)
            length = self.distance(A[i], A[j], tol=tol, max_iter=max_iter)
            result = A.new_zeros(len(A), len(A))
            result[i, j] = length
            result[j, i] = length
            return answer(result)
        B = self._enter(B)[0].to(A)
        i = torch.arange(len(A), device=A.device).repeat_interleave(len(B))
        j = torch.arange(len(B), device=A.device).repeat(len(A))
        length = self.distance(A[i], B[j], tol=tol, max_iter=max_iter)
        return answer(length.reshape(len(A), len(B)))

    @torch.no_grad()
    def frechet_mean(self, Z, sample_weight=None, tol=1e-6, max_iter=100):
        """Point with the least weighted sum of squared geodesic distances, (n_dims,).

        Parameters
        ----------
        Z : array-like of shape (n, n_dims)
        sample_weight : array-like of shape (n,), default=None
            Non-negative weights; None weighs all points alike.
        tol : float, default=1e-6
            Relative decrease of the sum below which the search stops.
        max_iter : int, default=100

        Warns
        -----
        ConvergenceWarning
            If the search ended early.
        """
        Z, answer = self._enter(Z)
        weights = Z.new_ones(len(Z))
        if sample_weight is not None:
            weights = torch.as_tensor(np.array(sample_weight), dtype=Z.dtype, device=Z.device)
            if weights.shape != (len(Z),) or (weights < 0).any() or not weights.sum() > 0:
                raise ValueError("sample_weight must be n non-negative numbers, not all zero.")
        average = (weights[:, None] * Z).sum(0) / weights.sum()
        guess = Z[(Z - average).square().sum(1).argmin()]
        n_segments, n_sub = MEAN_LEVEL
        nodes = relax_best(
            self._embed, self.starts(Z, guess.expand_as(Z), n_segments), n_sub, tol, max_iter
        ).nodes
        groups = torch.zeros(len(Z), dtype=torch.long, device=Z.device)
        nodes, _, converged = frechet_means(
            self._embed, nodes, n_sub, groups, weights, 1, tol, max_iter
        )
        if not converged.all():
            warnings.warn(
                "The Fréchet mean did not converge; raise max_iter or loosen tol.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return answer(nodes[0, -1])

    # Graph -------------------------------------------------------------------------------

    @cached_property
    def graph(self):
        """Neighbour graph over `points`, or None without points."""
        return None if self.points is None else build_graph(self._embed, self.points)

    def with_points(self, points):
        """The same metric with other points for its graph."""
        other = PullbackMetric(self._map, self.n_dims, points)
        other.fingerprint = self.fingerprint
        return other

    @torch.no_grad()
    def path_lengths(self, A, B):
        """Lengths of shortest paths through the graph between all rows of `A` and `B`, (n, m).

        Much cheaper than geodesics, and never shorter.
        """
        (A, answer), (B, _) = self._enter(A), self._enter(B)
        if self.graph is None:
            raise ValueError("This metric has no points to build a graph on; see with_points.")
        tied = (attach(self._embed, self.graph, Z.cpu().double().numpy()) for Z in (A, B))
        return answer(torch.as_tensor(graph_distances(self.graph, *tied)).to(A))

    def starts(self, a, b, n_segments):
        """Where to start looking for geodesics between the rows of two tensors.

        The straight line and the shortest path through the graph, unless one of them is so
        much longer that it cannot be expected to end as the shorter one.

        Returns
        -------
        list of (Tensor of shape (k,), Tensor of shape (k, n_segments + 1, n_dims))
            Rows and their curves; the first entry has all rows.
        """
        rows = torch.arange(len(a), device=a.device)
        lines = curves.straight(a, b, n_segments)
        if self.graph is None or not len(a):
            return [(rows, lines)]
        tied = (attach(self._embed, self.graph, z.cpu().double().numpy()) for z in (a, b))
        paths = shortest_paths(self.graph, *tied, n_segments).to(a)
        n_sub = max(2, 32 // n_segments)
        line_length, _ = curves.measure(self._embed, curves.subdivide(lines, n_sub))
        path_length, _ = curves.measure(self._embed, curves.subdivide(paths, n_sub))
        only_path = path_length * HOPELESS < line_length
        both = ~only_path & (path_length <= line_length * HOPELESS)
        first = torch.where(only_path[:, None, None], paths, lines)
        return [(rows, first), (rows[both], paths[both])]

    # Containers --------------------------------------------------------------------------

    def _enter(self, Z):
        """Points as a checked tensor, and the function that turns answers into Z's kind."""
        if isinstance(Z, torch.Tensor):
            points, answer = Z.detach(), lambda result: result
            if not points.is_floating_point():
                raise TypeError(f"Points must be floating point, got {points.dtype}.")
        else:
            array = np.asarray(Z)
            dtype = array.dtype if array.dtype == np.float32 else np.float64
            points = torch.as_tensor(np.array(array, dtype=np.float64, order="C", subok=False))

            def answer(result):
                result = result.detach().numpy()
                return result.astype(dtype) if result.dtype == np.float64 else result

        if points.ndim != 2 or points.shape[1] != self.n_dims:
            raise ValueError(
                f"Points must have shape (n, {self.n_dims}), one row each, got "
                f"{tuple(points.shape)}."
            )
        if not points.isfinite().all():
            raise ValueError("Points must be finite; some coordinates are NaN or infinite.")
        return points, answer


def warn_unconverged(geodesics, category=ConvergenceWarning):
    """One warning, with a count for each way in which solves ended that is not success."""
    failures = geodesics.summary()
    if failures:
        warnings.warn(
            "Some geodesics did not converge. " + " ".join(failures), category, stacklevel=3
        )


def _comes_first(a, b):
    """Whether each row of `a` is lexicographically before the row of `b`, (n,) bool."""
    first = torch.zeros(len(a), dtype=torch.bool, device=a.device)
    decided = torch.zeros_like(first)
    for k in range(a.shape[1]):
        first |= ~decided & (a[:, k] < b[:, k])
        decided |= a[:, k] != b[:, k]
    return first
