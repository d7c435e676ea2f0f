from __future__ import annotations

from dataclasses import replace

from tests.report.record import LEAK, PROXY, credit, empty

from assay.nouns.results.finding import Finding
from assay.report.audit.summary import summary, worst_first


def test_the_headline_counts_usable_explanations_and_failed_and_undecided_model_checks() -> None:
    assert summary(credit()).headline == "3 of 10 explanations can be used; 1 of 3 model checks failed, 1 undecided."


def test_each_explanation_is_named_under_its_verdict() -> None:
    texts = [statement.text for statement in summary(credit()).statements]
    assert texts[:3] == [
        "Use shapley, permutation shapley and integrated gradients.",
        "Use expected gradients and input × gradient with care.",
        "Do not use saliency, smooth grad, occlusion, rise or lime.",
    ]
    assert any(text.endswith("(FAI101).") for text in texts)


def test_a_model_whose_checks_passed_is_not_called_unchecked() -> None:
    passed = replace(empty(), findings=(replace(PROXY, verdict="pass"),))
    assert "0 of 1 model check failed" in summary(passed).headline
    assert "was not checked" in summary(empty()).headline


def test_a_failed_check_of_an_explanation_is_not_a_model_check() -> None:
    record = replace(credit(), findings=(Finding("SAN102", "fail", "", "lime"),))
    assert "the model itself was not checked" in summary(record).headline


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
    assert summary(credit()).next_step.startswith(PROXY.advice.rstrip("."))


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
