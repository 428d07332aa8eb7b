"""What clusters know after a fit: what belongs to them, and how far from their centres it is."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning

from ...geometry.metrics.base import warn_unconverged
from ...geometry.models import clustering
from .memberships import memberships

# Relative tolerance of the distances that are reported.
TOL = 1e-2


class Clusters(ABC):
    """Clusters around centres, under a metric.

    Parameters
    ----------
    metric : Metric
    centers : ndarray of shape (k, d)
    """

    def __init__(self, metric: Any, centers: np.ndarray) -> None:
        self.metric, self.centers = metric, centers

    @abstractmethod
    def labels(self, points):
        """The cluster of every point, (n,) int."""

    @abstractmethod
    def to_centers(self, points):
        """Distances of the points to all centres, (n, k)."""

    @abstractmethod
    def to_own(self, points):
        """The cluster of every point, (n,) int, and its distance to the centre of it, (n,)."""

    def memberships(self, points):
        """Shares of the points in the clusters, (n, k)."""
        return memberships(self.to_centers(points))

    def scores(self, points):
        """How ordinary points are, (n,): the lower the less."""
        return -self.to_centers(points).min(1)


class AroundMeans(Clusters):
    """Around Fréchet means, to which geodesics are solved for.

    Parameters
    ----------
    metric : RiemannianMetric
    centers : ndarray of shape (k, d)
    is_large : bool
        Whether approximate distances settle what is not in doubt, as with many points in the fit.
    """

    def __init__(self, metric: Any, centers: np.ndarray, is_large: bool) -> None:
        super().__init__(metric, centers)
        self.is_large = is_large

    def labels(self, points):
        labels = np.empty(len(points), dtype=np.int64)
        for rows, part in self._parts(points):
            labels[rows] = self._found(part).labels
        return labels

    def to_centers(self, points):
        n, k = len(points), len(self.centers)
        rows, labels = np.indices((n, k)).reshape(2, -1)
        return self._lengths(points[rows], labels).reshape(n, k)

    def to_own(self, points):
        labels, distances = np.empty(len(points), dtype=np.int64), np.empty(len(points))
        for rows, part in self._parts(points):
            found = self._found(part)
            labels[rows] = found.labels
            distances[rows] = found.distance if self.is_large else self._refined(part, found)
        return labels, distances

    def _parts(self, points):
        """Rows and points that are measured in the same space, whatever comes with them."""
        z = torch.as_tensor(points)
        return [(rows.numpy(), z[rows]) for rows, _ in self.metric.spaces_for(z)]

    def _found(self, z):
        find = clustering.nearest if self.is_large else clustering.assign
        return find(self.metric, z, torch.as_tensor(self.centers))

    def _refined(self, z, found):
        geodesics = clustering.refine(self.metric, z, torch.as_tensor(self.centers), found, TOL)
        warn_unconverged(geodesics, ConvergenceWarning)
        return geodesics.length

    def _lengths(self, points, labels):
        geodesics = self.metric.geodesic(points, self.centers[labels], tol=TOL)
        warn_unconverged(geodesics, ConvergenceWarning)
        return geodesics.length


class AroundMedoids(Clusters):
    """Around points, where all distances have a closed form."""

    def labels(self, points):
        return self.to_centers(points).argmin(1)

    def to_centers(self, points):
        return self.metric.distances_to(points, self.centers)

    def to_own(self, points):
        distances = self.to_centers(points)
        return distances.argmin(1), distances.min(1)


class FromCenters(AroundMedoids):
    """Where distances are given: samples are known by those to the centres, and no metric is."""

    def to_centers(self, points):
        return points


class Parts(AroundMedoids):
    """Parts of the points that a metric is made of; others belong to that of the nearest.

    Parameters
    ----------
    metric : NearestNeighborMetric
    centers : ndarray of shape (k, d)
    point_labels : ndarray of shape (n_points,) int
        Part of every point of the metric.
    """

    def __init__(self, metric: Any, centers: np.ndarray, point_labels: np.ndarray) -> None:
        super().__init__(metric, centers)
        self.point_labels = point_labels

    def labels(self, points):
        return self.point_labels[self.metric.nearest(points)]

    def to_own(self, points):
        labels = self.labels(points)
        return labels, self.to_centers(points)[np.arange(len(points)), labels]

    def memberships(self, points):
        distances = self.metric.to_parts(points, self.point_labels, len(self.centers))
        return memberships(distances, self.metric.spacing)

    def scores(self, points):
        """Minus distances to the fifth nearest point, in units of its median in the part."""
        distances = self.metric.core_distances(points)
        ordinary = self.metric.core_distances()
        units = np.ones(len(self.centers))
        for k in np.unique(self.point_labels):
            units[k] = np.median(ordinary[self.point_labels == k]) or 1.0
        return -distances / units[self.labels(points)]


class StraightParts(Parts):
    """Parts around means of the data, which are the points: samples belong to the nearest mean.

    Parameters
    ----------
    metric : NearestNeighborMetric
    centers : ndarray of shape (k, d)
    point_labels : ndarray of shape (n_points,) int
    means : Means
    """

    def __init__(
        self, metric: Any, centers: np.ndarray, point_labels: np.ndarray, means: Any
    ) -> None:
        super().__init__(metric, centers, point_labels)
        self.means = means

    def labels(self, points):
        return self.means.distances(points).argmin(1)

    def memberships(self, points):
        shares, rows, own = super().memberships(points), np.arange(len(points)), self.labels(points)
        # That the nearest sample is one of another cluster is chance: the two change places.
        most = shares.argmax(1)
        shares[rows, most], shares[rows, own] = shares[rows, own], shares[rows, most]
        return shares
