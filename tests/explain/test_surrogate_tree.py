"""A surrogate tree."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import load_breast_cancer
from tests.contract.subjects import loan_pipeline
from tests.oracles import games

import assay
from assay import explain
from assay.basics.errors import InputError
from assay.cases.case import Case
from assay.cases.removals import Marginal
from assay.model.adapters.function import function

GENERATOR = np.random.default_rng(7)
X, OTHERS = GENERATOR.normal(size=(4, 4)), GENERATOR.normal(size=(200, 4))


def steps(x):
    return np.where(x[:, 0] > 0.3, np.where(x[:, 2] > -0.1, 5.0, 1.0), -2.0)


def test_a_tree_is_recovered_without_error() -> None:
    case = assay.case(function(steps, fingerprint="steps"), X, names=["a", "b", "c", "d"])
    result = explain.surrogate_tree(case, background=OTHERS)
    assert_allclose(result.extra["fidelity"], 1.0)
    assert_allclose(result.residual, 0.0, atol=1e-12)
    assert_allclose(result.base, steps(OTHERS).mean())
    assert_allclose(result.values, explain.shapley(case, remove=Marginal(OTHERS)).values, atol=1e-12)
    assert result.notes == ()
    assert len(result.description) == 4
    assert result.description[1].startswith("1. if a ≤ 0.")
    assert "and c > -0." in result.description[3]


def test_values_are_the_fitted_trees_shapley_values_by_brute_force() -> None:
    from sklearn.tree import DecisionTreeRegressor

    def f(x):
        return x[:, 0] * x[:, 1] + np.sin(3 * x[:, 2])

    case = assay.case(function(f, fingerprint="smooth"), X)
    result = explain.surrogate_tree(case, background=OTHERS, depth=5, least=2)
    held_out = np.zeros(200, dtype=bool)
    held_out[case.seed.child("surrogate", "held out").generator().permutation(200)[:60]] = True
    tree = DecisionTreeRegressor(max_depth=5, min_samples_leaf=2, random_state=0).fit(
        OTHERS[~held_out], f(OTHERS[~held_out])
    )

    def v(members: frozenset[int]) -> float:
        mixed = OTHERS.copy()
        mixed[:, list(members)] = X[2, list(members)]
        return float(tree.predict(mixed).mean())

    assert_allclose(result.values[2], games.shapley(v, 4), atol=1e-12)
    assert_allclose(result.residual, f(X) - tree.predict(X), atol=1e-12)
    assert_allclose(result.extra["in_sample"], tree.score(OTHERS[~held_out], f(OTHERS[~held_out])))
    assert_allclose(result.extra["fidelity"], tree.score(OTHERS[held_out], f(OTHERS[held_out])))
    low, high = result.extra["fidelity_interval"][0]
    assert low < result.extra["fidelity"][0] < high


def test_a_model_that_no_small_tree_describes_gets_a_note() -> None:
    case = assay.case(function(lambda x: np.sin(9 * x).sum(axis=1), fingerprint="wild"), X)
    result = explain.surrogate_tree(case, background=OTHERS, depth=2)
    assert result.extra["fidelity"][0] < 0.3
    assert [note.code for note in result.notes] == ["unfaithful"]
    assert "do not read them as the model" in result.notes[0].text


def test_leaves_count_what_was_held_out() -> None:
    case = assay.case(function(steps, fingerprint="steps"), X)
    leaves = explain.surrogate_tree(case, background=OTHERS, held_out=0.4).extra["leaves"]
    assert leaves[:, 2].sum() == 120
    assert leaves[:, 3].sum() == 80
    assert_allclose(leaves[:, 4], leaves[:, 1])
    assert sorted(leaves[:, 1]) == [-2.0, 1.0, 5.0]


@pytest.mark.parametrize(
    ("rows", "share", "count"), [(2, 0.01, 1), (2, 0.99, 1), (10, 0.01, 1), (10, 0.1, 1), (10, 0.3, 3), (10, 0.99, 9)]
)
def test_at_least_one_row_is_held_out_and_one_is_fitted(rows: int, share: float, count: int) -> None:
    case = assay.case(function(steps, fingerprint="steps"), X)
    leaves = explain.surrogate_tree(case, background=OTHERS[:rows], held_out=share, least=1).extra["leaves"]
    assert (leaves[:, 2].sum(), leaves[:, 3].sum()) == (rows - count, count)


@pytest.mark.parametrize("cut", [-0.6, 0.6])
def test_a_lone_leaf_agrees_with_the_decisions_on_its_side_only(cut: float) -> None:
    def rising(x):
        high = np.where(x[:, 0] > cut, 0.9, 0.1)
        return np.stack([1 - high, high], axis=1)

    model = function(rising, gives="probabilities", classes=("no", "yes"), fingerprint=f"rising at {cut}")
    result = explain.surrogate_tree(assay.case(model, X, label=1), background=OTHERS, least=200)
    ((_, value, _, _, mean),) = result.extra["leaves"]
    above = (mean - 0.1) / 0.8  # the share of held-out rows with 0.9
    assert 0.1 < above < 0.9
    assert (value > 0.5) == (cut < 0)
    assert_allclose(result.extra["agreement"], above if value > 0.5 else 1 - above)


def test_each_label_gets_a_tree_and_agreement_is_that_of_decisions() -> None:
    frame, pipeline = loan_pipeline()
    case = assay.case(assay.wrap(pipeline), frame.iloc[:4], label=[1, 0, 1, 1])
    result = explain.surrogate_tree(case, background=frame, depth=3)
    heads = [line for line in result.description if "held-out R²" in line]
    assert len(heads) == 2
    assert set(result.extra["leaves"][:, 0]) == {0.0, 1.0}
    assert ((result.extra["agreement"] > 0.6) & (result.extra["agreement"] <= 1)).all()
    assert any("purpose is" in line for line in result.description)
    assert_allclose(result.output, case.output)


def test_a_local_tree_describes_each_row_better_than_the_global_one() -> None:
    case = assay.case(function(lambda x: x[:, 0] * x[:, 1] * 3 + x[:, 2] ** 2, fingerprint="curved"), X)
    whole = explain.surrogate_tree(case, background=OTHERS[:50], depth=3)
    local = explain.surrogate_tree(case, background=OTHERS[:50], depth=3, local=True)
    assert np.abs(local.residual).mean() < np.abs(whole.residual).mean()
    assert sum(line.startswith("around row") for line in local.description) == 4
    alone = explain.surrogate_tree(case.take([2]), background=OTHERS[:50], depth=3, local=True)
    assert_allclose(alone.values[0], local.values[2])


@pytest.mark.parametrize("width", [0.15, 0.25, 1.0])
def test_rows_near_a_row_weigh_more_by_the_kernel_of_lime(width: float) -> None:
    # the target counts the features kept: k of 4 in C(4, k) of 16 draws, with weight exp(−(1 − √(k/4))²/width²)
    kept = np.arange(5)
    weight = np.array([1, 4, 6, 4, 1]) * np.exp(-(((1 - np.sqrt(kept / 4)) / width) ** 2))
    case = assay.case(function(lambda x: x.sum(axis=1), fingerprint="count"), np.ones((1, 4)))
    options = {"background": np.zeros((2, 4)), "local": True, "draws": 6000, "least": 6000, "width": width}
    ((_, value, _, _, mean),) = explain.surrogate_tree(case, **options).extra["leaves"]  # one leaf: the weighted mean
    assert_allclose([value, mean], [np.average(kept, weights=weight)] * 2, atol=0.08)


@pytest.mark.parametrize("local", [False, True])
def test_its_evaluations_are_the_planned_cost(local: bool) -> None:
    from assay.engine.cost import cost_of

    case = assay.case(function(steps, fingerprint="steps"), X)
    meter, _ = case.model.meter, case.output
    requested = meter.requested
    result = explain.surrogate_tree(case, background=OTHERS, local=local, draws=50)
    cost = cost_of(explain.surrogate_tree.method, case, result.provenance.options)
    assert meter.requested - requested == cost.forwards == 200


@pytest.mark.parametrize("options", [{"held_out": 1.0}, {"depth": 0}, {"draws": 2}, {"width": 0.0}])
def test_options_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(InputError):
        explain.surrogate_tree(assay.case(function(steps, fingerprint="steps"), X), background=OTHERS, **options)


def test_a_background_of_one_row_is_refused() -> None:
    with pytest.raises(InputError, match="at least one row to fit"):
        explain.surrogate_tree(assay.case(function(steps, fingerprint="steps"), X), background=OTHERS[:1])


def test_on_a_forest_it_agrees_on_nearly_every_decision(tissue: Callable[..., Case]) -> None:
    background = load_breast_cancer().data[100:, :10]
    result = explain.surrogate_tree(tissue(), background=background)
    assert result.extra["fidelity"].min() > 0.75
    assert result.extra["agreement"].min() > 0.9
