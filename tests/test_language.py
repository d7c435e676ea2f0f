"""Names, messages, pages and docs use plain English and the field's terms: a list of banned words says what is not."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.package_source import FILES, SOURCE, module_name, text_of, tree_of

ROOT = Path(__file__).resolve().parents[1]

NAMES = frozenset(
    """
    told tell telling asked asking held kept keeping mark beside besides alike anew yardstick ladder rung rungs
    company ahead facing apart standing standings contest spending returning refining familiar magnitudes mend
    mends mended mending mendings movement breach breaches ledger recall lends spare spared price priced paid
    lesson sheet saying sayings worded remake remade acquainted fallen bent leant leaning swing rooms lure trouble
    wanted
    """.split()  # noqa: SIM905  # a list of words is read more easily than a list of quoted words
)
"""Words that no public name contains: metaphors, participles and old words where the field has a noun."""

ALLOWED_NAMES = {"held_out", "recall"}

TEXT = re.compile(
    r"\b(told|foretold|anew|afresh|beside|yardstick\w*|ladder\w*|rungs?|mend|mends|mended|mending|rightly|truly"
    r"|nobody|somebody|whoever|lest|hence|thereby|wherein|whereof|alike|leans? on|leant|likeness|dear|dearer|dearest"
    r"|fore\w*tell\w*|the house|which door|one door|surest|acquainted|in company|goes with|go with|of its own accord"
    r"|is called so|answers for|put right|taken away|told apart|reckon\w*|ledger|accuses?|accused|mosaics?"
    r"|creatures?)\b",
    re.IGNORECASE,
)
"""Words and phrases that no message, docstring, page or document contains."""


def public(tree: ast.AST) -> Iterator[str]:
    """Public names that a module defines: classes, functions, their arguments, fields and constants."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
            yield node.name
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield from (a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs))
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from (
                b.target.id for b in node.body if isinstance(b, ast.AnnAssign) and isinstance(b.target, ast.Name)
            )
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Assign):
            yield from (t.id for t in node.targets if isinstance(t, ast.Name) and not t.id.startswith("_"))


def banned_names(tree: ast.AST, stem: str = "") -> list[str]:
    """Public names with a banned word in them."""
    names = {*public(tree), stem}
    return sorted(
        name
        for name in names - ALLOWED_NAMES
        if {part.lower() for part in re.findall(r"[A-Z]+(?![a-z])|[A-Za-z][a-z]*", name)} & NAMES
    )


def texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """String constants of a module (docstrings and messages), with their lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.lineno, node.value


def banned_texts(text: str) -> list[str]:
    """Banned words in a text; what stands in backticks is a name and is judged as one."""
    return [found[0] for found in TEXT.finditer(re.sub(r"``?[^`\n]*``?", "", text))]


PAGES = sorted((SOURCE / "report" / "fragments").glob("*.html"))
DOCS = sorted(p for p in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "findings").glob("*.md")])


def test_public_names_are_plain() -> None:
    found = {module_name(path): banned_names(tree_of(path), path.stem) for path in FILES}
    assert {module: names for module, names in found.items() if names} == {}


def test_messages_and_docstrings_are_plain() -> None:
    found = [(path, line, banned_texts(text)) for path in FILES for line, text in texts(tree_of(path))]
    assert [f"{module_name(path)}:{line} {words}" for path, line, words in found if words] == []


def test_pages_are_plain() -> None:
    bare = {p.name: re.sub(r"\{[%{].*?[%}]\}|<[^>]*>", " ", text_of(p), flags=re.DOTALL) for p in PAGES}
    assert {name: words for name, text in bare.items() if (words := banned_texts(text))} == {}


def test_documents_are_plain() -> None:
    prose = {str(p.relative_to(ROOT)): re.sub(r"```.*?```", "", text_of(p), flags=re.DOTALL) for p in DOCS}
    assert {name: words for name, text in prose.items() if (words := banned_texts(text))} == {}


def test_a_banned_word_is_found() -> None:
    assert banned_names(ast.parse("def told_twice(mark): ...\nclass Yardstick: ...")) == [
        "Yardstick",
        "mark",
        "told_twice",
    ]
    assert banned_names(ast.parse("def _told(): ...\nheld_out = 1\nbudget = 2")) == []
    assert banned_texts("It goes with the yardstick, told ``told``.") == ["goes with", "yardstick", "told"]
