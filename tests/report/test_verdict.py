from __future__ import annotations

from dataclasses import replace

from tests.report.record import LEAK, PROXY, credit, empty

from assay.nouns.results.result import Finding
from assay.report.audit.summary import summary, worst_first


def test_the_headline_counts_what_can_be_relied_on_and_the_faults() -> None:
    assert summary(credit()).headline == "3 of 10 explanations can be relied on; 1 fault was found in the model."


def test_each_explanation_is_named_under_its_verdict() -> None:
    texts = [saying.text for saying in summary(credit()).sayings]
    assert texts[:3] == [
        "Rely on shapley, permutation_shapley and integrated_gradients.",
        "Use expected_gradients and input_x_gradient with care.",
        "Do not rely on saliency, smooth_grad, occlusion, rise or lime.",
    ]
    assert any(text.endswith("(FAI101).") for text in texts)


def test_a_model_whose_checks_passed_is_not_called_unchecked() -> None:
    passed = replace(empty(), findings=(replace(PROXY, verdict="pass"),))
    assert "no fault was found in the model by the checks that ran" in summary(passed).headline
    assert "was not checked" in summary(empty()).headline


def test_a_failed_test_of_an_explanation_is_no_fault_of_the_model() -> None:
    record = replace(credit(), findings=(Finding("SAN102", "fail", "", "lime"),))
    assert "the model itself was not checked" in summary(record).headline


def test_counts_add_up_to_the_findings_and_what_was_not_run() -> None:
    counts = {count.word: count.count for count in summary(credit()).counts}
    assert sum(counts.values()) == len(credit().findings) + 2
    assert counts["not run"] == 2


def test_counts_are_told_in_one_order_whatever_was_found() -> None:
    words = ["failed", "undecided", "passed", "informative", "not run"]
    assert [count.word for count in summary(empty()).counts] == words
    assert [count.word for count in summary(credit()).counts] == [*words, "not applicable"]


def test_faults_of_the_model_come_first_among_what_failed() -> None:
    assert worst_first(credit())[0] is PROXY
    assert summary(credit()).following.startswith(PROXY.advice)


def test_what_could_not_be_decided_is_said() -> None:
    assert any("Not decided: The loss tells" in s.text for s in summary(replace(empty(), findings=(LEAK,))).sayings)


def test_of_equally_open_verdicts_the_nearest_to_be_settled_comes_first() -> None:
    far, near, never = (
        Finding("TRU001", "undecided", "", name, advice=f"{more} more", more=more)
        for name, more in (("a", 900), ("b", 1), ("c", None))
    )
    record = replace(empty(), findings=(never, far, near))
    assert worst_first(record) == [near, far, never]
    assert summary(record).following.startswith("1 more")
