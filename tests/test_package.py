"""The package as a whole, and the scripts beside it."""

import ast
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import skriem
from skriem import GeodesicDistance
from skriem.geometry import PullbackMetric

ROOT = Path(__file__).parents[1]
SCRIPTS = [
    path for folder in ("benchmarks", "examples", "doc") for path in ROOT.glob(f"{folder}/**/*.py")
]


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


@pytest.mark.parametrize("path", sorted(SCRIPTS), ids=lambda path: path.stem)
def test_scripts_import_what_there_is(path):
    """Scripts that no test runs, and nobody for a while."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "skriem":
            module = importlib.import_module(node.module)
            for name in node.names:
                there = hasattr(module, name.name) or importlib.util.find_spec(
                    f"{node.module}.{name.name}"
                )
                assert there, f"{node.module} has no {name.name}"


def test_warnings_name_the_line_of_the_caller():
    flat = PullbackMetric(lambda z: torch.where(z > 0.5, torch.nan, z), 1)
    a, b = np.array([[0.0]]), np.array([[1.0]])
    calls = [
        lambda: flat.distance(a, b),
        lambda: flat.pairwise(a, b),
        lambda: flat.log(a, b),
        lambda: flat.exp(a, b),
        lambda: GeodesicDistance(flat, method="exact").fit(a.repeat(2, 0)).transform(b),
    ]
    for call in calls:
        with pytest.warns(UserWarning, match="not converge|not be followed|NaN") as record:
            call()
        assert [warning.filename for warning in record] == [__file__] * len(record)
