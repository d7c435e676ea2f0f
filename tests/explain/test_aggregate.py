"""Aggregated explanations: by hand, as an explanation among others, and recomputed where the case changes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from tests.contract.subjects import neural, ragged, smooth

import assay
from assay import evaluate, explain
from assay.basics.errors import CapabilityError, InputError
from assay.engine.cost import cost_of
from assay.nouns.results.result import Explanation


def members(count: int = 2) -> list[Explanation]:
    """Explanations of the curved function."""
    case = smooth()
    return [explain.integrated_gradients(case), explain.input_x_gradient(case), explain.occlusion(case)][:count]


def test_ranks_are_the_mean_of_signed_ranks() -> None:
    case = smooth()
    explanations = [replace(one, values=values) for one, values in zip(members(), TABLES)]
    found = explain.aggregate(case, members=explanations).values
    assert_allclose(found[0], [(4 + 3) / 8, (-2 - 4) / 8, 0.0, (3 + 2) / 8])
    assert_allclose(found[1], np.array([2.5 + 2.5, 2.5 - 2.5, 2.5 + 2.5, 2.5 + 2.5]) / 8)


ROW = [[9.0, -1.0, 0.0, 2.0], [1.0, 1.0, 1.0, 1.0], [1.0, 2.0, 3.0, 4.0]]
OTHER = [[0.3, -0.4, 0.0, 0.2], [2.0, -2.0, 2.0, 2.0], [1.0, 2.0, 3.0, 4.0]]
TABLES = (np.array(ROW), np.array(OTHER))


def test_ranks_do_not_follow_a_members_scale() -> None:
    case, (one, two) = smooth(), members()
    louder = replace(two, values=1e6 * two.values)
    assert_allclose(
        explain.aggregate(case, members=[one, louder]).values, explain.aggregate(case, members=[one, two]).values
    )


def test_one_member_keeps_its_order() -> None:
    case = smooth()
    alone = explain.occlusion(case)
    assert (explain.aggregate(case, members=[alone]).order() == alone.order()).all()


def test_the_mean_of_complete_values_is_complete() -> None:
    case = smooth()
    explanations = [explain.integrated_gradients(case), explain.shapley(case)]
    found = explain.aggregate(case, members=explanations, by="values")
    assert_allclose(found.values, (explanations[0].values + explanations[1].values) / 2)
    assert np.abs(found.residual).max() < 1e-3


def test_values_in_other_units_have_no_mean() -> None:
    with pytest.raises(InputError, match=r"saliency has no base.*by='ranks'"):
        explain.aggregate(smooth(), members=["saliency"], by="values")


def test_precise_members_have_more_weight() -> None:
    explanations = [
        replace(one, values=np.full((3, 4), value), stderr=np.full((3, 4), error))
        for one, value, error in zip(members(), (1.0, 4.0), (1.0, 2.0))
    ]
    found = explain.aggregate(smooth(), members=explanations, by="precision")
    assert_allclose(found.values, (1 * 1.0 + 0.25 * 4.0) / 1.25)
    assert found.stderr is not None
    assert_allclose(found.stderr, 1 / np.sqrt(1.25))
    exact = [explanations[0], replace(explanations[1], stderr=np.zeros((3, 4)))]
    assert_allclose(explain.aggregate(smooth(), members=exact, by="precision").values, 4.0)


def test_features_that_a_row_lacks_get_0_and_no_rank() -> None:
    case = ragged()
    found = explain.aggregate(case, members=["occlusion"])
    present = np.broadcast_to(case.features.sizes > 0, found.values.shape)
    assert (found.values[~present] == 0).all()
    assert_allclose(np.abs(found.values).max(axis=1), 1.0)


def test_members_of_this_case_cost_nothing_and_names_cost_their_method() -> None:
    case = neural()
    explanations = [explain.integrated_gradients(case), explain.occlusion(case)]
    assert explain.aggregate(case, members=explanations).provenance.cost == {}
    cost = cost_of(explain.aggregate.method, case, {"members": ("integrated_gradients", "occlusion")})
    apart = [cost_of(one.method, case, {}) for one in (explain.integrated_gradients, explain.occlusion)]
    assert cost == apart[0] + apart[1]


def test_members_of_another_case_are_recomputed() -> None:
    case = neural()
    found = explain.aggregate(case, members=[explain.integrated_gradients(case), explain.input_x_gradient(case)])
    there = case.at(case.rows.x + 0.3)
    again = assay.recompute(found, there)
    fresh = explain.aggregate(there, members=["integrated_gradients", "input_x_gradient"])
    assert_allclose(again.values, fresh.values)
    assert "recomputed for this case: integrated_gradients, input_x_gradient" in again.notes[-1].text


def test_it_is_scored_like_any_explanation() -> None:
    case = neural()
    found = explain.aggregate(case, members=["integrated_gradients", "occlusion"])
    assert np.isfinite(evaluate.deletion(found, case).values).all()
    assert np.isfinite(evaluate.parameter_randomisation(found, case).values).all()
    assert found.description == ("ranks of integrated_gradients, occlusion",)


def test_an_aggregate_of_results_read_from_disk_cannot_be_recomputed(tmp_path: Path) -> None:
    case = smooth()
    loaded = assay.load(explain.aggregate(case, members=members()).save(tmp_path / "a.assay"))
    with pytest.raises(InputError, match=r"members=dict.*read from disk"):
        assay.recompute(loaded, case.at(case.rows.x + 1))


def test_members_that_cannot_be_aggregated_are_refused() -> None:
    case = smooth()
    with pytest.raises(InputError, match="members=none"):
        explain.aggregate(case, members=[])
    with pytest.raises(InputError, match="members=int"):
        explain.aggregate(case, members=[3])
    with pytest.raises(CapabilityError, match="not differentiable"):
        explain.aggregate(replace(case, live=True), members=["random"])
