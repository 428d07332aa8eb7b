"""A Kalman smoother on principal components, its parameters by expectation maximisation, as in
Shumway and Stoffer, *An approach to time series smoothing and forecasting using the EM algorithm*
(1982): what one would do without a network.
"""

import numpy as np
from sklearn.decomposition import PCA


class KalmanOnComponents:
    """States of `n_states` dimensions, of which `n_components` principal components are linear
    functions with noise.

    The first states are the components, the next, if there are more, their velocities.
    """

    def __init__(self, n_components, n_states, n_iter=50):
        self.n_components, self.n_states, self.n_iter = n_components, n_states, n_iter

    def fit(self, sequences):
        self.pca = PCA(self.n_components, random_state=0).fit(np.concatenate(sequences))
        observed = [self._components(Y) for Y in sequences]
        d, k = self.n_states, self.n_components
        started = [self._first_states(Z) for Z in observed]
        X = np.concatenate(started)
        self.center, self.start = X.mean(0), np.cov(X.T) + 1e-6 * np.eye(d)
        before = np.concatenate([x[:-1] for x in started])
        after = np.concatenate([x[1:] for x in started])
        ones = np.c_[before, np.ones(len(before))]
        solution = np.linalg.lstsq(ones, after, rcond=None)[0].T
        self.A, self.b = solution[:, :-1], solution[:, -1]
        residual = after - ones @ solution.T
        self.Q = residual.T @ residual / len(after) + 1e-6 * np.eye(d)
        self.C, self.c = np.eye(k, d), np.zeros(k)
        self.R = 0.01 * np.cov(np.concatenate(observed).T)
        for _ in range(self.n_iter):
            self._maximise(observed)
        return self

    def _components(self, Y):
        """Principal components of rows; NaN for a row that is missing."""
        gone = np.isnan(Y).any(axis=1)
        Z = self.pca.transform(np.where(gone[:, None], self.pca.mean_, Y))
        return np.where(gone[:, None], np.nan, Z)

    def _first_states(self, Z):
        velocities = np.gradient(Z, axis=0)
        return np.c_[Z, velocities][:, : self.n_states]

    def filtered(self, Z):
        """Means and covariances before and after each observation."""
        d, found = self.n_states, []
        mean, cov = self.center, self.start
        for t, z in enumerate(Z):
            if t:
                mean, cov = self.A @ mean + self.b, self.A @ cov @ self.A.T + self.Q
            before = mean, cov
            if not np.isnan(z).any():
                gain = np.linalg.solve(self.C @ cov @ self.C.T + self.R, self.C @ cov).T
                mean = mean + gain @ (z - self.C @ mean - self.c)
                left = np.eye(d) - gain @ self.C
                cov = left @ cov @ left.T + gain @ self.R @ gain.T
            found.append((*before, mean, cov))
        return found

    def smoothed(self, Z):
        """Means, covariances and covariances of each step (rows) and the one before."""
        steps = self.filtered(Z)
        mean, cov = steps[-1][2:]
        means, covs, crosses = [mean], [cov], []
        for (*_, m, P), (after, wide, _, _) in zip(steps[-2::-1], steps[:0:-1]):
            gain = np.linalg.solve(wide, self.A @ P).T
            crosses.append(cov @ gain.T)
            mean, cov = m + gain @ (mean - after), P + gain @ (cov - wide) @ gain.T
            means.append(mean)
            covs.append(cov)
        return np.array(means[::-1]), np.array(covs[::-1]), np.array(crosses[::-1])

    def _maximise(self, observed):
        d, k = self.n_states, self.n_components
        xx, xz, zz, n = np.zeros((d + 1, d + 1)), np.zeros((d + 1, k)), np.zeros((k, k)), 0
        bb, ba, aa, m = np.zeros((d + 1, d + 1)), np.zeros((d + 1, d)), np.zeros((d, d)), 0
        firsts, spread = [], np.zeros((d, d))
        for Z in observed:
            mean, cov, cross = self.smoothed(Z)
            ones, seen = np.c_[mean, np.ones(len(mean))], ~np.isnan(Z).any(axis=1)
            xx += ones[seen].T @ ones[seen]
            xx[:d, :d] += cov[seen].sum(0)
            xz += ones[seen].T @ Z[seen]
            zz += Z[seen].T @ Z[seen]
            n += seen.sum()
            bb += ones[:-1].T @ ones[:-1]
            bb[:d, :d] += cov[:-1].sum(0)
            ba += ones[:-1].T @ mean[1:]
            ba[:d] += cross.sum(0).T
            aa += mean[1:].T @ mean[1:] + cov[1:].sum(0)
            m += len(Z) - 1
            firsts.append(mean[0])
            spread += cov[0]
        found = np.linalg.solve(xx, xz).T
        self.C, self.c = found[:, :-1], found[:, -1]
        self.R = symmetric((zz - found @ xz) / n)
        found = np.linalg.solve(bb, ba).T
        self.A, self.b = found[:, :-1], found[:, -1]
        self.Q = symmetric((aa - found @ ba) / m)
        self.center = np.mean(firsts, axis=0)
        off = np.array(firsts) - self.center
        # A few beginnings do not determine a covariance.
        self.start = symmetric((off.T @ off + spread + np.eye(d)) / (len(firsts) + 1))

    def filled(self, Y):
        """A sequence with what is expected of missing rows."""
        means = self.smoothed(self._components(Y))[0]
        gone = np.isnan(Y)
        return np.where(gone, self.pca.inverse_transform(means @ self.C.T + self.c), Y)

    def forecast(self, Y, n_steps):
        """The rows that are expected to come next."""
        mean, found = self.filtered(self._components(Y))[-1][2], []
        for _ in range(n_steps):
            mean = self.A @ mean + self.b
            found.append(self.C @ mean + self.c)
        return self.pca.inverse_transform(np.array(found))


def symmetric(matrix):
    return 0.5 * (matrix + matrix.T) + 1e-9 * np.eye(len(matrix))
