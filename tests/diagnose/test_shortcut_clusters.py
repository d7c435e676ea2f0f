"""Clusters of explanations: a planted tag is found and confirmed, clean digits are not flagged, in-painting counts."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from tests.tagged_digits import CLASS, f1, tagged, tagged_case

import assay
from assay import diagnose, explain
from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.cases.case import Case
from assay.engine.audit_inputs import AuditInputs, call_on_inputs
from assay.engine.shortcuts import paste_effects
from assay.engine.shortcuts.attribution_maps import attribution_maps
from assay.engine.shortcuts.cluster_candidates import find_candidates, random_candidates
from assay.nouns.catalogue import find
from assay.nouns.results.finding import Finding
from assay.planted.watermark import TAG


def judged(case: Case, **given: object) -> Finding:
    (found,) = diagnose.shortcut_clusters(case, **given)
    return found


def region_of(found: Finding) -> np.ndarray:
    """The cells (8, 8), which are pixels, that a finding names."""
    region = np.zeros((8, 8), dtype=bool)
    for place in found.evidence["region cells"]:
        region[tuple(map(int, place.split("/")))] = True
    return region


@cache
def planted(share: float) -> Finding:
    return judged(tagged_case(1, share))


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_a_tag_on_a_share_of_one_class_is_found_and_confirmed(share: float) -> None:
    net, rows, _, has_tag = tagged(1, share)
    found = planted(share)
    assert found.verdict == "fail"
    assert found.evidence["class"] == str(CLASS)
    assert f1(found, net, rows, has_tag) >= 0.95
    assert has_tag[int(found.evidence["medoid"])]
    assert found.rows[0] == found.evidence["medoid"]
    assert not (region_of(found) & ~TAG).any()
    assert found.affected == pytest.approx(len(found.rows) / len(rows))


def test_the_probabilities_are_those_of_pasted_rows() -> None:
    net, rows, _, _ = tagged(1, 0.2)
    case, found = tagged_case(1, 0.2), planted(0.2)
    region = region_of(found)
    others = np.flatnonzero(case.predicted(case.rows.x) != CLASS)
    pasted = np.where(region, rows[int(found.evidence["medoid"])], rows[others])
    chance = assay.case(assay.wrap(net), np.float32(pasted), target="probability", label=CLASS).output.mean()
    assert abs(chance - found.evidence["probability with the region"]) < 0.05


@pytest.mark.parametrize("seed", range(2))
def test_clean_digits_are_not_flagged(seed: int) -> None:
    assert judged(tagged_case(seed, 0.0)).verdict in ("pass", "undecided")


@pytest.mark.judge
def test_clean_digits_are_flagged_in_at_most_16_of_200_nets() -> None:
    verdicts = [judged(tagged_case(seed, 0.0)).verdict for seed in range(1000, 1200)]
    assert verdicts.count("fail") <= 16


def test_a_cluster_whose_rows_do_not_need_the_region_is_not_flagged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paste_effects, "inpaint_region", lambda x, region: x)  # filling changes nothing
    found = judged(tagged_case(1, 0.2))
    assert found.verdict == "pass"
    assert found.estimate == 0.0
    assert "None of" in found.claim


def test_maps_of_another_explanation_find_the_tag_too() -> None:
    net, rows, _, has_tag = tagged(1, 0.2)
    case = tagged_case(1, 0.2)
    explanation = explain.lrp(case.with_target(label="predicted"))
    given = judged(case, maps=explanation.values.reshape(len(case), 1, 8, 8))
    assert f1(given, net, rows, has_tag) >= 0.95
    assert given.verdict == "fail"


def test_random_groups_leave_the_cluster_out_and_keep_its_number_of_cells() -> None:
    case = tagged_case(1, 0.2)
    explained = explain.input_x_gradient(case.with_target(label="predicted")).values.reshape(len(case), 1, 8, 8)
    maps, predicted = attribution_maps(explained), case.predicted(case.rows.x)
    candidates = find_candidates(maps, predicted, Seed(0))
    assert [one.separability for one in candidates] == sorted((one.separability for one in candidates), reverse=True)
    for one in random_candidates(candidates[0], maps, 3, Seed(1)):
        assert one.cells.sum() == candidates[0].cells.sum()
        assert not set(one.rows) & set(candidates[0].rows)
        assert set(predicted[one.rows]) == {candidates[0].label}


def test_the_same_seed_gives_the_same_finding_and_the_cost_is_bounded() -> None:
    _, rows, y, _ = tagged(1, 0.2)
    inputs = AuditInputs(tagged_case(1, 0.2).model, np.float32(rows), labels=y)
    method = find("diagnose", "shortcut_clusters")
    meter, planned = inputs.model.meter, method.audit_cost(inputs)
    before = meter.requested, meter.backwards
    first = call_on_inputs(method, inputs)[0]
    assert meter.requested - before[0] <= planned.forwards
    assert meter.backwards - before[1] <= planned.backwards
    second = judged(inputs.case)
    assert (first.estimate, first.interval, first.rows) == (second.estimate, second.interval, second.rows)


def test_few_rows_and_one_class_are_not_judged() -> None:
    case = tagged_case(1, 0.2)
    assert judged(case.take(range(15))).verdict == "not applicable"
    eights = np.flatnonzero(case.predicted(case.rows.x) == CLASS)
    assert judged(case.take(eights)).verdict == "not applicable"


@pytest.mark.parametrize("given", [{"maps": np.zeros((2, 1, 8, 8))}, {"maps": "x"}, {"effect": 1.5}, {"level": 0.0}])
def test_wrong_options_get_a_typed_error(given: dict[str, object]) -> None:
    with pytest.raises(InputError):
        judged(tagged_case(1, 0.2), **given)
