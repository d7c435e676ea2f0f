"""Which layer may import which, and what stays out of the methods; each rule is shown to fire on a planted fault."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import pytest

import assay
from tests.package_source import modules, text_of, tree_of

VERBS = {"explain", "evaluate", "attack", "certify", "diagnose", "repair"}
CORE = {"basics", "nouns", "model", "cases", "engine"}
MAY_IMPORT: dict[str, set[str]] = {
    "basics": {"basics"},
    "nouns": {"basics", "nouns"},
    "model": {"basics", "nouns", "model"},
    "cases": {"basics", "nouns", "model", "cases"},
    "engine": CORE,
    "interpretable": CORE | {"interpretable"},
    **dict.fromkeys(VERBS, CORE | {"interpretable"}),
    "examples": CORE - {"engine"},
    "axioms": CORE | VERBS | {"examples", "data", "axioms"},
    "planted": CORE | VERBS | {"examples", "data", "planted"},
    "experiments": CORE | VERBS | {"data", "demos", "planted", "experiments"},
    "report": {"basics", "nouns", "report"},
    "data": {"basics", "nouns", "data"},
    "demos": CORE | VERBS | {"interpretable", "report", "data", "auditing", "demos"},
    "auditing": CORE | VERBS | {"interpretable", "report", "data", "auditing"},
    "testing": CORE | {"auditing", "testing"},
    "cli": CORE
    | VERBS
    | {"interpretable", "report", "data", "auditing", "demos", "cli", "examples", "axioms", "planted", "experiments"},
    "__main__": {"cli"},
}
METHODS = VERBS | {"nouns", "cases", "engine", "basics", "report"}
HEAVY = {"torch", "pandas", "sklearn", "polars", "xgboost", "lightgbm", "transformers", "skimage", "PIL", "matplotlib"}
GENERATORS = {"Generator", "PCG64", "SeedSequence", "BitGenerator"}
TORCH_DRAWS = {"rand", "randn", "randint", "randperm", "normal", "bernoulli", "multinomial"}
UNPICKLES = "assay.model.files.unsafe"  # the one module that loads what could run code, where the user says so
SILENCER = re.compile(r"#\s*(type:\s*ignore|noqa)", re.IGNORECASE)
EXPLAINED_SILENCER = re.compile(
    r"#\s*(type:\s*ignore\[[\w-]+(,\s*[\w-]+)*\]|noqa:\s*[A-Z]+\d+(,\s*[A-Z]+\d+)*)\s+#\s*\w.*\s\w"
)


def layer_of(module: str) -> str:
    """The layer of a module: the first name after the package's."""
    return module.split(".")[1] if "." in module else ""


def runtime_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those under ``if TYPE_CHECKING``."""
    stack: list[ast.AST] = [tree]
    while stack:
        node = stack.pop()
        yield node
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            stack.extend(node.orelse)
        else:
            stack.extend(ast.iter_child_nodes(node))


def public_places() -> dict[str, str]:
    """The module of every public name: ``case`` is in ``assay.cases.case``."""
    return {name: f"assay.{place}" for name, place in assay._PLACES.items()}


def imported_modules(node: ast.AST) -> list[str]:
    """Modules of the package that a statement imports; a public name counts as the module that defines it."""
    if isinstance(node, ast.Import):
        return [name.name for name in node.names if name.name.split(".")[0] == "assay"]
    if isinstance(node, ast.ImportFrom) and node.module == "assay":
        return [public_places().get(name.name, f"assay.{name.name}") for name in node.names]
    if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("assay."):
        return [str(node.module)]
    named = isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module") and node.args
    if named and isinstance(node.args[0], ast.Constant) and str(node.args[0].value).startswith("assay."):
        return [str(node.args[0].value)]
    return []


def wrong_imports(module: str, tree: ast.AST) -> Iterator[str]:
    """Imports of a higher layer, of another verb, or of a sibling within a verb."""
    here = layer_of(module)
    if here in ("", "__init__"):
        return
    siblings = here in VERBS and not module.endswith("__init__")
    for node in runtime_nodes(tree):
        for other in imported_modules(node):
            there = layer_of(other)
            if there not in MAY_IMPORT.get(here, set()) and not (there == here and not siblings):
                yield f"{module} imports {other}"


def heavy_imports(module: str, tree: ast.AST) -> Iterator[str]:
    """Packages that must not load with the module."""
    if layer_of(module) not in METHODS:
        return
    body = list(ast.iter_child_nodes(tree))
    nested = [n for node in body if isinstance(node, ast.Try) for n in node.body]
    for node in [*body, *nested]:
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        yield from (f"{module} loads {name}" for name in names if name.split(".")[0] in HEAVY)


def unpickles(node: ast.Call) -> bool:
    """Whether a call may run what a file brings: a load of torch or joblib that is not for weights only."""
    called = node.func
    if not isinstance(called, ast.Attribute):
        return False
    keywords = {k.arg: getattr(k.value, "value", None) for k in node.keywords}
    owner = ast.unparse(called.value)
    if called.attr == "load" and ("joblib" in owner or "jit" in owner or "skops" in owner):
        return True
    if keywords.get("allow_pickle") is True or keywords.get("weights_only", True) is not True:
        return True
    return called.attr == "load" and owner in ("torch", "pt") and "weights_only" not in keywords


def forbidden_calls(module: str, tree: ast.AST) -> Iterator[str]:
    """Device moves in verbs; global random calls, prints, pickles and evaluated text anywhere."""
    modules_named_random = any(
        isinstance(n, ast.Import) and any(a.name == "random" for a in n.names) for n in ast.walk(tree)
    )
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            bad = [n for n in names if n.split(".")[0] in ("pickle", "dill", "cloudpickle") and module != UNPICKLES]
            yield from (f"{module} imports {n}" for n in bad)
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        last = name.rpartition(".")[2]
        keywords = {k.arg for k in node.keywords}
        if layer_of(module) in VERBS and (last == "cuda" or (last == "to" and "." in name)):
            yield f"{module} moves devices: {name}"
        seeded = last == "default_rng" and node.args and layer_of(module) not in VERBS
        if re.match(r"(np|numpy)\.random\.", name) and last not in GENERATORS and not seeded:
            yield f"{module} draws from a global stream: {name}"
        if last in ("manual_seed", "seed_all") and name.split(".")[0] in ("torch", "pt"):
            yield f"{module} seeds the global stream: {name}"
        if re.match(r"(torch|pt)\.\w+$", name) and last in TORCH_DRAWS and "generator" not in keywords:
            yield f"{module} draws from a global stream: {name}"
        if modules_named_random and name.startswith("random."):
            yield f"{module} draws from a global stream: {name}"
        if name in ("print", "eval", "exec") and not (name == "print" and layer_of(module) == "cli"):
            yield f"{module} calls {name}"
        if unpickles(node) and module != UNPICKLES:
            yield f"{module} unpickles: {name}"


def unexplained_silencers(module: str, text: str) -> Iterator[str]:
    """Silenced checkers that do not name the rule and the reason."""
    if not SILENCER.search(text):
        return
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if (
            token.type == tokenize.COMMENT
            and SILENCER.search(token.string)
            and not EXPLAINED_SILENCER.search(token.string)
        ):
            yield f"{module}:{token.start[0]} silences without rule or reason: {token.string}"


def shadowed_names(module: str) -> Iterator[str]:
    """A module of the top level that has the name of a top-level function."""
    below = module.removeprefix("assay.").removesuffix(".__init__")
    if "." not in below and below in assay._PLACES:
        yield f"{module} has the name of assay.{below}"


def violations(module: str, text: str, tree: ast.AST | None = None) -> list[str]:
    """Every rule over one module."""
    tree = ast.parse(text) if tree is None else tree
    return [
        *wrong_imports(module, tree),
        *heavy_imports(module, tree),
        *forbidden_calls(module, tree),
        *unexplained_silencers(module, text),
        *shadowed_names(module),
    ]


def test_every_module_keeps_the_rules() -> None:
    assert [v for name, path in modules().items() for v in violations(name, text_of(path), tree_of(path))] == []


def test_a_test_silences_no_checker_without_a_reason() -> None:
    paths = sorted(Path(__file__).parent.rglob("*.py"))
    assert [v for path in paths for v in unexplained_silencers(path.name, path.read_text(encoding="utf-8"))] == []


PLANTED = {
    "up from words": ("assay.basics.x", "from assay.nouns.inputs.rows import Rows", "imports assay.nouns"),
    "up from nouns": ("assay.nouns.x", "import assay.model.model", "imports assay.model"),
    "up from model": ("assay.model.x", "from assay.cases.case import Case", "imports assay.cases"),
    "up from cases": ("assay.cases.x", "from assay.engine.search.ball import Ball", "imports assay.engine"),
    "up from engine to models": ("assay.engine.x", "import assay.interpretable.rule_list", "imports assay.interp"),
    "verbs from models": ("assay.interpretable.x", "from assay import explain", "imports assay.explain"),
    "up from engine": ("assay.engine.x", "from assay.explain.shapley import shapley", "imports assay.explain"),
    "by the public face": ("assay.nouns.x", "from assay import case", "imports assay.cases.new_case"),
    "inside a function": ("assay.nouns.x", "def f():\n    from assay.cases.case import Case", "imports assay.cases"),
    "by name": ("assay.nouns.x", "import_module('assay.cases.case')", "imports assay.cases"),
    "another verb": ("assay.attack.x", "from assay.explain.shapley import shapley", "imports assay.explain"),
    "another verb's package": ("assay.attack.x", "from assay import explain", "imports assay.explain"),
    "a sibling": ("assay.explain.x", "from assay.explain.shapley import shapley", "imports assay.explain.shapley"),
    "the audit from a verb": ("assay.diagnose.x", "from assay.auditing.run import audit", "imports assay.auditing"),
    "a page that knows cases": ("assay.report.x", "from assay.cases.case import Case", "imports assay.cases"),
    "the command line from the audit": ("assay.auditing.x", "from assay.cli.main import main", "imports assay.cli"),
    "the whole package": ("assay.engine.x", "import assay", "imports assay"),
    "torch at the top": ("assay.explain.x", "import torch", "loads torch"),
    "pandas at the top": ("assay.nouns.x", "from pandas import DataFrame", "loads pandas"),
    "sklearn at the top": ("assay.cases.x", "try:\n    import sklearn.base\nfinally:\n    y = 1", "loads sklearn"),
    "a device move": ("assay.evaluate.x", "x = y.to('cuda')", "moves devices"),
    "a cuda move": ("assay.attack.x", "x = y.cuda()", "moves devices"),
    "numpy's global stream": ("assay.explain.x", "np.random.shuffle(x)", "global stream"),
    "numpy's unnamed generator": ("assay.explain.x", "g = np.random.default_rng()", "global stream"),
    "a method's own seed": ("assay.explain.x", "g = np.random.default_rng(3)", "global stream"),
    "torch's seed": ("assay.model.x", "torch.manual_seed(0)", "global stream"),
    "torch's global stream": ("assay.attack.x", "x = torch.randn(3)", "global stream"),
    "python's stream": ("assay.explain.x", "import random\nx = random.random()", "global stream"),
    "a print": ("assay.engine.x", "print(1)", "calls print"),
    "a pickle": ("assay.nouns.x", "import pickle", "imports pickle"),
    "a torch file with more than weights": ("assay.model.files.load", "torch.load(path)", "unpickles: torch.load"),
    "a torch file said to be whole": ("assay.model.x", "t().load(p, weights_only=False)", "unpickles: t().load"),
    "a joblib file": ("assay.model.files.load", "joblib.load(path)", "unpickles: joblib.load"),
    "objects in a numpy file": ("assay.nouns.x", "np.load(path, allow_pickle=True)", "unpickles: np.load"),
    "a pickle beside the one module that may": ("assay.model.files.unsafe_too", "import pickle", "imports pickle"),
    "evaluated text": ("assay.nouns.x", "eval('1')", "calls eval"),
    "a bare ignore": ("assay.nouns.x", "x = 1  # type: " + "ignore", "silences"),
    "an ignore without a reason": ("assay.nouns.x", "x = 1  # type: " + "ignore[misc]", "silences"),
    "a bare noqa": ("assay.nouns.x", "x = 1  # no" + "qa", "silences"),
    "a noqa without a reason": ("assay.nouns.x", "x = 1  # no" + "qa: E501", "silences"),
    "a shadowed name": ("assay.audit", "x = 1", "has the name"),
    "a shadowed package": ("assay.case.__init__", "x = 1", "has the name"),
}


@pytest.mark.parametrize(("module", "text", "message"), PLANTED.values(), ids=PLANTED)
def test_a_planted_violation_is_found(module: str, text: str, message: str) -> None:
    assert [violation for violation in violations(module, text) if message in violation]


ALLOWED = {
    "down": (
        "assay.explain.x",
        "from assay.engine.gradients.influence import influence\nfrom assay.basics.seed import Seed",
    ),
    "types only": ("assay.nouns.x", "if TYPE_CHECKING:\n    from assay.model.model import Model\n    import torch"),
    "torch inside a function": ("assay.attack.x", "def f():\n    import torch"),
    "a package gathers its own": ("assay.explain.__init__", "from assay.explain.shapley import shapley"),
    "the audit calls verbs": (
        "assay.auditing.x",
        "from assay import explain\nfrom assay.report.audit.page import render",
    ),
    "a named generator": ("assay.explain.x", "g = np.random.Generator(np.random.PCG64(3))\ng.random(3)"),
    "torch with a generator": ("assay.attack.x", "x = torch.randn(3, generator=g)"),
    "weights of a torch file": ("assay.model.files.load", "torch.load(stream, weights_only=True)"),
    "the one module that unpickles": ("assay.model.files.unsafe", "import pickle\njoblib.load(path)"),
    "a spoken ignore": ("assay.nouns.x", "x = 1  # type: " + "ignore[misc]  # the stubs are older than the package"),
    "a method called random": ("assay.explain.random", "def random(case):\n    return case.seed.generator().random(3)"),
}


@pytest.mark.parametrize(("module", "text"), ALLOWED.values(), ids=ALLOWED)
def test_what_is_allowed_is_no_violation(module: str, text: str) -> None:
    assert violations(module, text) == []


def at_module_level(tree: ast.Module) -> Iterator[ast.stmt]:
    """Statements that run when the module is imported, and those under ``if TYPE_CHECKING``."""
    stack: list[ast.stmt] = list(tree.body)
    while stack:
        node = stack.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            stack.extend(child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt))


def imports_of(tree: ast.Module, names: Collection[str]) -> set[str]:
    """The modules among ``names`` that a module imports; ``from package import module`` counts as the module."""
    found: set[str] = set()
    for node in at_module_level(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "assay":
            for alias in node.names:
                place = public_places().get(alias.name) if node.module == "assay" else None
                inner = place or f"{node.module}.{alias.name}"
                found.add(inner if inner in names or f"{inner}.__init__" in names else str(node.module))
        else:
            found.update(imported_modules(node))
    return {name for one in found for name in (one, f"{one}.__init__") if name in names}


def import_cycles(trees: Mapping[str, ast.Module]) -> list[list[str]]:
    """Groups of modules of which each imports each other one, directly or through others."""
    reached = {name: imports_of(tree, trees) for name, tree in trees.items()}
    left = set(trees)
    while left:  # modules that import none of those left, or that none of those left imports, are in no cycle
        imported = {other for name in left for other in reached[name]}
        kept = {name for name in left if name in imported and reached[name] & left}
        if kept == left:
            break
        left = kept
    groups: set[frozenset[str]] = set()
    for name in left:
        forwards = closure(name, reached)
        groups.add(frozenset(other for other in forwards if name in closure(other, reached)))
    return sorted(sorted(group) for group in groups if group)


def closure(start: str, reached: Mapping[str, Collection[str]]) -> set[str]:
    """Every module that ``start`` imports, directly or through others; ``start`` itself only through a cycle."""
    found: set[str] = set()
    stack = list(reached[start])
    while stack:
        name = stack.pop()
        if name not in found:
            found.add(name)
            stack.extend(reached[name])
    return found


def test_no_modules_import_each_other() -> None:
    assert import_cycles({name: tree_of(path) for name, path in modules().items()}) == []


CYCLES = {
    "two modules": {"assay.a": "import assay.b", "assay.b": "from assay.a import f"},
    "through a third": {
        "assay.a": "from assay.b import f",
        "assay.b": "from assay import c",
        "assay.c": "import assay.a",
    },
    "for types only": {
        "assay.a": "from assay.b import f",
        "assay.b": "if TYPE_CHECKING:\n    from assay.a import F",
    },
    "of a package": {"assay.a.__init__": "from assay.b import f", "assay.b": "from assay.a import f"},
}


@pytest.mark.parametrize("texts", CYCLES.values(), ids=CYCLES)
def test_a_planted_cycle_is_found(texts: dict[str, str]) -> None:
    outside = {"assay.d": "import assay.a", "assay.e": "x = 1", "assay.f": "from assay.e import x"}
    trees = {name: ast.parse(text) for name, text in {**texts, **outside}.items()}
    assert import_cycles(trees) == [sorted(texts)]


def test_an_import_inside_a_function_makes_no_cycle() -> None:
    texts = {"assay.a": "def f():\n    import assay.b", "assay.b": "from assay.a import f"}
    assert import_cycles({name: ast.parse(text) for name, text in texts.items()}) == []
