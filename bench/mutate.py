"""Mutation testing of the methods and engines: which share of small changes do the tests of their module notice?

``python bench/mutate.py`` draws 200 mutants with a fixed seed, runs each against the tests of its module only, and
writes bench/mutate.md with the share caught and every survivor. It resumes: results lie in build/mutants/results.jsonl,
and a mutant is tested again only when its module or its tests have changed.

A mutant is one change by an operator of cosmic-ray (another arithmetic or comparison operator, a number plus or minus
one, ``not`` added, ``and`` for ``or``, a loop without iterations, …) at a place inside the body of a function.
Signatures, decorators, annotations and error messages are left alone. Places are drawn evenly, then one of the changes
that are possible there. Tests run in a copy of the tree, so the working tree never holds a mutant.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.report import table, write  # found only once the folder is on the path

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / "build" / "mutants"
SOURCE = ROOT / "src"
VERBS = ("explain", "evaluate", "attack", "certify", "diagnose", "repair")
CONTRACT = Path("tests/contract/test_methods.py")
COPIED = ("src", "tests", "bench", "docs", "README.md", "Makefile", "pyproject.toml", "changelog.d", "findings")
MOST_FILES = 6
"""Test files that are run against one module at most; those named after it come first."""

PATIENCE = 4
"""A run that takes so many times longer than without the mutant, plus a minute, has hung and counts as caught."""


KIN = (
    {"Add", "Sub", "Mul", "Div", "FloorDiv", "Mod", "Pow"},
    {"BitAnd", "BitOr", "BitXor"},
    {"Eq", "NotEq", "Lt", "LtE", "Gt", "GtE"},
    {"Is", "IsNot"},
    {"In", "NotIn"},
    {"UAdd", "USub", "Delete"},
    {"Not", "Delete"},
)
"""Operators that are replaced by one another; others (a shift for a sum) fail at once and show nothing."""


@dataclass(frozen=True)
class Mutant:
    """One change of one module: the occurrence of an operator, and the line it changes."""

    module: str
    operator: str
    occurrence: int
    line: int
    before: str
    after: str


@cache
def modules() -> dict[str, Path]:
    """The modules that are mutated, by dotted name."""
    folders = [SOURCE / "assay" / name for name in (*VERBS, "engine")]
    paths = [path for folder in folders for path in sorted(folder.rglob("*.py")) if path.stem != "__init__"]
    return {dotted(path): path for path in paths}


def dotted(path: Path) -> str:
    """The name by which a module is imported."""
    return ".".join(path.relative_to(SOURCE).with_suffix("").parts)


@cache
def imports(path: Path) -> frozenset[str]:
    """Every module, and every name inside one, that a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.update((node.module, *(f"{node.module}.{alias.name}" for alias in node.names)))
    return frozenset(found)


@cache
def test_files() -> dict[Path, str]:
    """Test files with their text; not those of peers, and not the contract suite, which is run by method."""
    paths = sorted((ROOT / "tests").rglob("test_*.py"))
    left_out = {"peers", "judge", "contract"}
    return {path: path.read_text(encoding="utf-8") for path in paths if not left_out & set(path.parts)}


def tests_of(module: str) -> list[Path]:
    """The test files of a module: those named after it, that import it or call it; else those of its importers."""
    named, using = _named(module), _using(module)
    verb = module.split(".")[1]
    found = named if named and verb in VERBS else [*named, *(path for path in using if path not in named)]
    if not found:
        importers = [other for other, path in modules().items() if module in imports(path)]
        found = [path for other in importers for path in [*_named(other), *_using(other)]]
    return list(dict.fromkeys(found))[:MOST_FILES]


def _named(module: str) -> list[Path]:
    return [path for path in test_files() if path.stem == f"test_{module.rpartition('.')[2]}"]


def _using(module: str) -> list[Path]:
    verb, _, name = module.removeprefix("assay.").rpartition(".")
    call = re.compile(rf"\b{verb}\.{name}\b") if verb in VERBS else None
    found = [path for path, text in test_files().items() if call is not None and call.search(text)]
    return [path for path in test_files() if path in found or module in imports(path)]


def command(module: str, python: str = sys.executable) -> list[str]:
    """The run of the tests of a module, up to the first failure; for a method its part of the contract suite too."""
    paths = [path.relative_to(ROOT).as_posix() for path in tests_of(module)]
    verb, _, name = module.removeprefix("assay.").rpartition(".")
    if verb in ("explain", "evaluate"):
        paths = [*paths, CONTRACT.as_posix(), "-k", f"(not {CONTRACT.stem}) or [{name}-"]
    return [python, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-m", "not peer and not judge", *paths]


def positions(source: str) -> dict[tuple[int, int], list[tuple[str, int]]]:
    """Places inside function bodies, each with the operators and occurrences that change something there."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.operators.provider import OperatorProvider

    nodes = list(ast_nodes(get_ast(source)))
    inside = {id(node) for node in nodes if is_in_body(node)}
    found: dict[tuple[int, int], list[tuple[str, int]]] = {}
    provider = OperatorProvider()
    for name in provider:
        if not is_telling(name):
            continue
        operator, occurrence = provider[name](), 0
        for node in nodes:
            for start, _ in operator.mutation_positions(node):
                if id(node) in inside:
                    found.setdefault(tuple(start), []).append((name, occurrence))
                occurrence += 1
    return found


def is_telling(operator: str) -> bool:
    """Whether an operator of cosmic-ray makes changes that a programmer could have made."""
    kind, _, pair = operator.partition("Operator_")
    if pair:
        return any(set(pair.split("_")) <= kin for kin in KIN)
    return kind not in ("RemoveDecorator", "VariableReplacer", "VariableInserter")


def is_in_body(node: Any) -> bool:
    """Whether a node of parso's tree lies in a function's body, outside annotations, decorators and messages."""
    child, parent = node, node.parent
    while parent is not None:
        if parent.type in ("annassign", "raise_stmt", "decorator", "assert_stmt"):
            is_value = parent.type == "annassign" and "=" in [str(c.get_code()).strip() for c in parent.children[:-1]]
            if not (is_value and child is parent.children[-1]):
                return False
        if parent.type == "funcdef":
            return child is parent.children[-1]
        child, parent = parent, parent.parent
    return False


def draw_mutants(count: int, seed: int, only: str = "") -> list[Mutant]:
    """So many mutants: places drawn evenly from all bodies, then one of the changes there."""
    places = [
        (module, place, changes)
        for module, path in modules().items()
        if only in module
        for place, changes in sorted(positions(path.read_text(encoding="utf-8")).items())
    ]
    print(f"{len(places)} places in {len({module for module, _, _ in places})} modules")
    generator = np.random.default_rng(seed)
    found = []
    for number in generator.permutation(len(places)):
        module, (line, _), changes = places[number]
        operator, occurrence = changes[generator.integers(len(changes))]
        before, after = changed_lines(module, operator, occurrence)
        if before != after:
            found.append(Mutant(module, operator, occurrence, line, before, after))
        if len(found) == count:
            break
    return found


def mutated(module: str, operator: str, occurrence: int) -> str:
    """The source of a module with one change; unchanged where the result is no Python."""
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.operators.provider import OperatorProvider

    source = modules()[module].read_text(encoding="utf-8")
    changed = mutate_code(source, OperatorProvider()[operator](), occurrence) or source
    try:
        same = ast.dump(ast.parse(changed)) == ast.dump(ast.parse(source))
    except SyntaxError:
        return source
    return source if same else str(changed)


def changed_lines(module: str, operator: str, occurrence: int) -> tuple[str, str]:
    """The lines that differ, before and after."""
    one = modules()[module].read_text(encoding="utf-8").splitlines()
    two = mutated(module, operator, occurrence).splitlines()
    start = next((i for i, (a, b) in enumerate(zip(one, two)) if a != b), len(one))
    end = next((i for i, (a, b) in enumerate(zip(one[::-1], two[::-1])) if a != b), 0)
    before, after = one[start : len(one) - end], two[start : len(two) - end]
    return " ".join(map(str.strip, before)), " ".join(map(str.strip, after))


def digest(module: str) -> str:
    """Changes when the module or one of its tests changes."""
    sha = hashlib.sha256(modules()[module].read_bytes())
    for path in [*tests_of(module), *sorted((ROOT / "tests" / "contract").glob("*.py"))]:
        sha.update(path.read_bytes())
    return sha.hexdigest()[:16]


class Tree:
    """A copy of the project in which one mutant at a time is tested."""

    def __init__(self, number: int) -> None:
        self.path = WORK / f"tree-{number}"
        shutil.rmtree(self.path, ignore_errors=True)
        for name in COPIED:
            place = ROOT / name
            if place.is_dir():
                shutil.copytree(place, self.path / name, ignore=shutil.ignore_patterns("__pycache__", "_build"))
            else:
                shutil.copy(place, self.path / name)
        shared = WORK / "shared"
        if not shared.exists() and (ROOT.parent / "shared").is_dir():
            shared.symlink_to(ROOT.parent / "shared")

    def run(self, module: str, source: str, limit: float) -> tuple[int | None, float, str]:
        """Exit status (``None``: it hung), seconds and the end of the output of the module's tests on this source."""
        path = self.path / modules()[module].relative_to(ROOT)
        sound = path.read_text(encoding="utf-8")
        self._replace(path, source)
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        environment |= {"PYTHONPATH": str(self.path / "src"), "OMP_NUM_THREADS": "1"}
        begun = time.monotonic()
        process = subprocess.Popen(
            command(module),
            cwd=self.path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=limit)
            status: int | None = process.returncode
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # the tests' own processes too
            output, _ = process.communicate()
            status = None
        finally:
            self._replace(path, sound)
        return status, time.monotonic() - begun, output[-2000:]

    @staticmethod
    def _replace(path: Path, source: str) -> None:
        """Write a module and drop its bytecode, which is told apart only by seconds and size."""
        path.write_text(source, encoding="utf-8")
        for stale in (path.parent / "__pycache__").glob(f"{path.stem}.*"):
            stale.unlink()


class Results:
    """Outcomes by mutant, kept in a file line by line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        self.found: dict[str, dict[str, Any]] = {one["key"]: one for one in map(json.loads, lines)}

    def get(self, key: str) -> dict[str, Any] | None:
        """What is known of a key."""
        return self.found.get(key)

    def add(self, key: str, **fields: Any) -> dict[str, Any]:
        """Keep an outcome."""
        self.found[key] = {"key": key, **fields}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(self.found[key]) + "\n")
        return self.found[key]


def baseline(module: str, tree: Tree, results: Results) -> dict[str, Any]:
    """Status and seconds of the module's tests without a mutant."""
    key = f"{module} {digest(module)}"
    known = results.get(key)
    if known is None or known["status"] != 0:
        status, seconds, output = tree.run(module, modules()[module].read_text(encoding="utf-8"), 600.0)
        known = results.add(key, status=status, seconds=seconds, output=output if status else "")
    return known


def outcome(mutant: Mutant, trees: SimpleQueue[Tree], results: Results) -> dict[str, Any]:
    """``caught``, ``survived``, or ``untested`` where the module's tests fail without a mutant, too."""
    key = f"{mutant.module} {mutant.operator} {mutant.occurrence} {digest(mutant.module)}"
    known = results.get(key)
    if known is not None and known["outcome"] != "untested":
        return known
    if not tests_of(mutant.module):
        return results.add(key, outcome="survived", by="no tests", **asdict(mutant))
    tree = trees.get()
    try:
        sound = baseline(mutant.module, tree, results)
        if sound["status"] != 0:
            return results.add(key, outcome="untested", by=sound["output"][-300:], **asdict(mutant))
        source = mutated(mutant.module, mutant.operator, mutant.occurrence)
        status, seconds, output = tree.run(mutant.module, source, 60 + PATIENCE * sound["seconds"])
    finally:
        trees.put(tree)
    failed = re.findall(r"^(?:FAILED|ERROR) (\S+)", output, re.MULTILINE)
    by = "time" if status is None else failed[0] if failed else ""
    found = results.add(key, outcome="survived" if status == 0 else "caught", seconds=seconds, by=by, **asdict(mutant))
    print(f"{found['outcome']:9} {seconds:5.0f} s  {mutant.module}:{mutant.line}  {mutant.after}  {by}", flush=True)
    return found


def page(found: Sequence[dict[str, Any]], seed: int) -> None:
    """Write the share caught and the survivors."""
    from assay.basics.stats import clopper_pearson

    tested = [one for one in found if one["outcome"] != "untested"]
    caught = [one for one in tested if one["outcome"] == "caught"]
    interval = clopper_pearson(len(caught), len(tested))
    share = len(caught) / max(1, len(tested))
    hung = sum(one["by"] == "time" for one in caught)
    write(
        "mutate",
        "Mutation testing",
        f"{len(caught)} of {len(tested)} mutants were caught by the tests of their module ({share:.0%}, 95% interval "
        f"{interval.low:.0%} to {interval.high:.0%}; {hung} by a time limit). Seed {seed}; "
        f"{len(found) - len(tested)} were not tested, since their module's tests fail without a mutant.",
        "## Survivors",
        table(("place", "before", "after"), _rows(found, "survived")),
        *(["## Not tested", table(("place", "before", "after"), _rows(found, "untested"))] if found != tested else []),
    )


def _rows(found: Sequence[dict[str, Any]], kind: str) -> Iterator[list[str]]:
    for one in sorted(found, key=lambda one: (one["module"], one["line"])):
        if one["outcome"] == kind:
            code = (one[side].replace("|", "\\|") for side in ("before", "after"))
            yield [f"{one['module']}:{one['line']}", *(f"`{text}`" for text in code)]


def main() -> None:
    """Draw, test, write."""
    parser = argparse.ArgumentParser(description="Mutation testing of the methods and engines.")
    parser.add_argument("--count", type=int, default=200, help="mutants drawn (default: 200)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the draw (default: 0)")
    parser.add_argument("--workers", type=int, default=2, help="mutants tested at a time (default: 2)")
    parser.add_argument("--only", default="", help="only modules whose name contains this")
    given = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    results, trees = Results(WORK / "results.jsonl"), SimpleQueue[Tree]()
    mutants = draw_mutants(given.count, given.seed, given.only)
    for number in range(given.workers):
        trees.put(Tree(number))
    with ThreadPoolExecutor(given.workers) as pool:
        found = list(pool.map(lambda one: outcome(one, trees, results), mutants))
    page(found, given.seed)


if __name__ == "__main__":
    main()
