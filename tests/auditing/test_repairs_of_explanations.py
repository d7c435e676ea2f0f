# SPDX-License-Identifier: Apache-2.0
"""Repairs that answer checks of explanations: tried by deep audits only, where such a check fails."""

from dataclasses import replace

import pytest
from tests.repair.nets import BALL, digits

from assay.auditing.audit import prepare
from assay.auditing.planning.plan import Step
from assay.auditing.steps.repairs import run_repairs
from assay.auditing.steps.result_store import ResultStore
from assay.nouns.catalogue import Cost
from assay.nouns.results.finding import Finding

TRIED = {"repair.adversarial_training", "repair.aggregation", "repair.curvature_penalty"}


def prepared(profile, **given):
    model, rows, _ = digits()
    x, y = rows["held_out"]
    return prepare(model, x[:12], y[:12], ball=BALL, profile=profile, select=("ATK401",), methods=["saliency"], **given)


@pytest.mark.parametrize("profile", ["quick", "standard", "deep"])
def test_only_a_deep_audit_plans_them_and_those_that_train_need_training_rows(profile):
    whole = {step.key for step in prepared(profile, train=digits()[1]["train"]).plan.steps}
    assert whole & TRIED == (TRIED if profile == "deep" else set())
    without = {step.key for step in prepared(profile).plan.steps}
    assert without & TRIED == ({"repair.aggregation"} if profile == "deep" else set())


def test_a_failed_check_of_an_explanation_is_answered_and_a_model_that_stays_is_not_audited_again():
    inputs = prepared("deep", train=digits()[1]["train"]).inputs
    inputs = replace(inputs, explained=inputs.ask(inputs.x[:3], label="predicted"))
    failed = Finding("ATK401", "fail", "few top features remain", subject="saliency")
    options = {
        "aggregation": {"members": ("saliency", "random"), "steps": 1, "queries": 1},
        "curvature_penalty": {"epochs": 1, "steps": 1, "rows": 4},
    }
    steps = [Step("repair", name, "", given, Cost(), exact=False) for name, given in options.items()]
    tested = []

    def test_explanation(model):
        tested.append(model.name)
        return []

    for of_explanations, count in (([failed], 2), ([replace(failed, verdict="pass")], 0)):
        made, refused = run_repairs(inputs, [], steps, test_explanation, list, ResultStore(None), of_explanations)
        assert not refused
        assert len(made) == count
    assert len(tested) == 3  # the model before, the fine-tuned one, and its baseline
    records = {
        one.repair_record.method: one.repair_record
        for one in run_repairs(inputs, [], steps, test_explanation, list, ResultStore(None), [failed])[0]
    }
    assert records["aggregation"].after == records["aggregation"].before
    assert "top-k overlap under attack" in records["curvature_penalty"].measured_after
    assert records["curvature_penalty"].baseline_change.startswith("fine-tuned")
