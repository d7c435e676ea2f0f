"""Where no removal is named: a table's own rows, never zero; anything else zero."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

import assay
from assay import evaluate, explain
from assay.basics.errors import InputError
from assay.cases.default_removal import MOST_ROWS
from assay.engine.cost import cost_of
from assay.engine.recompute import recompute

X = np.random.default_rng(0).normal(size=(6, 3)) + 5
WEIGHTS = np.array([1.0, -2.0, 3.0])


def linear() -> assay.Model:
    return assay.model.function(lambda x: x @ WEIGHTS)


def codes(result: explain.shapley) -> list[str]:
    return [note.code for note in result.notes]


@pytest.mark.parametrize("method", ["shapley", "occlusion", "permutation_shapley", "banzhaf"])
def test_absent_columns_of_a_table_are_those_of_the_rows_explained(method: str) -> None:
    found = getattr(explain, method)(assay.case(linear(), X))
    assert_allclose(found.values, (X - X.mean(axis=0)) * WEIGHTS, atol=1e-9)
    assert codes(found) == ["default-background"]
    assert repr(found.provenance.options["remove"]) == "Marginal(<6 of the 6 rows explained>)"


def test_it_is_the_marginal_removal_of_these_rows() -> None:
    case = assay.case(linear(), X)
    one, two = explain.shapley(case), explain.shapley(case, remove=assay.Marginal(X))
    assert_array_equal(one.values, two.values)
    assert codes(two) == []


def test_a_frame_with_text_needs_no_removal_either() -> None:
    frame = pd.DataFrame({"job": ["a", "b", "a", "c"], "age": [1.0, 2.0, 3.0, 4.0]})
    model = assay.model.function(lambda f: (f["job"] == "a") * 10.0 + f["age"])
    found = explain.shapley(assay.case(model, frame))
    assert_allclose(found.values[:, 0], (frame["job"] == "a") * 10.0 - 5.0)
    assert_allclose(found.values[:, 1], frame["age"] - 2.5)


def test_one_row_is_no_background_for_itself() -> None:
    case = assay.case(linear(), X[:1])
    with pytest.raises(InputError, match=r"remove=assay.Marginal\(background\)"):
        explain.shapley(case)
    assert_allclose(explain.shapley(case, remove=assay.Constant(0.0)).values, X[:1] * WEIGHTS)


def test_of_many_rows_some_are_drawn_by_the_seed_and_the_note_says_so() -> None:
    many = np.random.default_rng(1).normal(size=(80, 3))
    one, again, other = (explain.occlusion(assay.case(linear(), many, seed=seed)) for seed in (0, 0, 1))
    assert f"{MOST_ROWS} of the rows explained" in one.notes[0].text
    assert_array_equal(one.values, again.values)
    assert not np.allclose(one.values, other.values)


@pytest.mark.parametrize("shape", [(4, 3, 8, 8), (4, 5, 2)], ids=["pictures", "windows"])
def test_other_rows_are_removed_to_zero(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(int(np.prod(shape[1:])), 2))
    found = explain.occlusion(assay.case(assay.wrap(net), x, label=1))
    weights = net[1].weight[1].detach().numpy()
    assert_allclose(found.values, x.flatten(1).numpy() * weights, atol=1e-5)
    assert "default-background" not in codes(found)


def test_the_units_of_a_layer_are_removed_to_zero() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2)).eval()
    case = assay.case(assay.wrap(net), X.astype(np.float32), label=1).from_layer("0")
    hidden = net[0](torch.as_tensor(X, dtype=torch.float32)).detach().numpy()
    assert_allclose(explain.occlusion(case).values, hidden * net[1].weight[1].detach().numpy(), atol=1e-5)


def test_scores_use_the_same_default_and_say_so() -> None:
    case = assay.case(linear(), X)
    explanation = explain.shapley(case)
    one = evaluate.deletion(explanation, case)
    assert_array_equal(one.values, evaluate.deletion(explanation, case, remove=assay.Marginal(X)).values)
    assert "default-background" in codes(one)


def test_the_cost_of_a_method_is_that_of_the_removal_used() -> None:
    case = assay.case(linear(), X)
    named = cost_of(explain.shapley.method, case, {"remove": assay.Marginal(X)})
    assert cost_of(explain.shapley.method, case, {}) == named


def test_a_baseline_is_a_start() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(3, 2)).eval()
    case = assay.case(assay.wrap(net), X.astype(np.float32), label=1)
    for method in (explain.integrated_gradients, explain.deep_lift, explain.conductance, explain.integrated_hessians):
        one, two = method(case, baseline=1.0), method(case, start=1.0)
        assert_array_equal(one.values, two.values)
        assert "baseline" not in one.provenance.options
    with pytest.raises(InputError, match="same option"):
        explain.integrated_gradients(case, baseline=1.0, start=0.0)
    with pytest.raises(InputError, match="has no option 'baseline'"):
        explain.saliency(case, baseline=1.0)


@pytest.mark.parametrize("rows", [6, 80])
@pytest.mark.parametrize("kind", ["function", "net"])
def test_a_stored_explanation_is_computed_again_with_the_background_it_had(
    rows: int, kind: str, tmp_path: Path
) -> None:
    x = np.random.default_rng(1).normal(size=(rows, 3)).astype(np.float32)
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2)).eval()
    model = assay.wrap(net) if kind == "net" else assay.model.function(lambda x: np.tanh(x @ WEIGHTS))
    case = assay.case(model, x, seed=3)
    explanation = explain.shapley(case)
    path = tmp_path / "one.assay"
    explanation.save(path)
    stored = assay.load(path)
    ball = assay.Ball("linf", 0.1)
    one, two = (evaluate.max_sensitivity(e, case, ball=ball, draws=2).values for e in (explanation, stored))
    assert_array_equal(one, two)
    other = assay.case(model, x[::-1].copy(), seed=3)
    assert_array_equal(recompute(stored, other).values, recompute(explanation, other).values)


def test_parts_of_a_case_share_the_background_of_the_whole() -> None:
    x = np.array([[1.0, 1.0], [1.0, 3.0], [2.0, 1.0]])
    model = assay.model.function(lambda x: x @ np.diag([2.0, 1.0]), gives="logits")
    case = assay.case(model, x, label="predicted")
    found, own = (
        assay.wrong_classes(explain.occlusion(case), case, [1, 1, 0], k=1, **options)
        for options in ({}, {"remove": assay.Marginal(x)})
    )
    assert len(found.ids) == 1  # one misclassified row is no background for itself
    assert_array_equal(found.each["flip"], own.each["flip"])
