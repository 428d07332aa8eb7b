"""Warnings that name the line of the user's that they are about."""

import sys
import warnings

# Frames that stand between users and what warns, by the beginning of their modules' names.
BETWEEN = ("skriem", "contextlib", "sklearn.utils._set_output")


def warn(message, category=UserWarning):
    """Warn at the innermost line that is not this package's own, however deep the call is.

    Python shows a warning once for each line, so that one whose line is always the same would be
    seen once in a session.
    """
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and _is_between(frame.f_globals.get("__name__", "")):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def _is_between(name):
    return any(name == start or name.startswith(f"{start}.") for start in BETWEEN)
