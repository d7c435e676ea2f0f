"""Laws that every score keeps: rows do not hear of one another, and nothing of the caller's changes."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from tests.evaluate.settings import ROWS, curved, digits, digits_net, replace_values

from assay import Ball, Recipe, evaluate, explain
from assay.basics.errors import InputError
from assay.model.transformations.randomise_weights import randomise_weights


def _learnt_otherwise(x: Any, y: Any, seed: Any, strength: float) -> Any:
    """A net of the digits' kind with weights of its own stream."""
    return randomise_weights(digits(1).model, seed)


LEARNER = Recipe(_learnt_otherwise, digits_net()[1][:8], digits_net()[2][:8])

SCORES: Mapping[str, Mapping[str, Any]] = {
    "abpc": {"steps": 10},
    "aopc": {"steps": 10},
    "average_sensitivity": {"ball": Ball("linf", 0.05), "draws": 2},
    "completeness": {},
    "comprehensiveness": {},
    "connectedness": {},
    "continuity": {"reach": 1},
    "decision_flip": {"steps": 10},
    "deletion": {"steps": 10},
    "effective_parts": {},
    "efficient_parameter_randomisation": {},
    "entropy": {},
    "explanation_error": {"budget": 400},
    "faithfulness_correlation": {"draws": 20},
    "faithfulness_estimate": {},
    "infidelity": {"draws": 20},
    "input_invariance": {},
    "insertion": {"steps": 10},
    "irof": {"steps": 10},
    "kar": {"recipe": LEARNER, "fractions": (0.5,), "seeds": 2},
    "label_randomisation": {"recipe": LEARNER},
    "lerf": {"steps": 10},
    "local_lipschitz": {"ball": Ball("linf", 0.05), "draws": 2},
    "max_sensitivity": {"ball": Ball("linf", 0.05), "draws": 2},
    "monotonicity": {"steps": 10},
    "monotonicity_correlation": {},
    "morf": {"steps": 10},
    "parameter_randomisation": {},
    "random_logit": {},
    "region_perturbation": {"regions": 10},
    "relative_input_stability": {"ball": Ball("linf", 0.05), "draws": 2},
    "relative_output_stability": {"ball": Ball("linf", 0.05), "draws": 2},
    "relative_representation_stability": {"ball": Ball("linf", 0.05), "draws": 2},
    "road": {},
    "roar": {"recipe": LEARNER, "fractions": (0.5,), "seeds": 2},
    "runner_up_logit": {},
    "saliency_metric": {},
    "selectivity": {"steps": 10},
    "sensitivity_n": {"draws": 20},
    "smooth_parameter_randomisation": {"ball": Ball("linf", 0.05), "draws": 2},
    "sparseness": {},
    "spatial_compactness": {},
    "sufficiency": {},
}


def _score(name: str, case: Any) -> Any:
    e = explain.integrated_gradients(case, steps=3)
    return getattr(evaluate, name)(e, case, **_options(name, case))


def _options(name: str, case: Any) -> dict[str, Any]:
    """The options of a score; true labels by the rows' ids."""
    return {**SCORES[name], **({"labels": [int(i) % 3 for i in case.rows.ids]} if name in ("roar", "kar") else {})}


OF_THEIR_OWN = {
    "effective_heat_ratio", "familiarity", "linear_datamodeling_score", "localisation_auc", "mass_accuracy",
    "pointing_game", "rank_accuracy", "top_k_overlap",
}  # fmt: skip
"""Scores that need a mask, a reference or training rows with the rows: the contract suite tests the same laws."""


def test_the_list_is_whole() -> None:
    assert set(SCORES) | OF_THEIR_OWN == set(evaluate.__all__)


@pytest.mark.parametrize("name", SCORES)
def test_a_row_alone_gets_the_score_it_gets_in_company(name: str) -> None:
    case = digits(4)
    together = _score(name, case).values
    assert_allclose(_score(name, case.take([2])).values, together[2:3], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", SCORES)
def test_the_order_of_rows_does_not_matter(name: str) -> None:
    case = digits(4)
    together = _score(name, case).values
    assert_allclose(_score(name, case.take([3, 1, 0, 2])).values, together[[3, 1, 0, 2]], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", SCORES)
def test_the_batch_size_does_not_matter(name: str) -> None:
    case = digits(3)
    small = replace(case, model=replace(case.model, batch=2))
    assert_allclose(_score(name, small).values, _score(name, case).values, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", SCORES)
def test_the_same_seed_gives_the_same_bytes(name: str) -> None:
    assert_array_equal(_score(name, digits(2)).values, _score(name, digits(2)).values)


@pytest.mark.parametrize("name", SCORES)
def test_net_rows_explanation_and_global_generators_stay_untouched(name: str) -> None:
    net, images, _ = digits_net()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    pictures, state, torch_state = images.clone(), np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002  # that is the point
    case = digits(2)
    e = explain.integrated_gradients(case, steps=3)
    values = e.values.copy()
    getattr(evaluate, name)(e, case, **_options(name, case))
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert torch.equal(images, pictures)
    assert_array_equal(e.values, values)
    assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002  # as above
    assert torch.equal(torch.get_rng_state(), torch_state)


ORDERED = """
    abpc aopc comprehensiveness deletion insertion irof lerf monotonicity morf region_perturbation selectivity
    sufficiency
"""


@pytest.mark.parametrize("name", ORDERED.split())
def test_ordered_scores_hear_of_the_order_only(name: str) -> None:
    case = curved()
    e = explain.integrated_gradients(case)
    squashed = replace_values(e, np.arctan(e.values) * 3 - 1)
    score = getattr(evaluate, name)
    assert_array_equal(score(squashed, case).values, score(e, case).values)


def test_an_explanation_of_other_rows_is_refused() -> None:
    e = explain.saliency(curved(ids=["a", "b", "c", "d"]))
    with pytest.raises(InputError, match="the same rows"):
        evaluate.deletion(e, curved(ROWS[::-1], ids=["d", "c", "b", "a"]))
