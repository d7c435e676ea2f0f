"""Poisoned backgrounds: curves are those of the explanations, moves keep their limits, the product's slope turns."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import assay
from assay import attack, diagnose, explain
from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.cases.case import Case
from assay.engine.audit_inputs import AuditInputs, call_on_inputs
from assay.engine.cost import cost_of
from assay.engine.poisoning.background_tests import level_p_value
from assay.engine.poisoning.explained_curves import explained_curve
from assay.nouns.catalogue import find

NAMES = ["a", "b", "whole"]


class Product(torch.nn.Module):
    """a · b + whole / 4 · a: the slope of `a` is the mean of the others."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = torch.nn.Parameter(torch.ones(1, dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.factor * x[:, :1] * (x[:, 1:2] + x[:, 2:] / 4)


def rows(seed: int, count: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    others = generator.normal(0.4, 1.0, count), generator.integers(-1, 4, count)
    return np.column_stack([generator.normal(size=count), *others]).astype(np.float64)


@cache
def case(count: int = 12, seed: int = 0) -> Case:
    x = torch.as_tensor(rows(seed, count))
    return assay.case(assay.wrap(Product(), output="values"), x, names=NAMES, seed=seed)


@pytest.mark.parametrize("kind", ["partial_dependence", "ale"])
def test_a_curve_is_that_of_the_explanation(kind: Any) -> None:
    background = rows(3, 40)
    curve = explained_curve(kind, case(), background, 0, 6, Seed(0))
    options = {"points": 6} if kind == "partial_dependence" else {"bins": 5}
    known = getattr(explain, kind)(case(), background=background, **options).extra
    right = known["curve"][0, 0]
    np.testing.assert_allclose(curve.grid, known["grid"][0])
    np.testing.assert_allclose(curve.values(case(), background), right - right.mean(), atol=1e-9)


def test_shapley_values_of_a_product_and_a_sum_are_exact_with_both_orders() -> None:
    """Of two players an order and its reverse are all orders."""
    one = assay.case(assay.wrap(lambda x: x[:, 0] * x[:, 1], output="values"), rows(0, 5)[:, :2], names=NAMES[:2])
    background = rows(3, 20)[:, :2]
    curve = explained_curve("shapley", one, background, 0, 2, Seed(0))
    right = explain.shapley(one, remove=assay.Marginal(background)).values[:, 0]
    np.testing.assert_allclose(curve.values(one, background), right, atol=1e-9)


@pytest.mark.parametrize("kind", ["partial_dependence", "ale", "shapley"])
def test_the_slope_is_that_of_finite_differences_and_the_parts_add_up(kind: Any) -> None:
    background, slopes = rows(3, 9), np.random.default_rng(0).normal(size=30)
    curve = explained_curve(kind, case(), background, 0, 4, Seed(0))
    weights = slopes[: len(curve.weights)]
    found = curve.slope(case(), background, weights)
    for place in ((0, 1), (4, 2), (8, 1)):
        sides = []
        for step in (1e-5, -1e-5):
            moved = background.copy()
            moved[place] += step
            sides.append(weights @ curve.values(case(), moved))
        np.testing.assert_allclose(found[place], (sides[0] - sides[1]) / 2e-5, atol=1e-7)
    parts = curve.parts(curve.outputs(case(), background), len(background))
    np.testing.assert_allclose(parts.sum(axis=0), curve.values(case(), background))


@pytest.mark.parametrize("search", ["gradient", "genetic", "auto"])
def test_a_background_turns_the_slope_of_a_product_within_its_limits(search: Any) -> None:
    background = rows(3, 60)
    found = attack.background(case(), background=background, column="a", cap=2.0, steps=30, search=search)
    moved = found.extra["background"]
    slope = [(one[:, 1] + one[:, 2] / 4).mean() for one in (background, moved)]
    assert slope[1] < 0.2 * slope[0]
    assert found.validity["share left"] == pytest.approx(
        slope[1] / slope[0], abs=1e-6
    )  # the curve is the line a · slope
    assert abs(found.validity["share left after random moves"] - 1) < 0.5
    assert (moved[:, 0] == background[:, 0]).all()
    assert (moved[:, 2] == np.round(moved[:, 2])).all()
    assert (np.abs(moved - background) <= 2.0 * background.std(axis=0) + 1e-9).all()
    assert (moved.min(axis=0) >= background.min(axis=0)).all()
    assert (moved.max(axis=0) <= background.max(axis=0)).all()


def test_levels_change_only_where_they_are_named_and_gaps_stay() -> None:
    generator = np.random.default_rng(1)
    frame = pd.DataFrame({"a": generator.normal(size=50), "b": generator.normal(size=50), "kind": ["x", "y"] * 25})
    frame.loc[:4, "b"] = np.nan

    def product(x: pd.DataFrame) -> np.ndarray:
        return np.asarray(x["a"] * (x["b"].fillna(0) + (x["kind"] == "x")), dtype=float)

    one = assay.case(assay.wrap(product, output="values"), frame[:5])
    still = attack.background(one, background=frame[5:], column="a", steps=4)
    assert (still.inputs["kind"].to_numpy() == frame["kind"][5:].to_numpy()).all()
    moved = attack.background(one, background=frame, column="a", columns=("kind", "b"), steps=20)
    assert set(moved.inputs["kind"]) <= {"x", "y"}
    assert (moved.inputs["kind"].to_numpy() != frame["kind"].to_numpy()).any()
    assert moved.inputs["b"].isna().to_numpy().tolist() == frame["b"].isna().tolist()
    assert moved.validity["share left"] < still.validity["share left"]


def test_the_cost_is_at_most_what_is_declared_and_bytes_repeat() -> None:
    for kind in ("partial_dependence", "ale", "shapley"):
        options = {"background": rows(3, 20), "column": "a", "by": kind, "steps": 3, "points": 4}
        one, method = case(4), find("attack", "background")
        meter, _ = one.model.meter, (one.output, one.prediction)
        before = meter.requested, meter.backwards
        found = method.call(one, **options)
        cost = cost_of(method, one, options)
        assert 0.7 * cost.forwards <= meter.requested - before[0] <= cost.forwards
        assert meter.backwards - before[1] <= cost.backwards
        assert method.call(one, **options).after.tobytes() == found.after.tobytes()


@pytest.mark.parametrize(
    ("changed", "message"),
    [({"column": "z"}, "there are"), ({"columns": ("a",)}, "does not move"), ({"cap": 0.0}, "cap"),
     ({"toward": "up"}, "reverse"), ({"toward": [1.0]}, "shape")],
)  # fmt: skip
def test_wrong_options_of_a_background_are_named(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        attack.background(case(), **{"background": rows(3, 20), "column": "a", **changed})


def findings(seed: int, cap: float) -> dict[str, Any]:
    """The checks of a background of 150 rows with 150 fresh rows."""
    background = rows(10 + seed, 150)
    if cap:
        background = attack.background(case(), background=background, column="a", cap=cap, steps=20).extra["background"]
    return {
        one.code: one for one in diagnose.background(case(150, seed), background, rows(10 + seed, 150), splits=1999)
    }


def test_a_poisoned_background_fails_and_a_fresh_one_does_not() -> None:
    clean, poisoned = findings(0, 0.0), findings(0, 1.0)
    assert [one.verdict for one in clean.values()].count("fail") == 0
    assert poisoned["DAT404"].verdict == "fail"
    assert poisoned["DAT404"].evidence["column"] == "a"
    assert poisoned["DAT403"].estimate > 0.65
    assert clean["DAT402"].evidence["background rows in the training rows"] == 150
    assert poisoned["DAT402"].evidence["background rows in the training rows"] < 30
    fresh = np.array(poisoned["DAT404"].evidence["curve on fresh rows"])
    assert np.corrcoef(fresh, clean["DAT404"].evidence["curve on fresh rows"])[0, 1] > 0.9


@pytest.mark.judge
def test_fresh_backgrounds_fail_in_at_most_three_of_60() -> None:
    failed = [any(one.verdict == "fail" for one in findings(seed, 0.0).values()) for seed in range(60)]
    assert sum(failed) <= 3


def test_levels_are_tested_by_pearson_and_rare_ones_are_counted_as_one() -> None:
    one, other = np.repeat([0, 1], [60, 40]), np.repeat([0, 1], [40, 60])
    assert level_p_value(one, other) == pytest.approx(0.00467773, abs=1e-8)  # χ² = 8 with one degree of freedom
    assert level_p_value(np.arange(8.0), np.arange(8.0, 16.0)) == 1.0


def test_the_cost_of_the_diagnosis_is_at_most_what_is_declared() -> None:
    one = case(40)
    inputs = AuditInputs(one.model, one.rows.x, background=rows(3, 30), options={"background": {"splits": 99}})
    meter, method = one.model.meter, find("diagnose", "background")
    before = meter.requested
    call_on_inputs(method, inputs)
    assert method.audit_cost is not None
    assert 0.7 * method.audit_cost(inputs).forwards <= meter.requested - before <= method.audit_cost(inputs).forwards
