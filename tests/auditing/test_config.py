"""assay.toml: its values, its errors, and its relative paths."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from assay.auditing.config import Config, load_config
from assay.basics.errors import InputError
from assay.nouns.records.record import Waiver

PAGE = Path(__file__).resolve().parents[2] / "docs" / "configuration.md"

FAULTY = """
[model]
fille = "m.skops"
[data]
sensitive = "sex"
[audit]
profile = "fast"
level = 2.0
seed = "x"
[extra]
[[accept]]
code = "SHC201"
reason = "known"
until = 7
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_a_file_the_defaults_hold(folder):
    assert load_config(None) == Config()


def test_the_example_on_the_page_is_valid_and_says_what_it_says(folder):
    example = re.search(r"^```toml\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert example is not None
    (folder / "assay.toml").write_text(example[1], encoding="utf-8")
    found = load_config(None)
    assert found.data.sensitive == ("sex", "region")
    assert found.audit.require == ("EXP", "PRV101")
    assert [w.until for w in found.waivers] == ["2027-01-31"]


def test_the_example_on_the_page_names_every_key(folder):
    example = PAGE.read_text(encoding="utf-8").partition("```toml")[2].partition("```")[0]
    named = set(re.findall(r"^(?:# )?(\w+) = ", example, re.MULTILINE))
    keys = {key for name in ("model", "data", "audit") for key in type(getattr(Config(), name)).model_fields}
    assert keys <= named


def test_all_errors_are_listed_at_once(folder):
    (folder / "assay.toml").write_text(FAULTY)
    with pytest.raises(InputError) as error:
        load_config(None)
    lines = str(error.value).splitlines()
    assert lines[0] == "assay.toml has 8 errors"
    listed = "\n".join(lines[1:])
    for part in (
        "model.fille: there is no such key; did you mean 'file'?",
        "data.sensitive: found 'sex'; needed: list",
        "audit.profile: found 'fast'; needed: 'quick', 'standard' or 'deep'",
        "audit.level: found 2.0; needed: less than 1",
        "audit.seed: found 'x'; needed: integer",
        "extra: there is no such section; there are model, data, audit, thresholds, methods, scores, options, accept",
        "accept[1].owner: missing",
        "accept[1].until: found 7; needed: a day like 2027-01-31",
    ):
        assert part in listed


def test_paths_are_relative_to_the_file(folder):
    (folder / "deep").mkdir()
    (folder / "deep" / "assay.toml").write_text(
        '[model]\nfile = "mine.py:build"\narchitecture = "package.net:build"\n'
        'recipe = "mine.py:recipe"\n[data]\ntest = "t.csv"\n'
    )
    found = load_config(Path("deep/assay.toml"))
    assert found.model.file == "deep/mine.py:build"
    assert found.model.architecture == "package.net:build"
    assert found.model.recipe == "deep/mine.py:recipe"
    assert found.data.test == "deep/t.csv"
    assert found.audit.store == "deep/.assay/store"


def test_the_command_line_comes_before_the_file(folder):
    (folder / "assay.toml").write_text('[data]\ntest = "a.csv"\ntarget = "y"\n[audit]\nseed = 3\n')
    found = load_config(None, {"data": {"test": "/b.csv", "target": ""}, "audit": {"seed": 0, "level": None}})
    assert found.data.test == "/b.csv"
    assert found.data.target == "y"
    assert found.audit.seed == 0
    assert found.audit.level == 0.95


def test_a_table_of_pyproject_stands_for_the_file_and_the_file_comes_first(folder):
    (folder / "pyproject.toml").write_text("[tool.assay.audit]\nseed = 5\n")
    assert load_config(None).audit.seed == 5
    (folder / "assay.toml").write_text("[audit]\nseed = 6\n")
    assert load_config(None).audit.seed == 6


def test_a_pyproject_without_the_table_is_passed_by_unless_it_is_named(folder):
    (folder / "pyproject.toml").write_text("[tool.ruff]\n")
    assert load_config(None) == Config()
    with pytest.raises(InputError, match=r"no table \[tool.assay\]"):
        load_config(Path("pyproject.toml"))


@pytest.mark.parametrize("content", [b"[model", b'x = "\xff"'])
def test_invalid_toml_is_refused(folder, content):
    (folder / "assay.toml").write_bytes(content)
    with pytest.raises(InputError, match=r"assay\.toml is not valid TOML"):
        load_config(None)


def test_a_file_that_is_named_must_be_there(folder):
    with pytest.raises(InputError, match=r"no file other\.toml"):
        load_config(Path("other.toml"))


@pytest.mark.parametrize("day", ["2027-01-31", '"2027-01-31"'])
def test_a_waiver_takes_a_day_as_toml_or_as_text(folder, day):
    (folder / "assay.toml").write_text(f'[[accept]]\ncode = "SHC"\nowner = "a"\nreason = "r"\nuntil = {day}\n')
    assert load_config(None).waivers == (Waiver("SHC", "a", "r", "2027-01-31", ""),)
