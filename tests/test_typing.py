"""Annotations: everything public has them. A type checker sees whether they are right."""

import importlib
import inspect
from functools import cached_property
from pathlib import Path

import pytest

import skriem

PUBLIC = "skriem", "skriem.geometry", "skriem.inspection"


def functions_of(name, value):
    """Public functions behind a public name, with their names."""
    if inspect.isfunction(value):
        yield name, value
    if not inspect.isclass(value):
        return
    for base in value.__mro__:
        if base.__module__.split(".")[0] not in ("skriem", __name__):
            continue
        for attribute, member in vars(base).items():
            if attribute.startswith("_") and attribute not in ("__init__", "__call__"):
                continue
            if isinstance(member, property):
                member = member.fget
            # Class methods, and what cached properties compute.
            member = getattr(member, "__func__", getattr(member, "func", member))
            # Not those that the standard library or scikit-learn has put there.
            if inspect.isfunction(member) and member.__module__ == base.__module__:
                yield f"{name}.{attribute}", inspect.unwrap(member)


def lacking(name, function):
    """Names of what has no annotation."""
    signature = inspect.signature(function)
    for parameter in signature.parameters.values():
        if parameter.annotation is parameter.empty and parameter.name not in ("self", "cls"):
            yield f"{name}: {parameter.name}"
    if signature.return_annotation is signature.empty:
        yield f"{name}: return"


@pytest.fixture(scope="module")
def functions():
    """All public functions and methods, (name, function)."""
    found = []
    for package in PUBLIC:
        module = importlib.import_module(package)
        for name in module.__all__:
            found += functions_of(f"{package}.{name}", getattr(module, name))
    return found


def test_all_public_functions_are_found(functions):
    names = {name for name, _ in functions}
    assert names >= {
        "skriem.brownian_motion",
        "skriem.VAETransformer.__init__",
        "skriem.VAETransformer.transform",
        "skriem.GeodesicDistance.__call__",
        "skriem.decoder_metric",
        "skriem.geometry.PullbackMetric.graph",
        "skriem.geometry.Geodesics.energy",
        "skriem.inspection.DensityDisplay.plot",
    }


def test_everything_public_is_annotated(functions):
    assert not [what for name, function in functions for what in lacking(name, function)]


def test_missing_annotations_are_named():
    class Half:
        def __init__(self, a: int, b=1) -> None: ...

        @property
        def c(self): ...

        @cached_property
        def d(self): ...

        @classmethod
        def e(cls, f) -> None: ...

        def _private(self): ...

    found = [what for name, f in functions_of("Half", Half) for what in lacking(name, f)]
    assert found == ["Half.__init__: b", "Half.c: return", "Half.d: return", "Half.e: f"]


def test_type_checkers_know_that_there_are_types():
    assert (Path(skriem.__file__).parent / "py.typed").exists()
