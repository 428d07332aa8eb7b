"""The package as a whole."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import skriem


def test_importing_does_not_import_torch():
    code = "import sys, skriem; assert 'torch' not in sys.modules, 'torch was imported'"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_public_names():
    assert {*skriem.__all__} == {*skriem._HOMES, *skriem._PACKAGES}
    for name in skriem.__all__:
        assert getattr(skriem, name) is not None
        assert name in dir(skriem)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        skriem.nothing  # noqa: B018


def test_citation_has_the_version():
    path = Path(__file__).parents[1] / "CITATION.cff"
    if not path.exists():
        pytest.skip("CITATION.cff is not beside the tests")
    assert re.findall(r"^version: (.*)$", path.read_text("utf-8"), re.M) == [skriem.__version__]
