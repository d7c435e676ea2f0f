"""Certificates next to explanations, attacked next to clean rows, radius curves, and the validity of attacks."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tests.report.record import credit

import assay
from assay import attack, certify, explain
from assay.nouns.inputs.features import grid
from assay.nouns.records.record import CertifiedSet, Gallery, Record
from assay.nouns.records.store import load, save
from assay.nouns.results.finding import Finding
from assay.nouns.results.result import AttackResult
from assay.report.audit.galleries import draw_galleries, some_cards
from assay.report.audit.page import MAX_PAGE, render
from assay.report.audit.performance import performance
from assay.report.drawing.svg import draw_coverage
from assay.report.drawing.validity import SENTENCES, explain_validity
from assay.report.plots.kinds.radius_curves import draw_radius_curves
from assay.report.robustness.attacked_rows import BUDGET, attacked_rows
from assay.report.robustness.attacks import describe_check, view_attacks
from assay.report.robustness.certificates import view_certificates
from assay.report.robustness.certified_rows import certified_accuracy, certified_row

ROWS, COLUMNS, CLASSES = 24, 8, ("no", "yes")
X = np.random.default_rng(0).normal(size=(ROWS, COLUMNS)).astype(np.float32)
TRUTH = tuple(CLASSES[int(row[0] + row[1] > 0.3)] for row in X)
REMOVE = assay.Constant(0.0)


@functools.cache
def small() -> Record:
    """A record of a small net with every certificate of its explanation and of its predictions, and two attacks."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(COLUMNS, 6), torch.nn.ReLU(), torch.nn.Linear(6, 2)).eval()
    case = assay.case(assay.wrap(net, output="logits", classes=list(CLASSES)), X, label="predicted")
    shapley, saliency = explain.shapley(case, remove=REMOVE), explain.saliency(case)
    parts, ball = shapley.top(0.25), assay.Ball("linf", 0.4)
    certificates = {
        "mus": certify.mus(case, parts, smoothing=0.25, q=8, remove=REMOVE),
        "soft_stability": certify.soft_stability(case, parts, radius=2, draws=10, curve=True, remove=REMOVE),
        "removal_effect": certify.removal_effect(shapley, case, remove=REMOVE),
        "bound_propagation": certify.bound_propagation(case, ball),
    }
    return Record(
        title="small",
        about={"model": "net", "explained output": case.target_text},
        cost={},
        findings=(),
        explanations={"shapley": shapley, "saliency": saliency},
        rivals={},
        scores={},
        references=(),
        attack_results={"saliency": attack.top_k(saliency, case, ball), "pgd": attack.pgd(case, ball, steps=5)},
        certificates=certificates,
        certified={
            "mus": CertifiedSet("shapley", 0.25),
            "soft_stability": CertifiedSet("shapley", 0.25),
            "removal_effect": CertifiedSet("shapley", 0.1),
        },
        predictions=case.classes,
        truth=TRUTH,
        classes=CLASSES,
    )


def test_each_row_names_its_top_features_and_what_is_certified_about_them() -> None:
    record = small()
    for row in range(ROWS):
        found = certified_row(record, row)
        assert found is not None
        explanation = record.explanations["shapley"]
        chosen = explanation.top(0.25)[row]
        assert {explanation.features.names[i] for i in np.flatnonzero(chosen)} == set(found.names)
        assert (found.count, found.total, found.rest) == (2, COLUMNS, 0)
        assert len(found.more) == 2


def test_the_sentence_has_the_bound_the_guarantee_the_model_its_accuracy_the_cap_and_the_random_control() -> None:
    record = small()
    certificate = record.certificates["soft_stability"]
    for row in range(ROWS):
        found = certified_row(record, row)
        assert found is not None
        text = next(line for line in (found.sentence, *found.more) if line.startswith("Soft stability"))
        limit, random = (values["rate_low"][row] for values in (certificate.bounds, certificate.control))
        is_exact = certificate.extra["exact"][row] == 1
        assert f"{'' if is_exact else 'at least '}{100 * limit:.1f} % of the sets that add at most 2 features" in text
        assert f"of random features {100 * random:.1f} %" in text
        assert "(at most 100 %)" in text
        assert ("Proved" if is_exact else "True with probability 0.95 for each row") in text
        accuracy = np.mean([one == true for one, true in zip(record.predictions, TRUTH)])
        assert f"for the model itself (accuracy {accuracy:.2f} on the rows explained)" in text


def test_the_accuracy_is_that_of_the_smoothed_model() -> None:
    record = small()
    certificate = record.certificates["mus"]
    classes = [CLASSES[int(one)] for one in certificate.extra["class"]]
    assert certified_accuracy(record, certificate) == np.mean([one == true for one, true in zip(classes, TRUTH)])
    agrees = np.array([one == other for one, other in zip(classes, record.predictions)])
    np.testing.assert_array_equal(agrees, certificate.extra["agrees"] == 1)
    without = replace(certificate, extra={name: v for name, v in certificate.extra.items() if name != "class"})
    assert np.isnan(certified_accuracy(record, without))


def test_a_certificate_that_abstains_certifies_nothing_and_stands_behind_the_others() -> None:
    record = small()
    certificate = record.certificates["mus"]
    everywhere = replace(
        certificate, abstained=np.ones(ROWS, bool), bounds={name: np.full(ROWS, np.nan) for name in certificate.bounds}
    )
    found = certified_row(replace(record, certificates={**record.certificates, "mus": everywhere}), 0)
    assert found is not None
    assert not found.sentence.startswith("MuS")
    assert found.more[-1] == "MuS: abstained on this row, so nothing is certified."


@pytest.mark.parametrize(
    ("radius", "words"),
    [
        (0.0, "no added feature is certified"),
        (1.0, "when any other feature is"),
        (3.0, "when up to 3 other features are"),
    ],
)
def test_the_radius_of_mus_is_said_in_words(radius: float, words: str) -> None:
    record = small()
    certificate = record.certificates["mus"]
    bounds = {**certificate.bounds, "incremental": np.full(ROWS, radius)}
    changed = replace(certificate, bounds=bounds, abstained=np.zeros(ROWS, bool))
    found = certified_row(replace(record, certificates={"mus": changed}), 0)
    assert found is not None
    assert words in found.sentence
    assert "Proved, for the model smoothed with" in found.sentence


def test_without_a_certified_explanation_a_row_has_no_sentence() -> None:
    record = small()
    assert certified_row(replace(record, certified={}), 0) is None
    assert certified_row(replace(record, certified={"mus": CertifiedSet("shapley", 0.0)}), 0) is None
    assert certified_row(replace(record, certified={"mus": CertifiedSet("lime", 0.25)}), 0) is None
    assert certified_row(record, ROWS) is None


def test_radius_curves_have_the_shares_of_rows_the_rates_and_the_random_controls() -> None:
    record = small()
    named = {name: record.certificates[name] for name in ("mus", "soft_stability")}
    data = draw_radius_curves(named).data
    x, shares = data["MuS: share of rows"]
    hard = named["mus"].bounds["incremental"]
    for r, share in zip(x, shares):
        assert share == np.sum(hard >= r) / ROWS  # NaN, an abstention, is not certified
    x, rates = data["soft stability: mean rate"]
    np.testing.assert_array_equal(x, [0, 1, 2])
    np.testing.assert_allclose(rates[1:], named["soft_stability"].extra["curve_low"].mean(axis=0))
    x, rates = data["soft stability, random"]
    assert (x[-1], rates[-1]) == (2.0, named["soft_stability"].control["rate_low"].mean())


def test_the_curve_of_a_bound_has_the_random_control_dashed() -> None:
    drawn = str(draw_coverage([1.0, 2.0], "share", [0.0, 4.0]))
    assert drawn.count('class="line"') == drawn.count('class="chance"') == 1
    assert 'class="line" d="M0 4.0H45V34.0H90V64.0"' in drawn
    assert 'class="chance" d="M0 4.0H0V34.0H180V64.0"' in drawn


def test_the_certificates_say_what_they_are_about() -> None:
    views = {view.name: view for view in view_certificates(small()).views}
    assert views["mus"].about == "the top 25% of the features by shapley"
    assert views["bound_propagation"].about == ""
    assert views["removal_effect"].bounds[0].random not in ("", "abstained")


def test_attacked_rows_of_a_table_show_the_columns_that_changed() -> None:
    record = small()
    result, x = record.attack_results["pgd"], record.explanations["shapley"].x
    shown = attacked_rows(record)["pgd"]
    assert 0 < len(shown) <= 2
    for one in shown:
        row = result.ids.index(one.row)
        assert result.success[row]
        assert {one.label_before, one.label_after} == set(CLASSES)
        moved = np.flatnonzero(result.x[row] != x[row])
        assert len(one.changes) + one.others == len(moved)
        for change in one.changes:
            column = record.explanations["shapley"].features.names.index(change.column)
            before, after = (float(text.replace("−", "-")) for text in (change.before, change.after))
            assert (before, after) == pytest.approx((x[row, column], result.x[row, column]), abs=0.06)


def test_an_attack_without_success_shows_no_row() -> None:
    record = small()
    failed = replace(record.attack_results["pgd"], success=np.zeros(ROWS, bool))
    assert attacked_rows(replace(record, attack_results={"pgd": failed}))["pgd"] == ()


def pictures(move: float, channels: int = 3) -> Record:
    """A record of random images that an attack changed by ``move``."""
    record = small()
    images = np.random.default_rng(1).uniform(0.2, 0.8, size=(ROWS, channels, 32, 32)).astype(np.float32)
    sign = np.where(np.random.default_rng(2).random(images.shape) < 0.5, -1, 1)
    values = np.random.default_rng(3).normal(size=(ROWS, 16))
    features = grid(images.shape[1:], 8)
    explanation = replace(record.explanations["saliency"], x=images, values=values, features=features, dense=None)
    result = record.attack_results["pgd"]
    attacked = replace(result, x=images + move * sign, success=np.ones(ROWS, bool))
    return replace(
        record, explanations={"saliency": explanation}, attack_results={"pgd": attacked}, certificates={}, certified={}
    )


@pytest.mark.parametrize(("move", "factor"), [(8 / 255, 8), (0.001, 256), (0.3, 1), (0.5, 1)])
def test_the_difference_of_images_is_magnified_as_far_as_it_fits(move: float, factor: int) -> None:
    shown = attacked_rows(pictures(move))["pgd"]
    assert [one.factor for one in shown] == [factor, factor]
    assert all(one.clean and one.attacked and one.difference for one in shown)


def test_the_pictures_of_all_attacks_stay_within_their_budget() -> None:
    record = pictures(8 / 255)
    many = {f"pgd {place}": record.attack_results["pgd"] for place in range(4)}
    shown = attacked_rows(replace(record, attack_results=many))
    assert sum(one.size for rows in shown.values() for one in rows) <= BUDGET


def finding(verdict: Any, threshold: float | None) -> Finding:
    return Finding(
        "ATK401", verdict, "top features remain", "saliency", 0.8, None, threshold, "at least" if threshold else ""
    )


@pytest.mark.parametrize(
    ("verdict", "threshold", "words"),
    [
        ("pass", 0.5, "So the attack succeeds on"),
        ("fail", 0.5, "fail"),
        ("informative", None, "has no threshold and informs only"),
    ],
)
def test_success_is_explained_with_the_verdict_of_the_check(verdict: Any, threshold: float | None, words: str) -> None:
    record = replace(small(), findings=(finding(verdict, threshold),))
    result = record.attack_results["saliency"]
    result = replace(result, success=np.arange(ROWS) < 3)
    text = describe_check(record, "saliency", result)
    assert text.startswith("Success on a row: the attack changes the explanation more than a random perturbation")
    assert words in text
    assert "No check judges this attack" in describe_check(replace(record, findings=()), "saliency", result)


@pytest.mark.parametrize("name", ["saliency", "pgd"])
def test_every_field_of_a_validity_report_has_a_sentence(name: str) -> None:
    fields = explain_validity(small().attack_results[name])
    assert len(fields) > 8
    assert [field for field, _, sentence in fields if not sentence.endswith(".")] == []


def test_every_field_of_the_ensemble_has_a_sentence() -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(COLUMNS, 2)).eval()
    case = assay.case(assay.wrap(net, output="logits", classes=list(CLASSES)), X[:4])
    found = attack.auto(case, assay.Ball("linf", 0.2), steps=2, queries=4)
    assert set(found.validity) - set(SENTENCES) <= {
        "robust_accuracy",
        "robust_accuracy_interval",
        "robust_accuracy_of",
        "rows",
    }
    fmn = attack.fmn(case, assay.Ball("l2", 0.2), steps=2)
    assert {"minimal_distance_median", "rows_without_success"} <= set(fmn.validity) & set(SENTENCES)


def test_an_attack_knows_the_class_of_the_row_that_it_found() -> None:
    result = small().attack_results["pgd"]
    before = np.array([CLASSES.index(name) for name in small().predictions])
    np.testing.assert_array_equal(result.extra["class"] == before, result.prediction_unchanged)


def test_the_page_has_it_all_and_stays_within_its_size() -> None:
    page = render(small())
    assert page.count('class="certified"') >= 3
    assert "difference ×" not in page
    assert page.count("<dt>") > 30
    assert "radius curves" in page
    assert len(page.encode()) <= MAX_PAGE
    assert "difference × 8; grey: none" in render(pictures(8 / 255))


def test_a_record_with_certified_sets_is_read_back(tmp_path: Any) -> None:
    record = small()
    again = load(save(record, tmp_path / "run.assay"))
    assert again.certified == record.certified
    assert again.classes == record.classes
    assert render(again) == render(record)


def test_the_warnings_of_an_attack_stand_above_its_fields() -> None:
    view = next(one for one in view_attacks(small()) if one.subject == "saliency")
    page = render(small())
    note = view.attack_result.notes[0].text
    article = next(part for part in page.split('<article class="card">') if "top-k</a> on saliency" in part)
    assert article.index(note[:40]) < article.index('<dl class="fields">')


def test_ten_classes_fit_next_to_each_other() -> None:
    names = [f"class {n}" for n in range(10)]

    def measured(count: int) -> Finding:
        matrix = {f"true {one}": {f"decided {other}": count if one == other else 1 for other in names} for one in names}
        evidence = {"metrics": {}, "by class": {name: {"rows": count} for name in names}, "confusion matrix": matrix}
        return Finding("PER101", "pass", "it predicts", "net", 0.5, evidence=evidence)

    few, many = (performance(replace(small(), findings=(measured(count),))) for count in (50, 5000))
    assert not few.in_percent
    assert few.confusion[0][1][:2] == ("50", "1")
    assert many.in_percent
    assert many.confusion[0][1][:2] == ("100", "<1")


def test_each_class_of_the_galleries_has_an_example_row() -> None:
    record = credit()
    labels = tuple("rare" if row == 9 else "common" for row in range(40))
    galleries = (Gallery("typical", "typical", (0, 1, 2, 3, 4, 9), 40), Gallery("borderline", "near", (5, 6, 7, 8), 40))
    cards = some_cards(draw_galleries(replace(record, predictions=labels, galleries=galleries)), 6)
    assert len(cards) == 6
    assert "rare" in {card.predicted for _, card in cards}
    assert len({card.row for _, card in cards}) == 6


def test_an_attack_result_without_classes_names_none() -> None:
    record = replace(small(), classes=())
    shown = attacked_rows(record)["pgd"]
    assert {one.label_after for one in shown} == {""}
    assert isinstance(record.attack_results["pgd"], AttackResult)
