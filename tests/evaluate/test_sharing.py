"""What scores ask twice costs once."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.evaluate.settings import curved, digits, replace_values

from assay import Constant, evaluate, examples, explain
from assay.cases.case import Case
from assay.nouns.results.result import Explanation, Score

ZERO = Constant(0.0)


def _setting() -> tuple[Case, Explanation]:
    case = examples.additive(np.arange(1.0, 21.0))  # 20 parts: no exact enumeration
    return case, explain.saliency(case)


def test_one_deletion_curve_serves_comprehensiveness(exact_rows: None) -> None:
    case, e = _setting()
    assert evaluate.deletion(e, case, remove=ZERO).provenance.cost == {"forwards": 20}
    assert evaluate.comprehensiveness(e, case, remove=ZERO).provenance.cost == {}
    assert evaluate.deletion(e, case, remove=ZERO).provenance.cost == {}


def test_one_insertion_curve_serves_sufficiency(exact_rows: None) -> None:
    case, e = _setting()
    evaluate.insertion(e, case, remove=ZERO)
    assert evaluate.sufficiency(e, case, remove=ZERO).provenance.cost == {}


def test_insertion_after_deletion_does_not_evaluate_the_ends_again(exact_rows: None) -> None:
    case, e = _setting()
    evaluate.deletion(e, case, remove=ZERO)
    assert evaluate.insertion(e, case, remove=ZERO).provenance.cost == {"forwards": 19}


@pytest.mark.parametrize("score", [evaluate.faithfulness_correlation, evaluate.infidelity])
def test_random_subsets_are_evaluated_once_for_all_methods(score: Callable[..., Score]) -> None:
    case = digits(2)
    first, second = explain.saliency(case), explain.integrated_gradients(case, steps=2)
    assert score(first, case, draws=30).provenance.cost["forwards"] >= 50
    assert score(second, case, draws=30).provenance.cost == {}


def test_fewer_random_subsets_are_among_the_more(exact_rows: None) -> None:
    case = digits(2)
    e = explain.saliency(case)
    evaluate.infidelity(e, case, draws=40, remove=ZERO)
    assert evaluate.infidelity(e, case, draws=25, remove=ZERO).provenance.cost == {}


def test_after_exact_shapley_values_no_removal_score_costs_anything(exact_rows: None) -> None:
    case = curved()
    e = explain.shapley(case, remove=ZERO)
    for score in (
        evaluate.deletion,
        evaluate.insertion,
        evaluate.comprehensiveness,
        evaluate.sufficiency,
        evaluate.faithfulness_correlation,
        evaluate.infidelity,
    ):
        assert score(e, case, remove=ZERO).provenance.cost == {}, score


def test_another_removal_is_another_curve() -> None:
    case, e = _setting()
    evaluate.deletion(e, case, remove=ZERO)
    assert evaluate.deletion(e, case, remove=Constant(0.5)).provenance.cost == {"forwards": 20}


def test_another_model_is_never_answered_from_memory() -> None:
    case = digits(1)
    e = explain.saliency(case)
    evaluate.deletion(e, case, steps=4, remove=ZERO)
    other = replace(case, target=case.with_target("log_odds").target)
    assert evaluate.deletion(replace_values(e, e.values), other, steps=4, remove=ZERO).provenance.cost == {
        "forwards": 5
    }


def _names() -> list[Any]:
    return [getattr(evaluate, name) for name in evaluate.__all__]


def test_every_score_is_in_the_catalogue_under_its_own_name() -> None:
    assert {score.method.name for score in _names()} == set(evaluate.__all__)
