"""Faults put into copies of the package, one at a time, and whether the tests notice.

    python tests/mutations.py                        # all faults, all tests but the slow ones
    python tests/mutations.py --only tridiagonal --tests tests/test_numerics.py

The tests run once on an unchanged copy, which says which tests run which lines and how long each
takes. Of every fault the tests that run its line come first, the fastest before the others. What
they let pass meets all tests: fixtures that tests share, and other processes, hide from the first
run who depends on a line. A survivor is therefore certain.

Exit status 1 means that less than 95 % of the faults were caught.
"""

import argparse
import ast
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from coverage import CoverageData
from faults import faults

ROOT = Path(__file__).resolve().parents[1]
# What is no part of a copy. The test of the table would catch every fault.
LEFT_OUT = shutil.ignore_patterns(
    *(".*", "__pycache__", "*.egg-info", "_build", "build", "dist"),
    *("mutations.py", "faults.py", "test_mutations.py"),
)
# Share of the faults that has to be caught.
WANTED = 0.95
# Seconds that a run may take: so many times what its tests took at first, and some more.
PATIENCE, STARTING = 5.0, 180.0
PYTEST = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--color=no", "-rfE")
FAILED, NO_TESTS = 1, 5


class Run(NamedTuple):
    """How a run of pytest ended."""

    status: int | None  # None: it took too long
    output: str
    seconds: float


class Map(NamedTuple):
    """What the first run says."""

    root: Path  # where all is as it was at first
    seconds: Counter  # by test
    lines: dict  # by file and line: the tests that run it

    def run_by(self, fault):
        """The tests that run a fault's line, and whether it is run at all."""
        lines = self.lines.get(fault.path, {})
        own = statement(fault.source(self.root), fault.line(self.root))
        # What is run when its file is imported may matter to all who use the file.
        rows = [tests for k, tests in lines.items() if own is None or k in own]
        return set().union(*rows), bool(rows)


def statement(source, line):
    """Lines of the smallest statement around a line, of a compound one those of its head.

    None for what is not inside a function.
    """
    nodes = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.stmt) and node.lineno <= line <= node.end_lineno
    ]
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef)]
    if not any(line >= function.body[0].lineno for function in functions):
        return None
    smallest = min(nodes, key=lambda node: node.end_lineno - node.lineno)
    body = getattr(smallest, "body", None)
    return range(smallest.lineno, body[0].lineno if body else smallest.end_lineno + 1)


def run(copy, options, seconds):
    """Run pytest in a copy, with nothing at hand that an earlier run left behind."""
    temporary = copy / ".tmp"
    temporary.mkdir()
    settings = {
        "PYTHONPATH": str(copy),
        "PYTEST_ADDOPTS": "",
        "PYTHONDONTWRITEBYTECODE": "1",
        "TMPDIR": str(temporary),
        "OMP_NUM_THREADS": "1",
        # The only one that knows which test runs a line.
        "COVERAGE_CORE": "ctrace",
    }
    started = time.monotonic()
    process = subprocess.Popen(
        [*PYTEST, *options],
        cwd=copy,
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, status = process.communicate(timeout=seconds)[0], process.returncode
    except subprocess.TimeoutExpired:
        output, status = "", None
    finally:
        # Together with all processes that it started.
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    return Run(status, output, time.monotonic() - started)


@contextmanager
def copied(root):
    """A copy of a repository, for a while."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        yield Path(shutil.copytree(root, Path(folder) / "copy", ignore=LEFT_OUT))


def first_run(root, tests, n_workers):
    """Run the tests on an unchanged copy: they have to pass."""
    options = ["--cov=skriem", "--cov-context=test", "--cov-report=", "--durations=0", "-vv"]
    parallel = ["-n", str(n_workers)] if n_workers > 1 else []
    with copied(root) as copy:
        done = run(copy, [*options, *parallel, *tests], None)
        if done.status != 0:
            sys.exit(f"{done.output[-5000:]}\nThe tests do not pass without any fault.")
        data = CoverageData(str(copy / ".coverage"))
        data.read()
        lines = {}
        for path in data.measured_files():
            # A context is the name of a test and one of its three phases; none is the import.
            lines[Path(path).relative_to(copy / "skriem").as_posix()] = {
                line: {name.rpartition("|")[0] for name in names if name}
                for line, names in data.contexts_by_lineno(path).items()
            }
    seconds = Counter()
    took = r"^ *([\d.]+)s (?:setup|call|teardown) +(.*)$"
    for each, name in re.findall(took, done.output, re.MULTILINE):
        seconds[name] += float(each)
    n_tests = len(set().union(*(names for file in lines.values() for names in file.values())))
    print(f"{n_tests} tests pass without any fault, in {done.seconds:.0f} s.", flush=True)
    return Map(root, seconds, lines)


def try_fault(fault, known, tests):
    """Who catches a fault (None: nobody), and a line that says so."""
    mine, is_run = known.run_by(fault)
    mine = sorted(mine, key=lambda name: (known.seconds[name], name))
    spent, by = 0.0, None
    for selected in [mine, tests] if mine else [tests]:
        expected = sum(known.seconds[name] for name in selected) or known.seconds.total()
        with copied(known.root) as copy:
            (copy / "skriem" / fault.path).write_text(fault.changed(known.root))
            done = run(copy, ["-x", "-q", "--tb=no", *selected], STARTING + PATIENCE * expected)
        spent, by = spent + done.seconds, caught_by(done)
        # Names that pytest does not find again are no proof.
        if by is not None and done.status in (None, FAILED):
            break
    where = f"{spent:6.1f} s  {fault.path}:{fault.line(known.root)}"
    if by is not None:
        return by, f"caught      {where} by {by}"
    return by, f"GOT THROUGH {where}{'' if is_run else ', not run by any test'}"


def caught_by(done):
    """The test that failed first, or what else went wrong; None if nothing did."""
    if done.status == 0:
        return None
    if done.status is None:
        return "the time limit"
    if done.status == NO_TESTS:
        sys.exit(f"No tests were run.\n{done.output[-2000:]}")
    found = re.search(r"^(?:FAILED|ERROR) (.*?)(?: - .*)?$", done.output, re.MULTILINE)
    return found[1] if found else f"exit status {done.status}"


def show(chosen):
    """Print faults as lines taken out and put in."""
    for fault in chosen:
        print(f"{fault.path}:{fault.line(ROOT)}\n  - {fault.old}\n  + {fault.new}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="faults whose file or text contains this")
    parser.add_argument("-n", type=int, default=2, help="faults that are tried at once")
    parser.add_argument("--tests", nargs="+", default=[], help="files of tests; all by default")
    parser.add_argument("--list", action="store_true", help="show the faults and try none")
    options = parser.parse_args()
    chosen = [fault for fault in faults() if options.only in str(fault)]
    if not chosen:
        parser.error(f"no fault contains {options.only!r}")
    if options.list:
        show(chosen)
        return 0
    through = []
    # What changes in the repository from now on has no say.
    with copied(ROOT) as root, ThreadPoolExecutor(options.n) as pool:
        known = first_run(root, options.tests, options.n)
        tried = {pool.submit(try_fault, fault, known, options.tests): fault for fault in chosen}
        for done in as_completed(tried):
            by, line = done.result()
            print(line, flush=True)
            if by is None:
                through.append(tried[done])
    n_caught = len(chosen) - len(through)
    print(f"\n{n_caught} of {len(chosen)} faults caught.")
    show(through)
    return int(n_caught < WANTED * len(chosen))


if __name__ == "__main__":
    sys.exit(main())
