"""The package as a whole."""

import subprocess
import sys

import pytest

import skriem


def test_importing_does_not_import_torch():
    code = "import sys, skriem; assert 'torch' not in sys.modules, 'torch was imported'"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_public_names():
    for name in skriem.__all__:
        assert getattr(skriem, name) is not None
        assert name in dir(skriem)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        skriem.nothing  # noqa: B018
