"""Showing how far long work has come."""

import time

try:
    from tqdm.auto import tqdm
except ImportError:
    tqdm = None

# Seconds between two lines where there is no bar.
INTERVAL = 1.0


class Progress:
    """Steps of some work as a bar (tqdm, if installed) or as lines; nothing if not verbose.

    Parameters
    ----------
    name : str
    unit : str
        What a step is called.
    total : int or None
        Number of steps, if known.
    verbose : int or bool
    """

    def __init__(self, name, unit, total, verbose):
        self._name, self._unit, self._total, self._verbose = name, unit, total, verbose
        self._done, self._message, self._bar = 0, "", None

    def __enter__(self):
        self._started = self._shown = time.monotonic()
        if self._verbose and tqdm is not None:
            self._bar = tqdm(desc=self._name, unit=f" {self._unit}s", total=self._total)
        return self

    def __exit__(self, *error):
        if self._bar is not None:
            self._bar.close()
        elif self._verbose and self._done:
            self._show(time.monotonic())

    def step(self, message=""):
        """One more step is done."""
        self._done, self._message = self._done + 1, message
        if self._bar is not None:
            self._bar.set_postfix_str(message, refresh=False)
            self._bar.update()
        elif self._verbose and (now := time.monotonic()) - self._shown >= INTERVAL:
            self._show(now)

    def _show(self, now):
        self._shown = now
        rate = self._done / max(now - self._started, 1e-9)
        parts = [f"{self._unit} {self._done}", f"{rate:.3g} per second", self._message]
        if self._total is not None:
            parts[0] += f" of {self._total}"
            parts.insert(2, f"{(self._total - self._done) / rate:.0f} s left")
        print(f"[{self._name}] {', '.join(filter(None, parts))}", flush=True)
