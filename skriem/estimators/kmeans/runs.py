"""How k-means is run: parameters, restarts, partitions of plain data."""

from __future__ import annotations

import numbers

import numpy as np
from scipy.sparse import issparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_scalar

from ...geometry import Metric
from ...geometry.callers import warn
from ...geometry.models import clustering
from ...support.parallel import check_n_jobs
from ...support.rows import check_number
from ..neighbor_encoder import NeighborEncoder
from ..table_rows import TableRows
from .encoded_candidates import EncodedCandidates
from .mean_runs import cluster_by_means
from .medoid_runs import N_RUNS, Settings, cluster_points
from .number_of_clusters import count_clusters
from .plain_candidates import PlainCandidates
from .plain_runs import parts_of

# Restarts of k-means on plain data.
N_STARTS = 10


class RunsMixin:
    """The parts of a fit of :class:`RiemannianKMeans`."""

    def _check_parameters(self):
        if not (isinstance(self.n_clusters, str) and self.n_clusters == "auto"):
            check_scalar(self.n_clusters, "n_clusters", numbers.Integral, min_val=1)
        elif not isinstance(self.init, str):
            raise ValueError("init cannot be an array of centres if n_clusters='auto'.")
        check_scalar(self.max_iter, "max_iter", numbers.Integral, min_val=1)
        check_number(self.tol, "tol", min_val=0)
        check_n_jobs(self.n_jobs)
        if not (isinstance(self.n_init, str) and self.n_init == "auto"):
            check_scalar(self.n_init, "n_init", numbers.Integral, min_val=1)
        if self.algorithm not in ("lloyd", "elkan"):
            raise ValueError(f"algorithm must be 'lloyd' or 'elkan', got {self.algorithm!r}.")
        if isinstance(self.init, str) and self.init not in ("k-means++", "random"):
            raise ValueError(
                f"init must be 'k-means++', 'random' or an array of centres, got {self.init!r}."
            )

    @property
    def _plain(self):
        """Whether `X` were data or images, and their partition is for this estimator to find."""
        metric = self.metric
        are_images = isinstance(metric, NeighborEncoder) and metric.image_shape is not None
        found = isinstance(metric, str) or (are_images and not self._reads_tables)
        return self.encoder_ is not None and found

    def _n_runs(self):
        if not isinstance(self.init, str):
            return 1
        if self.n_init == "auto":
            if self._is_precomputed or (not self._plain and self._among_points):
                return N_RUNS
            if self._plain:
                return N_STARTS
            return 10 if self.init == "random" else 1
        return self.n_init

    def _settings(self, embedded):
        """The parameters that all runs share; centres that are given as points if `embedded`."""
        init = self.init
        if not isinstance(init, str):
            init = self._embed_values(self._given_centers()) if embedded else self._given_centers()
        by_groups = embedded and isinstance(init, str) and init == "k-means++"
        further = self._group_means(self.n_clusters_) if by_groups else []
        return Settings(self.n_clusters_, init, self._n_runs(), self.max_iter, self.tol, further)

    def _fit_centers(self, points, weights, rng):
        """The best of several runs."""
        settings = self._settings(embedded=True)
        if self._among_points:
            best = cluster_points(self.metric_, points, weights, settings, rng, self.verbose)
        else:
            best = cluster_by_means(
                self.metric_, points, weights, settings, rng, self.n_jobs, self.verbose
            )
        if not best.converged:
            warn(
                f"K-means did not converge in {self.max_iter} iterations; raise max_iter or tol.",
                ConvergenceWarning,
            )
        self.cluster_centers_ = best.centers.numpy()
        self.n_iter_ = len(best.inertia)
        self._point_labels, self._means, self._is_large = None, None, len(points) > clustering.MANY

    def _candidates(self, rows, weights):
        """What partitions of plain data are made from."""
        in_one_unit, encoder = self._rows is not None, self.encoder_.encoder_
        if encoder is None:
            return PlainCandidates(rows, weights, in_one_unit)
        # The encoder has seen the same rows in the same order.
        codes, near = encoder.codes_, encoder.neighbors_
        scaled = bool((self.encoder_.scale_ != 1.0).any())
        return EncodedCandidates(rows, weights, codes, self.metric_, near, scaled)

    def _number_of_clusters(self, candidates, rng):
        if not isinstance(self.n_clusters, str):
            return self.n_clusters
        if candidates is None:
            raise ValueError(
                "n_clusters='auto' is for plain data. For points of a metric's space give a "
                "number, or search for one with GridSearchCV and scoring=geodesic_silhouette."
            )
        self.n_clusters_ = 1
        count = count_clusters(candidates, self._settings(embedded=False), rng)
        self.gaps_ = count.gaps
        return count.n_clusters

    def _fit_plain(self, candidates, rng):
        """The partition of plain data that shows in them."""
        settings, embedded = self._settings(embedded=False), self._settings(embedded=True)
        found = candidates.of(settings, embedded, rng, self.verbose)
        best, places = candidates.settled(candidates.simplest(found)), candidates.places
        if self.verbose:
            print(f"[RiemannianKMeans] {best.name}: conductance {best.conductance:.3g}")
        self.partition_, self.n_iter_ = best.name, best.n_iter
        self._means = None if best.means is None else tuple(best.means)
        self.conductances_ = {partition.name: partition.conductance for partition in found}
        rows, weights = candidates.X, candidates.weights
        if best.means is not None and self.encoder_.encoder_ is not None:
            # Codes in which clusters do not show better than in the data say nothing of them.
            encoder = clone(self.encoder_).set_params(n_components=None)
            self.encoder_ = encoder.fit(rows, sample_weight=weights)
            self.metric_: Metric = self.encoder_.metric_
            places = np.arange(len(rows))
        parts = parts_of(self.metric_, places, best.labels, weights, settings.n_clusters, rng)
        self.cluster_centers_, self._point_labels = parts.centers, parts.point_labels
        return parts

    def _given_centers(self):
        if isinstance(self._rows, TableRows):
            raise ValueError("init must be a name for tables whose columns are not all numbers.")
        expected = (self.n_clusters, self.n_features_in_)
        if self._reads_tables:
            if np.shape(self.init) != expected:
                raise ValueError(f"init must have shape {expected}, got {np.shape(self.init)}.")
            return self._dense(self.init)
        init = self.init.toarray() if issparse(self.init) else self.init
        try:
            centers = np.array(init, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"init must be a name or an array of centres: {error}.") from error
        if centers.shape != expected:
            raise ValueError(f"init must have shape {expected}, got {centers.shape}.")
        if not np.isfinite(centers).all():
            raise ValueError("init must be finite.")
        return centers if self._rows is None else self._rows.transform(centers)
