"""Imports point down only: pictures, estimators, decoders, then geometry beside networks."""

import ast
import importlib.util
import sys
from pathlib import Path

import pytest

import skriem

PACKAGE = Path(skriem.__file__).parent
# Beside the tests, which are not always beside the package: it may be installed.
ROOT = Path(__file__).parents[1]
# What each layer may import of ours, and of others besides the standard library.
BELOW = {
    "skriem": {"skriem.estimators", "skriem.decoders", "skriem.geometry", "skriem.inspection"},
    "skriem.inspection": {
        "skriem.estimators",
        "skriem.support",
        "skriem.geometry",
    },
    "skriem.estimators": {
        "skriem.support",
        "skriem.decoders",
        "skriem.geometry",
        "skriem.nn",
        "skriem.calculus",
    },
    "skriem.support": {"skriem.geometry", "skriem.calculus"},
    "skriem.decoders": {"skriem.geometry", "skriem.nn", "skriem.calculus"},
    "skriem.geometry": {"skriem.calculus"},
    "skriem.nn": {"skriem.calculus"},
    "skriem.calculus": set(),
}
NUMERICS = {"torch", "numpy", "scipy"}
# torch documents dispatch modes, and has no public name for them.
PRIVATE = {("other_device.py", "torch.utils._python_dispatch.TorchDispatchMode")}
OTHERS = {
    "skriem": set(),
    "skriem.inspection": NUMERICS | {"sklearn", "matplotlib", "bokeh"},
    "skriem.estimators": NUMERICS | {"sklearn", "joblib"},
    "skriem.support": NUMERICS | {"sklearn", "joblib", "tqdm"},
    "skriem.decoders": NUMERICS | {"sklearn"},
    "skriem.geometry": NUMERICS,
    "skriem.nn": NUMERICS,
    "skriem.calculus": {"torch", "numpy"},
}


@pytest.fixture(scope="module")
def architecture():
    """The script that draws the layers, which reads the same imports."""
    path = ROOT / "doc" / "architecture.py"
    if not path.exists():
        pytest.skip("the documentation is not here")
    spec = importlib.util.spec_from_file_location("architecture", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def imports(architecture):
    return architecture.imports(PACKAGE)


def test_every_file_is_read(imports):
    assert len(imports) == len(list(PACKAGE.rglob("*.py")))
    assert "skriem.estimators.kmeans.kmeans" in imports
    assert "skriem.geometry.curves" in imports["skriem.geometry.solvers.relax"]
    assert "torch" in imports["skriem.nn.network"]


@pytest.mark.parametrize("layer", BELOW)
def test_imports_point_down(architecture, imports, layer):
    found = {
        (module, imported)
        for module in imports
        if architecture.floor_of(module) == layer
        for imported in imports[module]
        if architecture.floor_of(imported) in BELOW
        and architecture.floor_of(imported) not in BELOW[layer] | {layer}
    }
    assert not found


@pytest.mark.parametrize("layer", OTHERS)
def test_other_packages_stay_in_their_layers(architecture, imports, layer):
    found = {
        (module, imported)
        for module in imports
        if architecture.floor_of(module) == layer
        for imported in imports[module]
        if architecture.floor_of(imported) not in BELOW
        and architecture.floor_of(imported) not in sys.stdlib_module_names | OTHERS[layer]
    }
    assert not found


def test_folders_stand_on_each_other(architecture, imports):
    row = {layer: k for k, layers in enumerate(architecture.LAYERS) for layer in layers}
    found = {
        (module, imported)
        for module in imports
        for imported in imports[module]
        for upper, lower in [(architecture.layer_of(module), architecture.layer_of(imported))]
        # The package's own __init__ gives names to what users use.
        if {upper, lower} <= row.keys() and upper != lower and row[upper] >= row[lower]
    }
    assert not {pair for pair in found if pair[0] not in ("skriem.geometry", "skriem.inspection")}


def test_no_imports_in_circles(architecture, imports):
    ours = {
        module: {i for i in imported if i in imports and i != module}
        for module, imported in imports.items()
    }
    _, height = architecture.reduced(ours)
    assert height["skriem.estimators.kmeans.kmeans"] > height["skriem.geometry.metrics.base"]
    with pytest.raises(ValueError, match="circle: a -> b -> a"):
        architecture.reduced({"a": {"b"}, "b": {"a"}})


def foreign_names(path):
    """Full names of all that a file imports from other packages than its own."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_nothing_private_of_other_packages_is_imported():
    folders = PACKAGE, *(ROOT / name for name in ("tests", "examples", "benchmarks", "doc"))
    paths = [path for folder in folders for path in folder.rglob("*.py")]
    names = {(path.name, name) for path in paths for name in foreign_names(path)}
    assert ("mean_runs.py", "sklearn.cluster.KMeans") in names
    private = {
        (path, name)
        for path, name in names
        if name.split(".")[0] != "skriem"
        and any(part.startswith("_") and not part.startswith("__") for part in name.split(".")[1:])
    }
    assert private <= PRIVATE


def test_no_test_file_imports_another():
    names = {
        (path.name, name.partition(".")[0])
        for path in Path(__file__).parent.glob("*.py")
        for name in foreign_names(path)
    }
    assert ("test_laws.py", "geometries") in names
    assert not {pair for pair in names if pair[1].startswith("test_")}
