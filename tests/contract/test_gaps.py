"""Every method on a table with gaps: missing is a value of its own, or the method says that it needs complete rows.

The oracle is a table without gaps that says the same: a number and a text of their own stand for missing, and the model
puts the gaps back. Whatever removes features by those of other rows must give the very same numbers for both.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from tests.contract.subjects import GIVEN, load_catalogue, methods

import assay
from assay import explain, repair
from assay.basics.errors import CapabilityError, InputError
from assay.basics.seed import Seed
from assay.engine.audit_inputs import AuditInputs, call_on_inputs
from assay.engine.capabilities import NEEDS
from assay.engine.search.ball import Ball
from assay.nouns.catalogue import Method, find
from assay.nouns.inputs.recipe import Recipe
from assay.nouns.results.result import AttackResult

load_catalogue()

NUMBER, TEXT = -1000.0, "gone"
"""What stands for missing in the table without gaps."""


@cache
def table() -> tuple[pd.DataFrame, np.ndarray]:
    """Numbers, categories and flags with gaps, and two classes."""
    generator = np.random.default_rng(11)
    n = 160
    age, job = generator.normal(40.0, 12.0, n), generator.choice(["clerk", "cook", "nurse"], n)
    flag, sum_ = generator.random(n) > 0.5, generator.normal(3.0, 1.0, n)
    y = ((age > 40.0) ^ (job == "cook")) | (sum_ > 4.5)
    frame = pd.DataFrame({"age": age, "job": job, "flag": flag.astype(float), "sum": sum_})
    for place, name in enumerate(("age", "job", "flag")):
        frame.loc[generator.random(n) < 0.2 + 0.05 * place, name] = np.nan
    return frame.astype({"job": "category"}), y.astype(int)


def filled(frame: pd.DataFrame) -> pd.DataFrame:
    """The same without gaps."""
    job = frame["job"].astype(object).where(frame["job"].notna(), TEXT)
    return frame.assign(age=frame["age"].fillna(NUMBER), flag=frame["flag"].fillna(NUMBER), job=job)


def with_gaps(frame: pd.DataFrame) -> pd.DataFrame:
    """The gaps put back."""
    job = pd.Categorical(frame["job"].where(frame["job"] != TEXT), categories=["clerk", "cook", "nurse"])
    return frame.assign(
        age=frame["age"].mask(frame["age"] == NUMBER), flag=frame["flag"].mask(frame["flag"] == NUMBER), job=job
    )


@cache
def fitted(kind: str) -> Any:
    """Boosted trees that route gaps."""
    x, y = table()
    trees = HistGradientBoostingClassifier if kind == "classes" else HistGradientBoostingRegressor
    return trees(max_iter=12, categorical_features="from_dtype", random_state=0).fit(x[60:], y[60:])


def rows(view: Callable[[pd.DataFrame], pd.DataFrame], start: int, stop: int) -> pd.DataFrame:
    return view(table()[0].iloc[start:stop])


def same(frame: pd.DataFrame) -> pd.DataFrame:
    return frame


VIEWS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {"gaps": same, "filled": filled}


def case(view: str, kind: str = "classes") -> assay.Case:
    """Four rows with gaps, or the same rows filled."""
    estimator = fitted(kind)
    if view == "filled":
        estimator = Pipeline([("gaps", FunctionTransformer(with_gaps)), ("trees", estimator)])
    x = rows(VIEWS[view], 0, 4)
    options = {"label": 1, "target": "margin"} if kind == "classes" else {}
    return assay.case(assay.wrap(estimator), x, ids=list("0123"), **options)


def options(method: Method, one: assay.Case, view: str) -> dict[str, Any]:
    """Options of a method: other rows come from the table."""
    others = {
        "remove": lambda: assay.Marginal(rows(VIEWS[view], 60, 66)),
        "background": lambda: rows(VIEWS[view], 60, 66),
        "comparison": lambda: rows(VIEWS[view], 60, 70),
        "reference": lambda: rows(VIEWS[view], 60, 100),
        "recipe": lambda: recipe(one, view),
    }
    bare = {name for name, option in method.options.items() if option.default is option.empty}
    return {
        name: others[name]() if name in others else GIVEN[name](one)
        for name in method.options
        if name in bare or name in others
    }


def recipe(one: assay.Case, view: str) -> Recipe:
    x, y = table()

    def fit(x: Any, y: Any, seed: Seed, strength: float) -> Any:
        trees = type(fitted("classes" if one.model.kind.is_classifier else "values"))
        estimator = trees(max_iter=3, categorical_features="from_dtype", random_state=0)
        steps = [("gaps", FunctionTransformer(with_gaps))] if view == "filled" else []
        labels = np.asarray(y).astype(int if one.model.kind.is_classifier else float)
        return assay.wrap(Pipeline([*steps, ("trees", estimator)]).fit(x, labels))

    return Recipe(fit, VIEWS[view](x[60:]), y[60:])


KINDS = ("classes", "values")

NOT_COMPARED = {
    "familiarity": "a distance, which the number that stands for missing changes",
    "roar": "fills by means, which the number that stands for missing changes",
    "kar": "fills by means, which the number that stands for missing changes",
    "tree_shapley": "trees behind a step that fills gaps cannot be read",
    "tree_interactions": "trees behind a step that fills gaps cannot be read",
    "tree_robustness": "trees behind a step that fills gaps cannot be read",
    "sufficient_features": "trees behind a step that fills gaps cannot be read",
    "adversarial": "trees behind a step that fills gaps cannot be read",
    "counterfactual": "trees behind a step that fills gaps cannot be read",
    "background": "cells move by shares of a standard deviation, which the number that stands for missing changes",
    "column_changes": "the range of a filled column includes the number that fills it",
    "sage": "explains the loss, which has a test of its own",
}
"""Methods whose values on the filled table are others, or none."""

OF_NUMBERS = {"curve", "grid", "lines", "stderr", "pair_curve"}
"""Further results that are laid out by the numbers of a column."""


def is_offered(method: Method, one: assay.Case) -> bool:
    return all(NEEDS[need][0](one) for need in method.needs & set(NEEDS))


def call(method: Method, view: str, kind: str) -> Any:
    """The result of a method for four rows."""
    one = case(view, kind)
    given = options(method, one, view)
    if method.verb == "explain":
        return method.call(one, **given)
    values = explain.shapley(one, remove=assay.Marginal(rows(VIEWS[view], 60, 66)))
    if method.verb in ("attack", "certify"):
        about = {"explanation": values, "parts": values.top(0.5), "case": one, "ball": Ball("linf", 0.1)}
        return method.call(*(about[name] for name in method.arguments), **given)
    return method.call(values, one, **given)


def numbers(result: Any) -> dict[str, np.ndarray]:
    """All numbers of a result."""
    if isinstance(result, AttackResult):
        return {"after": result.after, "distance": result.distance}
    found = dict(result.bounds) if hasattr(result, "bounds") else {"values": result.values}
    stderr = getattr(result, "stderr", None)
    more = {name: array for name, array in result.extra.items() if name not in OF_NUMBERS}
    return {**found, **more, **({} if stderr is None else {"errors": stderr})}


EVERY = [
    pytest.param(
        method,
        kind,
        id=f"{verb}-{method.name}-{kind}",
        marks=() if place % len(KINDS) == turn else (pytest.mark.judge,),  # each method on one kind, in turn
    )
    for verb in ("explain", "evaluate", "certify", "attack")
    for place, method in enumerate(one for one in methods(verb) if "train" not in one.needs)
    for turn, kind in enumerate(KINDS)
]


@pytest.mark.parametrize(("method", "kind"), EVERY)
def test_a_gap_counts_like_a_level_of_its_own_in_every_method(method: Method, kind: str) -> None:
    if not is_offered(method, case("gaps", kind)):
        with pytest.raises(CapabilityError, match="needs"):
            call(method, "gaps", kind)
        return
    if method.name == "sage":
        with pytest.raises(CapabilityError, match="needs target 'loss'"):
            call(method, "gaps", kind)
        return
    found = numbers(call(method, "gaps", kind))
    assert np.isfinite(found["values" if "values" in found else next(iter(found))]).any()
    if method.name in NOT_COMPARED:
        return
    right = numbers(call(method, "filled", kind))
    assert found.keys() == right.keys()
    for name, value in found.items():
        np.testing.assert_allclose(value, right[name], atol=1e-9, equal_nan=True, err_msg=name)


@pytest.mark.parametrize("kind", KINDS)
def test_influence_of_training_rows_with_gaps_is_that_of_filled_ones(kind: str) -> None:
    found = []
    for view in VIEWS:
        one = case(view, kind)
        train = recipe(one, view)
        groups = [str(place % 2) for place in range(len(train.y))]
        given = {"train": (train.x, train.y), "recipe": train, "method": "refit", "groups": groups}
        found.append(explain.training_influence(one, **given).values)
    assert np.abs(found[0]).max() > 0
    np.testing.assert_allclose(found[0], found[1], atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_tree_values_of_rows_with_gaps_are_the_exact_shapley_values(kind: str) -> None:
    one, background = case("gaps", kind), rows(same, 60, 72)
    found = explain.tree_shapley(one, background=background)
    exact = explain.shapley(one, remove=assay.Marginal(background))
    np.testing.assert_allclose(found.values, exact.values, atol=1e-9)
    np.testing.assert_allclose(explain.tree_shapley(one).residual, 0.0, atol=1e-9)
    pairs = explain.tree_interactions(one, background=background)
    np.testing.assert_allclose(pairs.values.sum(axis=1), exact.values.sum(axis=1), atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_of_rows_with_gaps_is_explained_like_any_other(kind: str) -> None:
    found = []
    for view in VIEWS:
        one = case(view, kind).with_target("loss", table()[1][:4].tolist())
        found.append(explain.sage(one, background=rows(VIEWS[view], 60, 66)).values)
    np.testing.assert_allclose(found[0], found[1], atol=1e-9)


@pytest.mark.parametrize("name", ["surrogate_tree", "surrogate_rules"])
def test_rules_say_where_they_take_missing_values(name: str) -> None:
    """A model that asks for gaps alone: its rules name them."""
    x = np.random.default_rng(3).normal(size=(200, 2))
    x[::3, 0] = np.nan

    def gap(given: Any) -> Any:
        return np.where(np.isnan(given[:, 0]), 1.0, -1.0)

    one = assay.case(assay.wrap(gap, output="values"), x[:3], names=["age", "sum"])
    found = find("explain", name).call(one, background=x)
    np.testing.assert_allclose(found.residual, 0.0, atol=1e-12)
    assert "age is missing" in " ".join(found.description)
    assert "e+38" not in " ".join(found.description)

    def low(given: Any) -> Any:
        return np.where(given[:, 0] > 0.2, -1.0, 1.0)  # a gap is not above

    found = find("explain", name).call(
        assay.case(assay.wrap(low, output="values"), x[:3], names=["age", "sum"]), background=x
    )
    assert "or missing)" in " ".join(found.description) or "age >" in " ".join(found.description)


def test_a_curve_has_a_point_for_missing() -> None:
    background = rows(same, 60, 120)
    found = explain.partial_dependence(case("gaps"), background=background, points=5)
    age = found.features.names.index("age")
    last = int(np.isfinite(found.extra["curve"][0, age]).sum()) - 1
    assert np.isnan(found.extra["grid"][age, last])
    assert f"age: point {last} is missing" in found.description
    without = background.assign(age=np.nan)
    right = fitted("classes").decision_function(without).mean()
    np.testing.assert_allclose(found.extra["curve"][0, age, last], right, atol=1e-9)


def test_an_order_of_numbers_has_no_place_for_missing() -> None:
    x = np.where(np.random.default_rng(0).random((40, 2)) < 0.2, np.nan, 1.0)
    one = assay.case(assay.wrap(lambda given: np.isnan(given).sum(axis=1).astype(float), output="values"), x[:3])
    with pytest.raises(InputError, match="missing has no place in an order"):
        explain.ale(one, background=x)


def inputs(view: str, kind: str) -> AuditInputs:
    """Everything that is known about the model, rows with gaps or filled."""
    x, y = VIEWS[view](table()[0]), table()[1] if kind == "classes" else table()[1] * 1.5
    explained = case(view, kind)
    return AuditInputs(
        model=explained.model,
        x=x[:60],
        labels=y[:60],
        train=(x[60:], y[60:]),
        background=x[60:80],
        groups={"half": ["a" if place % 2 else "b" for place in range(60)]},
        favourable="1" if kind == "classes" else "",
        suspects=("job", "age"),
        recipe=recipe(explained, view),
        explained=explained,
        ids=range(60),
    )


@pytest.mark.parametrize(
    ("name", "kind"),
    [("data", "classes"), ("data", "values"), ("membership", "classes"), ("membership", "values"), ("disparity",
    "classes"), ("shortcut", "classes"), ("performance", "classes"), ("performance", "values"), ("drift", "classes"),
    ("drift", "values")],
)  # fmt: skip
def test_a_diagnosis_finds_the_same_in_rows_with_gaps_and_in_filled_ones(name: str, kind: str) -> None:
    found, right = (call_on_inputs(find("diagnose", name), inputs(view, kind)) for view in VIEWS)
    assert [(one.code, one.verdict) for one in found] == [(one.code, one.verdict) for one in right]
    for one, other in zip(found, right):
        loose = 0.05 if one.code == "DAT103" else 1e-9  # a forest cuts halfway to the number that stands for missing
        np.testing.assert_allclose(one.estimate, other.estimate, atol=loose, err_msg=one.code)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("without", [("age",), ("job",), ("age", "job", "flag")])
def test_a_refit_without_columns_that_have_gaps_ignores_them(without: tuple[str, ...], kind: str) -> None:
    known = inputs("gaps", kind)
    assert known.recipe is not None
    x = known.x.astype({"flag": "Int64"}) if kind == "values" else known.x  # a type that has a marker of its own
    repaired = repair.refit(known.case, recipe=known.recipe, held_out=(x, known.labels), without=without).model
    one = assay.case(repaired, x[:20], label=1 if kind == "classes" else "default")
    moved = x[:20].assign(**{name: x[name].iloc[20:40].to_numpy() for name in without})
    other = assay.case(repaired, moved, label=1 if kind == "classes" else "default")
    np.testing.assert_array_equal(one.output, other.output)


@cache
def boosted_numbers() -> tuple[np.ndarray, Any]:
    """A matrix with gaps, one row of which is all gaps, and trees that route them."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(120, 4))
    y = (x[:, 0] + x[:, 1] > 0).astype(int)
    x[generator.random(x.shape) < 0.2] = np.nan
    x[1] = np.nan
    return x, HistGradientBoostingClassifier(max_iter=6, random_state=0).fit(x[40:], y[40:])


OF_A_MATRIX = [
    method for verb in ("explain", "evaluate") for method in methods(verb) if method.needs & {"numbers", "table"}
]


@pytest.mark.parametrize("method", OF_A_MATRIX, ids=lambda method: method.name)
def test_methods_of_numbers_answer_a_matrix_with_gaps_or_say_what_they_need(method: Method) -> None:
    x, estimator = boosted_numbers()
    one = assay.case(assay.wrap(estimator), x[:4], label=1)
    others = {"background": x[60:66], "reference": x[60:100], "remove": assay.Marginal(x[60:66])}
    given = {name: others[name] if name in others else GIVEN[name](one)
             for name, option in method.options.items() if option.default is option.empty}  # fmt: skip
    before = () if method.verb == "explain" else (explain.shapley(one, remove=others["remove"]),)
    if not is_offered(method, one) or method.name == "ale":
        with pytest.raises((CapabilityError, InputError)):
            method.call(*before, one, **given)
        return
    found = method.call(*before, one, **given)
    undefined = np.isnan(np.asarray(found.values).reshape(4, -1)).any(axis=1)
    if method.name == "adversarial":  # the class depends on a missing cell, which stays
        assert undefined.tolist() == [False, True, True, True]
        return
    if method.name == "counterfactual":  # a missing cell stays, so that none may be reached
        assert undefined.tolist() == np.isin(found.extra["status"], (2, 3)).tolist()
        return
    assert not undefined[[0, 2, 3]].any()
    assert undefined[1] == any("undefined" in note.text and "1" in note.rows for note in found.notes)
