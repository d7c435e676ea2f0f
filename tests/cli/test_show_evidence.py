"""assay show CODE --run FOLDER: the finding with its numbers, and its evidence as tables."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from assay.auditing.run import Run
from assay.basics.stats import Interval
from assay.cli.terminal.evidence_text import CELL, MAX_COLUMNS, MAX_ROWS, describe_finding, evidence_lines
from assay.nouns.results.finding import Finding

FINDING = Finding(
    code="FAI104",
    verdict="undecided",
    claim="sex: a ratio of 0.6.",
    subject="sex",
    estimate=0.6,
    interval=Interval(0.4, 0.9, 0.975, "wilson"),
    threshold=0.8,
    direction="at least",
    null=1.0,
    n=1200,
    meaning="Lowest selection rate divided by the highest.",
    advice="More rows of the smaller group would decide.",
    threshold_origin="four-fifths rule",
    more=3400,
)


def test_the_numbers_stand_before_the_words():
    assert describe_finding(FINDING) == [
        "  estimate: 0.6, 97.5 % interval [0.4, 0.9]",
        "  passes: at least 0.8 (threshold: four-fifths rule)",
        "  without any effect: 1",
        "  rows: 1,200",
        "  rows to decide: about 3,400 more",
        "  meaning: Lowest selection rate divided by the highest.",
        "  advice: More rows of the smaller group would decide.",
    ]


def test_what_is_unknown_is_left_out():
    bare = Finding("DAT104", "informative", "a claim", "")
    assert describe_finding(bare) == []


@pytest.mark.parametrize("width", [20, 36, 60])
def test_texts_are_wrapped_to_the_terminal(width):
    lines = describe_finding(replace(FINDING, meaning="word " * 50), width)
    assert max(map(len, lines[5:])) <= width


def test_a_mapping_of_mappings_is_a_table_with_a_row_each():
    value = {"women": {"rate": 0.25, "n": 40}, "men": {"rate": 0.5, "n": 1200, "note": "many"}}
    assert evidence_lines("rates", value) == [
        "  rates:",
        "           rate     n  note",
        "    women  0.25    40",
        "    men     0.5  1200  many",
    ]


def test_a_list_of_mappings_is_a_table():
    value = [{"name": "a", "share": 0.123456}, {"name": "b", "share": float("nan")}]
    assert evidence_lines("columns", value) == [
        "  columns:",
        "    name   share",
        "    a     0.1235",
        "    b        nan",
    ]


def test_a_mapping_and_a_list_of_lists_are_tables_without_headings():
    assert evidence_lines("left out", {"18–29": 1, "30–49": 8}) == ["  left out:", "    18–29  1", "    30–49  8"]
    assert evidence_lines("pairs", [["a", 1], ["b"]]) == ["  pairs:", "    a  1", "    b"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.123456, "0.1235"),
        (True, "yes"),
        (None, "–"),
        ("a text", "a text"),
        ([], "none"),
        ({}, "none"),
        ([1.0, 2.5], "1, 2.5"),
        (list(range(14)), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 … 2 more"),
    ],
)
def test_a_plain_value_is_a_line(value, text):
    assert evidence_lines("x", value) == [f"  x: {text}"]


def test_large_evidence_is_bounded_and_says_so():
    wide = [{f"c{j}": "long " * 100 for j in range(50)} for _ in range(1000)]
    lines = evidence_lines("all", wide)
    assert len(lines) == 1 + 1 + MAX_ROWS + 3
    assert max(map(len, lines)) <= 4 + MAX_COLUMNS * (CELL + 2)
    assert lines[-3:] == ["    … 980 more rows", "    … 42 more columns", "    all of it: --format json"]
    assert len(evidence_lines("text", "x" * 10**6)[0]) < 300
    assert len(evidence_lines("deep", {"a": {"b": {"c": list(range(10**5))}}})[-1]) < 200


def nested(generator, depth):
    """Random evidence: nested mappings and lists with hostile keys and values."""
    kind = generator.integers(6) if depth else generator.integers(3)
    if kind < 3:
        return [float(generator.normal()), "\x1b[2J\u202e\n", None][kind]
    count = int(generator.integers(4))
    if kind == 3:
        return [nested(generator, depth - 1) for _ in range(count)]
    return {f"\x1b{i}\r\n": nested(generator, depth - 1) for i in range(count)}


@pytest.mark.parametrize("seed", range(60))
def test_any_evidence_is_printed_on_lines_that_are_printable(seed):
    lines = evidence_lines("\x1bname", nested(np.random.default_rng(seed), 4))
    assert lines
    assert all(line.isprintable() for line in lines)


def test_show_prints_the_evidence_and_the_advice_of_the_verdict_alone(assay):
    assay("audit mine.py:build --data plain.csv --train plain.csv --target y --profile quick -q --select DAT,PER")
    run = Run.load("audit")
    done = assay("show DAT101 --run audit")
    assert "when it fails" not in done.out
    assert run["DAT101"].advice in done.out
    assert "passes: at most 0.02 (threshold: default)" in done.out
    whole = assay("show PER --run audit").out
    assert "has no finding of this check" in whole  # of a regression
    for finding in run.findings:
        for name in finding.evidence:
            assert f"  {name}:" in assay(f"show {finding.code} --run audit").out


LEAK = "audit mine.py:build --data plain.csv --train plain.csv --target y --profile quick -q --select DAT"


def test_a_finding_becomes_a_test_that_makes_the_check_again(assay, project):
    assert assay(LEAK).code == 1
    written = assay("show DAT101 --run audit --as-test").out
    (project / "test_dat101.py").write_text(written)
    space: dict[str, object] = {}
    exec(compile(written, "test_dat101.py", "exec"), space)  # the file that the command printed
    name = next(name for name in space if name.startswith("test_dat101"))
    with pytest.raises(AssertionError, match="also occur among"):
        space[name](project / "again")
    (project / "mended.csv").write_text((project / "plain.csv").read_text().replace(".", "9."))
    space["COMMAND"] = space["COMMAND"].replace("--train plain.csv", "--train mended.csv")
    space[name](project / "mended")


def test_a_test_needs_a_finished_audit_and_a_judged_check(assay, project):
    assert "--run FOLDER" in assay("show DAT101 --as-test").err
    assert assay(LEAK).code == 1
    assert "only a check that was judged" in assay("show DAT104 --run audit --as-test").err


def test_an_audit_from_python_becomes_a_test_with_a_fixture(assay, project):
    from sklearn.linear_model import LogisticRegression

    import assay as package
    from assay.report.formats.regression_test import regression_test
    from assay.testing.repeated_checks import find_check

    x = np.arange(40.0).reshape(20, 2) % 7
    y = np.arange(20) % 2
    run = package.audit(LogisticRegression().fit(x, y), x, y, train=(x, y), select=["DAT101"], profile="quick")
    source = regression_test(run.record, run["DAT101"])
    assert "assay_audit(**{**audit_arguments" in source
    assert find_check(run, "DAT101", run["DAT101"].subject).verdict == "fail"
    compile(source, "test.py", "exec")


def test_repairs_that_answer_a_check_are_shown_with_their_side_effects(assay):
    shown = assay("show FAI101").out
    assert "repair: assay repair MODEL refit (Other columns" in shown
