"""Documentation that cannot drift: every example is executed, every method has a page."""

from __future__ import annotations

import doctest
import importlib.util
import pkgutil
import re
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import assay
from assay.basics.bibliography import SOURCES
from assay.nouns.catalogue import VERBS, known, leave

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


def generator() -> ModuleType:
    """docs/generate.py, wherever the tests are run from."""
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.gather()
    return module


def has_examples(name: str) -> bool:
    spec = importlib.util.find_spec(name)
    return spec is not None and spec.origin is not None and ">>>" in Path(spec.origin).read_text(encoding="utf-8")


MODULES = [module.name for module in pkgutil.walk_packages(assay.__path__, "assay.")]
EXAMPLES = [name for name in MODULES if has_examples(name)]


def test_every_module_can_be_imported() -> None:
    assert [import_module(name).__name__ for name in MODULES] == MODULES


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_in_docstrings_print_what_they_say(name: str) -> None:
    failed, _ = doctest.testmod(import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert failed == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_python_blocks_on_the_pages_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = set(known())
    names: dict[str, object] = {"__name__": f"page_{page.stem}"}
    sys.modules[f"page_{page.stem}"] = ModuleType(f"page_{page.stem}")
    try:
        for block in FENCE.findall(page.read_text(encoding="utf-8")):
            exec(compile(block, str(page), "exec"), names)
    finally:
        del sys.modules[f"page_{page.stem}"]
        for method in set(known()) - before:
            leave(method)


def test_every_method_has_a_page_with_its_options_and_source() -> None:
    made = generator()
    for method in known():
        page = made.page(method)
        assert method.meaning.split(". ")[0] in page.replace("\n", " ")
        assert SOURCES[method.source] in page
        assert all(f"{name}: " in page for name in method.options)


@pytest.mark.parametrize("verb", VERBS)
def test_every_method_is_in_the_table_of_its_verb(verb: str) -> None:
    table = generator().table(verb)
    assert all(f"[{method.name}]({verb}/{method.name}.md)" in table for method in known(verb))


def test_writing_the_pages_twice_changes_nothing_and_drops_what_is_gone(tmp_path: Path) -> None:
    made = generator()
    made.write(tmp_path)
    stale = tmp_path / "methods" / "explain" / "gone.md"
    stale.write_text("an old page", encoding="utf-8")
    first = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.md") if p != stale}
    made.write(tmp_path)
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.md")} == first


def test_methods_that_choosing_names_exist() -> None:
    named = set(re.findall(r"`(explain|evaluate|attack|certify|diagnose|repair)\.(\w+)`", all_pages()))
    missing = {(verb, name) for verb, name in named if name not in {m.name for m in known(verb)}}
    assert missing == set()


def all_pages() -> str:
    generator()
    return "\n".join(page.read_text(encoding="utf-8") for page in PAGES)


def test_every_entry_of_the_bibliography_has_a_year_and_a_place() -> None:
    assert [key for key, entry in SOURCES.items() if not entry.endswith(".")] == []
    assert [
        key for key, entry in SOURCES.items() if key != "assay2026" and re.findall(r"\d{4}", key)[0] not in entry
    ] == []


def test_every_make_target_that_the_pages_name_exists() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"`make ([\w-]+)`", all_pages())) <= targets


def test_files_that_the_pages_name_exist() -> None:
    source = Path(assay.__file__).parent
    packages = "|".join(sorted(p.name for p in source.iterdir() if p.is_dir() and not p.name.startswith("_")))
    named = set(re.findall(rf"`((?:{packages})/[a-z_/]+\.py)`", all_pages()))
    assert len(named) > 40
    assert [name for name in sorted(named) if not (source / name).is_file()] == []


def test_every_public_method_has_a_row_that_says_where_it_is_reached() -> None:
    generated = generator()
    rows = [line.strip("| ").split(" | ") for line in generated.reach().splitlines() if line.startswith("| ")][1:]
    cells = {row[0]: [cell.strip() for cell in row] for row in rows if not row[0].startswith("-")}
    assert set(cells) == {f"{method.verb}.{method.name}" for method in known()}
    assert [name for name, row in cells.items() if len(row) != 5 or not all(row) or "–" in row] == []
    assert cells["explain.partial_dependence"][3:] == ["table (standard, deep)", "Views of the model"]
    assert cells["explain.conductance"][3] == 'any, by `methods=["conductance"]`'
    assert cells["diagnose.performance"][4] == "Performance, Findings"
