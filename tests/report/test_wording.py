"""What the page says: attacks by name, one statement once, numbers as text, and regressions without classes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.metrics import brier_score_loss
from tests.report.page import Page
from tests.report.record import complete, credit

import assay
from assay import explain
from assay.auditing.row_gallery import galleries
from assay.basics.stats import Interval
from assay.engine.performance.metrics import brier
from assay.nouns.records.record import Reasons, Record
from assay.nouns.results.finding import Finding, Verdict, claim_number
from assay.report.audit.explanation_verdicts import explanation_verdicts
from assay.report.audit.page import render
from assay.report.audit.tiles import tiles
from assay.report.drawing.bars import reason_chart
from assay.report.drawing.formatting import advice_chip, breakable, metric_label, prose


@pytest.mark.parametrize(
    ("verdict", "tone", "ending"),
    [
        ("pass", "info", "; check passed"),
        ("fail", "undecided", "; check failed"),
        ("undecided", "undecided", "; check undecided"),
        (None, "undecided", ""),
    ],
)
def test_the_tile_of_attacks_names_the_explanation_and_the_verdict_of_its_check(
    verdict: Verdict | None, tone: str, ending: str
) -> None:
    found = (Finding("ATK401", verdict, "x", "integrated_gradients"),) if verdict else ()
    record = complete(credit())
    others = tuple(f for f in record.findings if not f.code.startswith("ATK"))
    tile = tiles(replace(record, findings=(*others, *found)))[1]
    assert (tile.count, tile.total, tile.tone) == ("1", "of 1", tone)
    assert tile.note == f"integrated gradients: on 31 of 40 rows, same predicted class{ending}"


def test_of_several_attacks_the_tile_names_that_with_the_largest_share_of_rows() -> None:
    strong = credit().attack_results["integrated_gradients"]
    weak = replace(strong, success=np.arange(40) < 3)
    tile = tiles(replace(credit(), attack_results={"lime": weak, "saliency": strong}))[1]
    assert (tile.count, tile.total) == ("2", "of 2")
    assert tile.note.startswith("saliency: on 31 of 40 rows")


def judged(name: str, share: float) -> tuple[Finding, Finding]:
    scores = {"edges": 0.34, "shapley": 1.0, name: share}
    claim = f"{name}: normalised deletion score {share:.2f} (0 = random ranking, 1 = shapley)"
    score = Finding(
        "EXP201", "pass", claim, name, share, Interval(0.0, 1.0, 0.95, "fieller"), 0.1, "at least",
        evidence={"normalised scores": scores},
    )  # fmt: skip
    return score, Finding("TRU001", "pass", "x", name, evidence={"facts": ["EXP201"], "left out": []})


def test_the_scale_of_a_normalised_score_is_in_the_head_of_the_table_only() -> None:
    record = replace(credit(), findings=(*judged("one", 0.9), *judged("two", 0.8)), references=("edges",))
    reasons = [reason for line in explanation_verdicts(record).lines for reason in line.reasons]
    assert reasons == ["normalised deletion score 0.90 (EXP201)", "normalised deletion score 0.80 (EXP201)"]


@pytest.mark.parametrize(("share", "is_said"), [(0.2, True), (0.34, True), (0.341, True), (0.5, False)])
def test_an_explanation_no_better_than_a_control_says_so(share: float, is_said: bool) -> None:
    record = replace(credit(), findings=judged("one", share), references=("edges",))
    (line,) = explanation_verdicts(record).lines
    assert any("no higher than the control explanation edges" in reason for reason in line.reasons) == is_said


@pytest.mark.parametrize("verdict", ["fail", "rejected"])
def test_do_not_use_looks_the_same_for_every_reason(verdict: Verdict) -> None:
    assert advice_chip(verdict) == advice_chip("fail")
    assert 'class="chip fail"' in advice_chip(verdict)


def test_names_in_backticks_are_code_and_all_else_is_escaped() -> None:
    assert prose("`latitude` of <i> differs") == "<code>latitude</code> of &lt;i&gt; differs"
    assert prose("`<i>`") == "<code>&lt;i&gt;</code>"


def test_a_name_has_a_possible_line_break_after_each_underscore_only() -> None:
    assert breakable("credit_amount<") == "credit_<wbr>amount&lt;"


@pytest.mark.parametrize(
    ("value", "text"),
    [(50123.0, "50,100"), (1.29e9, "1,290,000,000"), (-5432.1, "-5,430"), (0.12345, "0.123"), (999.4, "999")],
)
def test_a_number_in_a_claim_has_three_digits_and_no_exponent(value: float, text: str) -> None:
    assert claim_number(value) == text


@pytest.mark.parametrize("classes", [2, 3])
def test_the_brier_score_is_the_sum_over_classes_as_its_label_says(classes: int) -> None:
    generator = np.random.default_rng(0)
    chances, true = generator.dirichlet(np.ones(classes), 50), generator.integers(0, classes, 50)
    true[:classes] = np.arange(classes)
    theirs = brier_score_loss(true, chances if classes > 2 else chances[:, 1])
    assert brier(chances, true).mean() == pytest.approx(theirs * (2 if classes == 2 else 1))
    assert metric_label("Brier score") == "Brier score, sum over classes"


@pytest.mark.parametrize(("listed", "is_said"), [((0.5, 0.2), True), ((0.5, 0.3), False)])
def test_reasons_that_are_not_listed_are_counted_in_the_caption(listed: tuple[float, ...], is_said: bool) -> None:
    line = credit_reasons().lines[0]
    lines = tuple(replace(line, effect=effect, low=effect, high=effect) for effect in listed)
    caption = str(reason_chart(replace(credit_reasons(), base=0.1, output=0.9, lines=lines)).caption)
    assert ("features not listed +0.10 (dotted)" in caption) == is_said


def credit_reasons() -> Reasons:
    return complete(credit()).reasons[0]


def regression() -> Record:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(80, 4))
    y = 100_000 + 20_000 * x[:, 0] + 5_000 * generator.normal(size=80)
    model = assay.wrap(RandomForestRegressor(5, random_state=0).fit(x, y))
    case = assay.case(model, x[:12])
    shapley = explain.shapley(case, remove=assay.Marginal(x[60:64]))
    record = complete(credit())
    return replace(
        record,
        about={"model": "forest"},
        explanations={"shapley": shapley},
        rivals={},
        scores={},
        references=(),
        attack_results={},
        certificates={},
        reasons=(),
        repairs=(),
        views={},
        agreement=None,
        comparison=None,
        settings_grid=None,
        findings=(Finding("TRU001", "pass", "shapley: use", "shapley"),),
        predictions=(),
        truth=tuple(f"{value:.6g}" for value in y[:12]),
        galleries=galleries(case, y[:12], {"shapley": shapley}, {}),
    )


def test_a_regression_has_no_classes_and_its_cards_have_prediction_true_value_and_base() -> None:
    record = regression()
    text = Page(render(record)).text.split("Glossary Target")[0]
    example = text[text.index("6 example rows") :]
    assert "predicted class" not in text
    assert "The predicted value of each row is explained" in text
    first = record.galleries[0].rows[0]
    assert f"true value {record.truth[first]} , base" in example
    assert example.count("prediction") >= 6
    assert " for the output" not in example
    for name in ("typical", "largest errors", "highest predictions", "lowest predictions"):
        assert name in example
