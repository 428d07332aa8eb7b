"""Gaps of a second in walking, and what comes in the next half second: recordings of one half are
learned from, those of the other half are asked about.
"""

import time
from functools import partial

import numpy as np
from _kalman import KalmanOnComponents
from motion import load_recordings

from skriem import DynamicsPrior, VAETransformer

GAP, AHEAD, LEAST, EVERY = 30, 15, 20, 15
# Components and states, of which the best in half of the first half is taken.
CANDIDATES = (6, 12), (12, 24), (20, 40), (30, 60)
SETTINGS = {"n_components": 12, "noise": "constant", "max_iter": 60, "tol": 0.0}


def gap_error(sequences, fill):
    """Root mean squared error of the middle second of every sequence."""
    errors = []
    for Y in sequences:
        first = (len(Y) - GAP) // 2
        gap, gone = slice(first, first + GAP), Y.copy()
        gone[gap] = np.nan
        errors.append(((fill(gone)[gap] - Y[gap]) ** 2).mean())
    return np.sqrt(np.mean(errors))


def forecast_error(sequences, forecast):
    """Root mean squared error of the next half second, from every half second on."""
    errors = []
    for Y in sequences:
        for end in range(LEAST, len(Y) - AHEAD + 1, EVERY):
            errors.append(((forecast(Y[:end], AHEAD) - Y[end : end + AHEAD]) ** 2).mean())
    return np.sqrt(np.mean(errors))


def line(Y):
    """Rows that are missing, on the straight line between those around."""
    gone, time_ = np.isnan(Y[:, 0]), np.arange(len(Y))
    columns = [np.interp(time_, time_[~gone], column[~gone]) for column in Y.T]
    return np.stack(columns, axis=1)


def of_line(Y, n):
    return Y[-1] + np.arange(1, n + 1)[:, None] * (Y[-1] - Y[-2])


def kalman(train):
    """Of the candidates the best in half of what there is to learn from."""
    inner, outer = train[::2], train[1::2]
    scores = {}
    for sizes in CANDIDATES:
        model = KalmanOnComponents(*sizes).fit(inner)
        scores[sizes] = gap_error(outer, model.filled), forecast_error(outer, model.forecast)
        told = "gaps {:.4f}, forecasts {:.4f}".format(*scores[sizes])
        print(f"chosen among: {sizes[0]} components, {sizes[1]} states: {told}", flush=True)
    return KalmanOnComponents(*min(scores, key=lambda sizes: sum(scores[sizes]))).fit(train)


def coded(vae):
    """Fill and forecast of an autoencoder without time: codes along lines, the last code."""

    def fill(Y):
        gone = np.isnan(Y[:, 0])
        codes = np.full((len(Y), vae.n_components), np.nan)
        codes[~gone] = vae.transform(Y[~gone])
        return vae.inverse_transform(line(codes))

    def forecast(Y, n):
        return vae.inverse_transform(np.repeat(np.asarray(vae.transform(Y[-1:])), n, axis=0))

    return fill, forecast


def print_walking(path, seeds):
    recordings = load_recordings(path)
    train, test = recordings[::2], recordings[1::2]
    X, groups = np.concatenate(train), np.repeat(np.arange(len(train)), [*map(len, train)])
    print(f"{len(train)} recordings, {len(X)} rows of {X.shape[1]} features; {len(test)} asked")

    def told(name, fill, forecast, seconds=0.0):
        found = gap_error(test, fill), forecast_error(test, forecast)
        print(f"| {name} | {found[0]:.4f} | {found[1]:.4f} | {seconds:.0f} s |", flush=True)

    told("line", line, of_line)
    told("last row", line, lambda Y, n: np.repeat(Y[-1:], n, axis=0))
    start = time.perf_counter()
    model = kalman(train)
    name = f"Kalman, {model.n_components} components, {model.n_states} states"
    told(name, model.filled, model.forecast, time.perf_counter() - start)
    for seed in seeds:
        start = time.perf_counter()
        vae = VAETransformer(**SETTINGS, random_state=seed).fit(X)
        told(f"normal prior, seed {seed}", *coded(vae), time.perf_counter() - start)
        start = time.perf_counter()
        vae = VAETransformer(**SETTINGS, prior=DynamicsPrior(), random_state=seed)
        vae.fit(X, groups=groups)
        seconds = time.perf_counter() - start
        told(f"dynamics, seed {seed}", vae.impute, partial(next_rows, vae), seconds)


def next_rows(vae, Y, n):
    return vae.forecast(n, Y)[0]
