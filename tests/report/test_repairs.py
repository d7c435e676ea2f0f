"""The repairs of an audit: what they changed, the price in metrics of the same rows, and the next step."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.report.extreme_records import empty
from tests.report.page import Page
from tests.report.record import LEAK, PROXY, credit, repair_record

from assay.basics.stats import Interval
from assay.nouns.records.record import CheckText, MetricChange, Record, RepairRecord, RepairText
from assay.nouns.results.finding import Finding
from assay.report.audit.page import render
from assay.report.audit.summary import summary
from assay.report.findings.repairs import MAX_METRICS, describe_tried, repair_views


def change(name: str, before: float, after: float, half: float, better: str = "higher") -> MetricChange:
    moved = after - before
    return MetricChange(name, before, after, Interval(moved - half, moved + half, 0.95, ""), better)


METRICS = (
    change("accuracy", 0.733, 0.733, 0.02),
    change("balanced accuracy", 0.66, 0.61, 0.04),
    change("AUC", 0.772, 0.749, 0.05),
    change("log loss", 0.69, 0.55, 0.1, "lower"),
    change("recall of bad", 0.467, 0.283, 0.1),
)


def repaired(*metrics: MetricChange, **changed: object) -> RepairRecord:
    return replace(repair_record(), metrics=metrics, **changed)  # type: ignore[arg-type]  # fields of one dataclass


def record(*repairs: RepairRecord) -> Record:
    return replace(empty(), findings=(PROXY,), repairs=repairs)


def test_the_next_step_has_the_effect_and_the_price_of_the_repair_that_was_tried() -> None:
    assert summary(record(repaired(*METRICS))).next_step == (
        "Tried in this audit, refit: retrained without the column 'personal status': FAI101 0.18 → 0.03 (fail → pass). "
        "Price on the same rows: balanced accuracy 0.66 → 0.61 and recall of bad 0.47 → 0.28. Decide whether this "
        "price is acceptable."
    )


def test_a_repair_without_a_shown_price_names_the_main_metric() -> None:
    text = describe_tried(
        record(repaired(METRICS[0], replace(METRICS[1], interval=Interval(-0.1, 0.1, 0.95, "")))), PROXY
    )
    assert "Price: no metric is shown to be worse (balanced accuracy 0.66 → 0.61)." in text
    assert "Its price was not measured: give labels" in describe_tried(record(repaired()), PROXY)


def test_a_repair_that_does_not_help_is_said_not_to_and_the_best_of_several_is_described() -> None:
    still = replace(PROXY, estimate=0.15, verdict="fail")
    nearly = replace(PROXY, estimate=0.12, verdict="undecided")
    bad, better = (repaired(*METRICS, after=(f,), change=f.verdict) for f in (still, nearly))
    assert describe_tried(record(bad), PROXY).endswith("It is not shown to be enough.")
    counted = repaired(*METRICS, after=(replace(nearly, more=300),))
    assert describe_tried(record(counted), PROXY).endswith(
        "It is not shown to be enough: about 300 more rows would decide it."
    )
    for order in ((bad, better), (better, bad)):
        text = describe_tried(record(*order), PROXY)
        assert text.startswith("Tried in this audit, refit (best of 2 repairs): undecided: FAI101 0.18 → 0.12")


def test_a_check_that_fails_only_after_the_repair_is_part_of_the_price() -> None:
    passed = Finding("PER103", "pass", "Accuracy is 0.73.", "credit model", 0.04)
    broken = repaired(
        *METRICS, before=(PROXY, passed), after=(repair_record().after[0], replace(passed, verdict="fail"))
    )
    assert "and now fails PER103" in describe_tried(record(broken), PROXY)


def test_advice_stays_where_no_repair_was_tried_on_the_finding() -> None:
    elsewhere = repaired(*METRICS, before=(), after=())
    assert summary(record(elsewhere)).next_step.startswith(PROXY.advice.rstrip("."))


@pytest.mark.parametrize(("place", "shown"), [(0, "not shown"), (1, "worse"), (3, "better"), (4, "worse")])
def test_every_metric_has_both_values_the_paired_difference_and_what_it_shows(place: int, shown: str) -> None:
    (view,) = repair_views(record(repaired(*METRICS)))
    assert view.metrics[place].shown == shown
    line = view.metrics[4]
    assert (line.name, line.before, line.after, line.difference) == (
        "recall of bad ↑", "0.47", "0.28", "−0.18 [−0.28, −0.08]"
    )  # fmt: skip


def test_the_page_prints_the_metrics_in_place_of_the_accuracy_that_the_repair_measured() -> None:
    measured = {"accuracy": 0.78, "accuracy, low": 0.7, "agreement": 0.9}
    page = render(record(repaired(*METRICS, measured_before=measured, measured_after=measured)))
    text = Page(page.split('<section id="repairs"')[1].split("</section>")[0]).text
    assert "recall of bad ↑ 0.47 0.28 −0.18 [−0.28, −0.08] worse" in text
    assert "agreement 0.9 0.9" in text
    assert "lower limit" not in text


def test_of_many_classes_some_recalls_are_printed_and_the_others_counted() -> None:
    many = [change(f"recall of {i}", 0.5, 0.5, 0.1) for i in range(MAX_METRICS + 3)]
    page = render(record(repaired(*many)))
    assert "3 more in result.json." in Page(page).text


def test_findings_that_keep_their_verdict_stand_in_a_table_unless_the_repair_answers_them() -> None:
    answered, other = replace(PROXY, claim="a gap of .2"), replace(LEAK, claim="a gap of .3")
    after = tuple(replace(finding, claim="a gap of .1", estimate=0.1) for finding in (answered, other))
    repair = replace(credit().repairs[0], before=(answered, other), after=after)
    check = CheckText(PROXY.code, "fairness", "How large?", "", 0.2, (RepairText(repair.method, "A model.", (), ""),))
    [view] = repair_views(replace(empty(), repairs=(repair,), checks=(check,)))
    assert [before.code for before, _ in view.pairs if before] == [PROXY.code]
    assert [before.code for before, _ in view.same_verdict if before] == [LEAK.code]
