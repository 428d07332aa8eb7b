"""Progress of long work, and interrupting it."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from skriem import GeodesicDistance, RBFNoise, RiemannianKMeans, RiemannianNormal, VAETransformer
from skriem.geometry import PullbackMetric
from skriem.support import progress as _progress

FLAT = PullbackMetric(lambda z: z, 2)
X = np.random.default_rng(0).normal(size=(150, 2))


def work(verbose):
    """Something long of every estimator."""
    VAETransformer(max_iter=3, noise=RBFNoise(contrast=5), random_state=0, verbose=verbose).fit(X)
    RiemannianKMeans(2, metric=FLAT, random_state=0, verbose=verbose).fit(X)
    RiemannianNormal(metric=FLAT, random_state=0, verbose=verbose).fit(X)
    GeodesicDistance(FLAT, verbose=verbose).fit_transform(X)


@pytest.mark.slow
def test_silent_by_default(capsys):
    work(verbose=0)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


@pytest.mark.slow
def test_lines_without_tqdm(capsys, monkeypatch):
    monkeypatch.setattr(_progress, "tqdm", None)
    work(verbose=1)
    out = capsys.readouterr().out
    assert "[VAETransformer] epoch 3 of 3" in out
    for words in ("per second", "s left", "loss", "inertia", "log-likelihood", "block 1 of 1"):
        assert words in out


def test_every_line_when_time_has_passed(capsys, monkeypatch):
    monkeypatch.setattr(_progress, "tqdm", None)
    monkeypatch.setattr(_progress, "INTERVAL", 0.0)
    with _progress.Progress("Work", "step", 4, True) as progress:
        for _ in range(3):
            progress.step()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in lines[:3]] == [
        f"[Work] step {k} of 4" for k in (1, 2, 3)
    ]


def test_a_bar_with_tqdm(capsys):
    pytest.importorskip("tqdm")
    work(verbose=1)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "VAETransformer: 100%" in captured.err
    assert "loss" in captured.err


class Interrupting:
    """A bar whose user presses Ctrl-C after some steps."""

    def __init__(self, steps):
        self.left = steps

    def __call__(self, **options):
        return self

    def set_postfix_str(self, *arguments, **options):
        pass

    def update(self):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt

    def close(self):
        pass


def test_an_interrupt_leaves_a_model_that_works(monkeypatch):
    monkeypatch.setattr(_progress, "tqdm", Interrupting(4))
    vae = VAETransformer(max_iter=50, random_state=0, verbose=1)
    with pytest.warns(ConvergenceWarning, match="interrupted after 4 of 50"):
        vae.fit(X)
    assert vae.n_iter_ == 4
    codes = vae.transform(X)
    assert np.isfinite(vae.inverse_transform(codes)).all()
    assert np.isfinite(codes.metric.distance(codes[:2], codes[2:4], tol=0.1)).all()
