from __future__ import annotations

from dataclasses import replace

import pytest
from tests.report.extreme_records import empty
from tests.report.record import LEAK, PROXY, complete, credit

from assay.diagnose.explanation_trust import reject_tried
from assay.nouns.catalogue import known
from assay.nouns.records.record import Record
from assay.nouns.results.finding import Finding
from assay.report.audit.summary import FAMILY_NAMES, MODEL_FAMILIES, checked_name, summary, worst_first
from assay.report.audit.tiles import describe_scope


def test_the_headline_names_faults_undecided_checks_and_what_was_not_checked() -> None:
    tried = replace(credit(), findings=tuple(reject_tried(credit().findings, tuple(credit().explanations))))
    assert summary(tried).headline == (
        "1 fault: fairness (FAI101); undecided: privacy (PRV101) and 11 checks of explanations (STA301, SAN102, "
        "EXP201); not checked: performance, shortcuts and data."
    )
    requested = summary(credit()).headline  # explanations that the user named, and that fail
    assert requested.startswith("6 faults: fairness (FAI101) and explanations (TRU001);")


def test_a_model_without_skill_is_the_first_thing_said() -> None:
    useless = Finding(
        "PER101", "fail", "AUC is 0.5.", "model", 0.0, threshold=0.1, direction="at least", advice="Stop."
    )
    bad = replace(empty(), findings=(PROXY, useless))
    found = summary(bad)
    assert found.headline == (
        "The model is not shown to predict better than a constant; 1 fault more: fairness (FAI101); not checked: "
        "privacy, shortcuts and data."
    )
    assert found.statements[0].text == "AUC is 0.5 (PER101)."
    assert found.next_step == "Stop (PER101, model)."


def test_each_explanation_is_named_under_its_verdict() -> None:
    texts = [statement.text for statement in summary(credit()).statements]
    assert texts[-3:] == [
        "Explanations to use: shapley, permutation shapley and integrated gradients.",
        "Use expected gradients and input × gradient with care.",
        "Do not use saliency, smooth grad, occlusion, rise or lime.",
    ]
    assert any(text.endswith("(FAI101).") for text in texts)


def test_a_model_whose_checks_passed_is_not_called_unchecked() -> None:
    passed = replace(empty(), findings=(replace(PROXY, verdict="pass"),))
    assert summary(passed).headline.startswith("No fault found, 1 of 1 check passed; not checked: performance,")
    assert summary(empty()).headline == "No check of the model was made."


def test_a_failed_check_of_an_explanation_is_not_a_model_check() -> None:
    record = replace(credit(), findings=(Finding("SAN102", "fail", "", "lime"),))
    assert summary(record).headline == "No check of the model was made."


def test_counts_add_up_to_the_findings_and_what_was_not_run() -> None:
    counts = {count.word: count.count for count in summary(credit()).counts}
    assert sum(counts.values()) == len(credit().findings) + 2
    assert counts["not run"] == 2


def test_counts_have_one_order_whatever_was_found() -> None:
    words = ["failed", "undecided", "passed", "informative", "not run"]
    assert [count.word for count in summary(empty()).counts] == words
    assert [count.word for count in summary(credit()).counts] == [*words, "not applicable"]


def test_failed_model_checks_come_first() -> None:
    assert worst_first(credit())[0] is PROXY
    assert summary(replace(credit(), repairs=())).next_step.startswith(PROXY.advice.rstrip("."))


def verdicts(record: Record) -> dict[str, int]:
    return {count.word: count.count for count in summary(record).counts}


@pytest.mark.parametrize("record", [credit(), complete(credit()), replace(credit(), findings=(PROXY, LEAK))])
def test_headline_scope_and_counts_speak_of_one_total(record: Record) -> None:
    counts, total = verdicts(record), sum(verdicts(record).values())
    scope = describe_scope(record)
    assert scope.startswith(f"{total} checks in all: ")
    assert f"{counts['not run']} not run" in scope
    made = sum(counts.get(word, 0) for word in ("failed", "rejected", "undecided", "passed", "informative"))
    assert f" {made} made" in scope
    good = replace(record, findings=tuple(replace(f, verdict="pass") for f in record.findings))
    assert f"{len(record.findings)} of {sum(verdicts(good).values())} checks passed" in summary(good).headline


def test_bullets_are_in_the_order_of_the_findings_with_performance_first() -> None:
    checks = [
        replace(PROXY, code=code, subject=f"{code} {gap}", claim=f"gap {gap}", estimate=gap, verdict="undecided")
        for code, gap in (("FAI101", 0.13), ("FAI102", 0.35), ("PER104", 0.11), ("FAI103", 0.2), ("PER103", 0.12))
    ]
    record = replace(empty(), findings=tuple(checks))
    order = [f.claim for f in worst_first(record)]
    assert order == ["gap 0.12", "gap 0.11", "gap 0.35", "gap 0.2", "gap 0.13"]
    texts = [statement.text for statement in summary(record).statements]
    assert [text.split("Undecided: ")[1].split(" (")[0] for text in texts[:-1]] == order[: len(texts) - 1]
    assert texts[-1] == "1 more: see Findings."


def test_an_undecided_bullet_has_the_interval_and_the_threshold() -> None:
    (text,) = [s.text for s in summary(replace(empty(), findings=(LEAK,))).statements]
    assert text.endswith("(PRV101). Estimate 0.08 [−0.01, 0.17], needs ≤ 0.10.")


def test_undecided_findings_are_named() -> None:
    assert any("Undecided: Membership" in s.text for s in summary(replace(empty(), findings=(LEAK,))).statements)


def test_of_equally_undecided_findings_the_one_with_the_fewest_needed_rows_comes_first() -> None:
    far, near, never = (
        Finding("TRU001", "undecided", "", name, advice=f"{more} more", more=more)
        for name, more in (("a", 900), ("b", 1), ("c", None))
    )
    record = replace(empty(), findings=(never, far, near))
    assert worst_first(record) == [near, far, never]
    assert summary(record).next_step.startswith("1 more")


def test_an_explanation_that_no_practical_number_of_rows_decides_is_called_so() -> None:
    for more, says in ((9, "; about 9 more rows would decide it."), (9000, "; practically undecidable with this data")):
        trust = Finding("TRU001", "undecided", "", "lime", n=20, more=more)
        assert says in summary(replace(empty(), findings=(trust,))).statements[-1].text


def test_what_was_not_checked_is_listed_under_the_words_of_the_headline() -> None:
    import assay.diagnose  # noqa: F401  # fills the catalogue

    for method in known("diagnose"):
        families = {check.code[:3] for check in method.checks} & set(MODEL_FAMILIES)
        assert all(FAMILY_NAMES[family] in checked_name(method.name) for family in families), method.name
