"""A surrogate list of rules."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import load_breast_cancer
from tests.contract.subjects import loan_pipeline

import assay
from assay import explain
from assay.basics.errors import InputError
from assay.cases.case import Case
from assay.cases.removals import Marginal
from assay.model.adapters.function import function

GENERATOR = np.random.default_rng(9)
X, OTHERS = GENERATOR.integers(0, 3, size=(5, 3)) * 1.0, GENERATOR.integers(0, 3, size=(300, 3)) * 1.0


def listed(x):
    return np.where((x[:, 0] == 2) & (x[:, 1] > 0), 7.0, np.where(x[:, 2] < 1, -1.0, 1.0))


def test_a_list_of_rules_is_found_again_and_its_values_are_exact() -> None:
    case = assay.case(function(listed, fingerprint="listed"), X, names=["a", "b", "c"])
    result = explain.surrogate_rules(case, background=OTHERS, rules=2)
    assert_allclose(result.extra["fidelity"], 1.0)
    assert [line.partition(":")[0] for line in result.description[1:]] == [
        "1. if a > 1 and b > 0",
        "2. else if c > 0",
        "3. else",
    ]
    assert_allclose(result.residual, 0.0, atol=1e-12)
    assert_allclose(result.values, explain.shapley(case, remove=Marginal(OTHERS)).values, atol=1e-12)


def test_the_residual_is_the_lists_error_and_leaves_are_where_rows_fall() -> None:
    case = assay.case(function(lambda x: np.exp(x[:, 0]) - x[:, 1] * x[:, 2], fingerprint="curved"), X)
    result = explain.surrogate_rules(case, background=OTHERS)
    predicted = result.extra["leaves"][result.extra["leaf"].astype(int), 1]
    assert_allclose(result.output - result.residual, predicted, atol=1e-12)
    assert len(set(predicted)) > 1


def test_a_rule_contains_at_least_the_requested_share() -> None:
    case = assay.case(function(listed, fingerprint="listed"), X)
    leaves = explain.surrogate_rules(case, background=OTHERS, rules=6, least=0.2).extra["leaves"]
    assert (leaves[:, 2] >= 0.2 * 210).all()


def test_a_constant_model_has_one_rule_and_no_fidelity() -> None:
    case = assay.case(function(lambda x: np.full(len(x), 2.5), fingerprint="flat"), X)
    result = explain.surrogate_rules(case, background=OTHERS)
    assert result.description[1].startswith("1. always: 2.5")
    assert np.isnan(result.extra["fidelity"]).all()
    assert [note.code for note in result.notes] == ["fidelity"]
    assert_allclose(result.values, 0.0)


def test_levels_are_named() -> None:
    frame, pipeline = loan_pipeline()
    case = assay.case(assay.wrap(pipeline), frame.iloc[:4], label=1)
    assert any(
        "purpose is not house and sum > " in line
        for line in explain.surrogate_rules(case, background=frame).description
    )

    def homes(rows):
        return (rows["purpose"] == "house").to_numpy() * 1.0

    case = assay.case(function(homes, fingerprint="homes", columns=list(frame.columns)), frame.iloc[:4])
    lines = explain.surrogate_rules(case, background=frame, rules=1).description
    assert lines[1].startswith("1. if purpose is house: 1 (") or lines[1].startswith("1. if purpose is not house: 0 (")


def test_a_local_list_describes_each_row(tissue: Callable[..., Case]) -> None:
    background = load_breast_cancer().data[100:160, :10]
    result = explain.surrogate_rules(tissue(), background=background, local=True, draws=300)
    assert sum(line.startswith("around row") for line in result.description) == 4
    assert ((result.extra["fidelity"] > 0.2) & (result.extra["fidelity"] < 1)).all()


@pytest.mark.parametrize("options", [{"rules": 0}, {"length": 0}, {"rules": 7, "length": 2}, {"least": 0.5}])
def test_options_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(InputError, match="at most 12 conditions"):
        explain.surrogate_rules(assay.case(function(listed, fingerprint="listed"), X), background=OTHERS, **options)
