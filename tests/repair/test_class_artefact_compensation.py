"""Projection of an artefact out of a layer: what it recovers, what it leaves alone, and how an audit proposes it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from tests.tagged_digits import CLASS, TRAIN, tag_image, tagged, tagged_case

import assay
from assay import diagnose, repair
from assay.auditing.steps.repairs import call_repair, proposals_of
from assay.basics.errors import CapabilityError, InputError
from assay.cases.case import Case
from assay.engine.audit_inputs import AuditInputs
from assay.nouns.catalogue import find
from assay.planted.networks import predict_classes, to_tensor
from assay.planted.watermark import TAG, stamp_images
from assay.repair.class_artefact_compensation import PASTED


def clean_held_out() -> Any:
    """Positions of rows that were not trained on and have no tag."""
    return np.flatnonzero(~tagged(1, 0.5)[3][TRAIN:]) + TRAIN


def halves() -> dict[str, Any]:
    """Rows with their labels that choose the direction, and others that judge it."""
    _, rows, y, _ = tagged(1, 0.5)
    which = clean_held_out()
    return {"train": (to_tensor(rows[:TRAIN]), y[:TRAIN]), "held_out": (to_tensor(rows[which]), y[which])}


def case() -> Case:
    return tagged_case(1, 0.5).take(range(4))


def test_the_lost_accuracy_is_recovered_at_a_small_clean_cost_where_the_tag_is_one_direction() -> None:
    made = repair.class_artefact_compensation(case(), artefact=tag_image(), layer="1", **halves())
    lost = made.before["accuracy"] - made.before[f"accuracy {PASTED}"]
    assert lost > 0.1
    assert made.after[f"accuracy {PASTED}"] - made.before[f"accuracy {PASTED}"] > 0.9 * lost
    assert made.after["accuracy"] > made.before["accuracy"] - 0.03  # one of 64 directions also holds evidence
    net, rows, y, _ = tagged(1, 0.5)
    which = clean_held_out()
    pasted = stamp_images(rows[which], np.ones(len(which), dtype=bool), TAG)
    found = (predict_classes(made.model.net, pasted) == y[which]).mean()
    assert found == pytest.approx(made.after[f"accuracy {PASTED}"])
    assert (predict_classes(net, pasted) == y[which]).mean() == pytest.approx(made.before[f"accuracy {PASTED}"])


def test_the_plain_repair_retrains_the_last_layer_alone() -> None:
    made = repair.class_artefact_compensation(case(), artefact=tag_image(), **halves())
    before, after = tagged(1, 0.5)[0].state_dict(), made.baseline.net.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"5.weight", "5.bias"}
    assert "last linear layer" in made.baseline_change


@pytest.mark.parametrize("layer", ["1", "4"])
def test_another_layer_is_followed_by_a_linear_layer(layer: str) -> None:
    made = repair.class_artefact_compensation(case(), artefact=tag_image(), layer=layer, **halves())
    assert type(made.model.net[int(layer)]).__name__ == "Sequential"
    assert made.after[f"accuracy {PASTED}"] > made.before[f"accuracy {PASTED}"]


def test_held_out_rows_do_not_choose_the_direction() -> None:
    given = halves()
    first = repair.class_artefact_compensation(case(), artefact=tag_image(), **given)
    few = given | {"held_out": (given["held_out"][0][:50], given["held_out"][1][:50])}
    second = repair.class_artefact_compensation(case(), artefact=tag_image(), **few)
    assert_allclose(first.model.net[5].weight.detach(), second.model.net[5].weight.detach())


def test_a_failed_check_proposes_the_repair_with_the_artefact_it_found() -> None:
    _, rows, y, _ = tagged(1, 0.5)
    inputs = AuditInputs(
        case().model,
        np.float32(rows),
        labels=y,
        train=halves()["train"],
        options={"pasted_artefact": {"artefact": tag_image(), "white": 1.0}},
    )
    method = find("repair", "class_artefact_compensation")
    (cluster,) = diagnose.shortcut_clusters(inputs.case)
    odds, _ = diagnose.pasted_artefact(inputs.case, artefact=tag_image(), labels=y)
    proposals = proposals_of(method, inputs, [cluster, odds])
    assert [set(one) for one in proposals] == [{"artefact"}, {"artefact"}]
    assert_array_equal(proposals[1]["artefact"].alpha.astype(bool), TAG)
    alpha = proposals[0]["artefact"].alpha
    assert not (alpha.astype(bool) & ~TAG).any()
    made = call_repair(method, inputs, proposals[0])
    again = diagnose.shortcut_clusters(replace(inputs, model=made.model).case)[0]
    assert again.evidence.get("class") != str(CLASS) or again.estimate < cluster.estimate
    assert proposals_of(method, inputs, [replace(cluster, verdict="pass")]) == []


def test_rows_named_by_their_class_are_read_as_such() -> None:
    net, rows, _, _ = tagged(1, 0.5)
    names = [f"digit {one}" for one in range(10)]
    named = assay.case(assay.wrap(net, classes=names), to_tensor(rows[:4]), label=None)
    sides = {side: (x, [names[one] for one in labels]) for side, (x, labels) in halves().items()}
    by_name = repair.class_artefact_compensation(named, artefact=tag_image(), **sides)
    by_position = repair.class_artefact_compensation(case(), artefact=tag_image(), **halves())
    assert by_name.after == by_position.after


def test_an_artefact_that_does_not_reach_the_layer_and_wrong_layers_get_a_typed_error() -> None:
    given = halves()
    with pytest.raises(InputError, match="changes no training row"):
        repair.class_artefact_compensation(case(), artefact=lambda x: x, **given)
    with pytest.raises(InputError, match="near names"):
        repair.class_artefact_compensation(case(), artefact=tag_image(), layer="none", **given)
    body = torch.nn.Sequential(torch.nn.Flatten(2), torch.nn.Linear(64, 10), torch.nn.Flatten())
    other = assay.case(assay.wrap(body, output="logits"), given["train"][0][:3], label=None)
    with pytest.raises(CapabilityError, match="vectors or maps"):
        repair.class_artefact_compensation(other, artefact=tag_image(), layer="1", **given)
