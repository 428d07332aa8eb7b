"""The table of faults belongs to the code as it is. Whether tests notice them: `mutations.py`."""

import ast
from pathlib import Path

import pytest
from faults import BY_FILE, faults

import skriem

ROOT = Path(skriem.__file__).parents[1]


@pytest.mark.parametrize("path", BY_FILE)
def test_faults_change_one_line_each(path):
    mine = [fault for fault in faults() if fault.path == path]
    source = mine[0].source(ROOT)
    sound = ast.dump(ast.parse(source))
    for fault in mine:
        assert source.count(fault.old) == 1, (
            f"{fault.old!r} stands there {source.count(fault.old)} times"
        )
        assert "\n" not in fault.old + fault.new
        assert ast.dump(ast.parse(fault.changed(ROOT))) != sound


def test_no_fault_is_there_twice():
    assert len(set(faults())) == len(faults()) >= 40
