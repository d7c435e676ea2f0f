# SPDX-License-Identifier: Apache-2.0
"""The evidence of prototypes on the page, and the view of a deep audit that computes it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tests.explain.test_prototypes import pictures, post_hoc
from tests.report.extreme_records import empty
from tests.report.page import Page

import assay
from assay import explain
from assay.auditing.audit import prepare
from assay.auditing.planning.views import OF_TRAINING_ROWS, VIEW
from assay.report.audit.page import render
from assay.report.audit.prototype_evidence import BUDGET, draw_evidence

CLASSES = ("0", "1")
MARKUP = "<script>alert(1)</script>\" onerror='x'"


@pytest.fixture(scope="module")
def record():
    return replace(empty(), classes=CLASSES, views={"prototypes": post_hoc()[1]})


def test_the_points_that_are_shown_add_up_to_the_logits_of_the_class_and_of_its_rival(record) -> None:
    found = record.views["prototypes"]
    drawn = draw_evidence(found, CLASSES)
    assert [one.row for one in drawn] == list(found.ids[:3])
    for row, one in enumerate(drawn):
        own, rival = one.classes
        assert (own.label, rival.label) == (found.labels[row], CLASSES[int(found.extra["rival"][row])])
        assert_allclose(float(own.total), found.output[row], atol=1e-3)
        assert_allclose(float(rival.total), found.extra["rival_logit"][row], atol=1e-3)
        for part in one.classes:
            assert_allclose(sum(float(s.points) for s in part.found) + float(part.rest), float(part.total), atol=3e-3)
            for s in part.found:
                assert_allclose(float(s.similarity) * float(s.connection), float(s.points), atol=1e-2)
                assert f"({part.label})" in s.row


def test_pictures_are_those_of_the_training_rows_within_the_budget(record) -> None:
    found, (x, _) = record.views["prototypes"], pictures(60, 0)
    for place, one in enumerate(found.extra["pictured"]):
        row = int(found.extra["training_row"][int(one)])
        assert_allclose(found.extra["training_pictures"][place], x[row], atol=1e-6)
    drawn = draw_evidence(found, CLASSES)
    assert all(s.picture.startswith("data:image/png") for one in drawn for part in one.classes for s in part.found)
    assert 0 < sum(one.size for one in drawn) <= BUDGET


def test_the_page_prints_the_table_with_its_remainder(record) -> None:
    html = render(record)
    section = html.split('<section id="views"')[1].split("</section>")[0]
    drawn = draw_evidence(record.views["prototypes"], CLASSES)
    assert section.count("all other prototypes") == sum(len(one.classes) for one in drawn)
    texts = [image["alt"] for image in Page(section).all("img")]
    assert sum(text.startswith("Training picture") for text in texts) >= len(drawn)
    assert drawn[0].classes[0].total in section
    assert "fitted on the frozen body" in section


def test_names_of_training_rows_and_classes_are_text_and_cut(record) -> None:
    found = record.views["prototypes"]
    for name in (MARKUP, "x" * 3000):
        features = replace(found.features, names=tuple(f"{name} {i}" for i in range(len(found.features.names))))
        evil = replace(found, features=features, ids=tuple(f"{name} {i}" for i in range(len(found.ids))))
        page = Page(render(replace(record, classes=(name, f"{name} "), views={"prototypes": evil})))
        assert not page.wrong
        assert not page.all("script")
        assert all(set(image) == {"src", "alt"} and len(image["alt"]) < 200 for image in page.all("img"))


def test_a_table_has_the_evidence_without_pictures_and_other_explanations_have_none() -> None:
    rng = np.random.default_rng(0)
    x = torch.as_tensor(rng.normal(size=(30, 3))).float()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2)).eval()
    case = assay.case(assay.wrap(net, output="logits"), x[:4])
    drawn = draw_evidence(explain.prototypes(case, train=(x, (x[:, 0] > 0).long().numpy())), CLASSES)
    assert len(drawn) == 3
    assert not any(one.has_regions or one.image or one.size for one in drawn)
    assert draw_evidence(explain.saliency(case)) == ()


@pytest.fixture(scope="module")
def prepared():
    x, y = pictures(40, 0)
    test, truth = pictures(12, 1)
    options = {"methods": ["saliency"], "scores": ["sparseness"], "profile": "deep"}
    return prepare(post_hoc()[0].model, test, truth, train=(x, y), **options)


def test_a_deep_audit_of_pictures_plans_the_view_where_training_rows_are_given(prepared) -> None:
    step = next(step for step in prepared.plan.steps if step.method == "prototypes")
    assert step.subject == VIEW
    x, y = pictures(12, 1)
    without = prepare(post_hoc()[0].model, x, y, methods=["saliency"], scores=["sparseness"], profile="deep").plan
    assert "prototypes" not in {step.method for step in without.steps}
    left_out = next(one for one in without.skipped if one.what == f"explain.prototypes of {VIEW}")
    assert "train" in left_out.enable


def test_the_view_costs_what_was_planned_and_its_stored_outcome_is_found_again(prepared, tmp_path) -> None:
    steps = tuple(step for step in prepared.plan.steps if step.method in ("saliency", "prototypes"))
    audit = replace(prepared, plan=replace(prepared.plan, steps=steps, evidence=assay.nouns.catalogue.Cost()))
    first, second = (audit.run(store=tmp_path) for _ in range(2))
    view = first.record.views["prototypes"]
    assert len(view.ids) == OF_TRAINING_ROWS
    assert first.record.cost["model evaluations requested"] == audit.plan.cost.forwards
    assert_allclose(second.record.views["prototypes"].values, view.values)
    assert int(second.record.times["model evaluations now"]) < int(first.record.times["model evaluations now"])


def test_of_many_training_rows_the_seed_draws_some_and_names_them_by_their_place(monkeypatch) -> None:
    monkeypatch.setattr("assay.auditing.planning.views.MOST_TRAINING_ROWS", 10)
    x, y = pictures(40, 0)
    test, truth = pictures(6, 1)
    options = {"methods": ["saliency"], "scores": ["sparseness"], "profile": "deep"}
    plan = prepare(post_hoc()[0].model, test, truth, train=(x, y), **options).plan
    given = next(step for step in plan.steps if step.method == "prototypes").options
    rows, labels = given["train"]
    places = [int(name.rpartition(" ")[2]) for name in given["ids"]]
    assert len(places) == 10
    assert_allclose(np.asarray(rows), np.asarray(x)[places])
    assert list(labels) == [y[place] for place in places]
