"""Models of every kind against their own library: values, probabilities, decisions and exact Shapley values."""

from __future__ import annotations

import functools
import itertools
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMClassifier
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from tests.model import (
    kinds_of_catboost,
    kinds_of_classifiers,
    kinds_of_lightgbm,
    kinds_of_nets,
    kinds_of_regressors,
    kinds_of_xgboost,
)
from tests.model.kinds_of_models import THREE, TWO, Kind, Own, Read, X
from tests.oracles.games import shapley

import assay
from assay import Marginal, explain
from assay.basics.errors import CapabilityError, InputError

EXPLAINED, BACKGROUND = 2, 10
ESTIMATORS: dict[str, Kind] = {
    name: kind
    for table in (kinds_of_classifiers, kinds_of_regressors, kinds_of_xgboost, kinds_of_lightgbm, kinds_of_catboost)
    for name, kind in table.KINDS.items()
}
ALL = ESTIMATORS | kinds_of_nets.KINDS
quiet = pytest.mark.filterwarnings("ignore")


def parts_of(x: Any) -> list[Any]:
    """The inputs of a net of several."""
    return list(x) if isinstance(x, tuple) else list(x.values()) if isinstance(x, dict) else []


def like(x: Any, parts: list[Any]) -> Any:
    """Inputs in the form of others."""
    return tuple(parts) if isinstance(x, tuple) else dict(zip(x, parts))


def columns_of(x: Any) -> int:
    """The number of columns of rows."""
    return sum(map(columns_of, parts)) if (parts := parts_of(x)) else int(np.prod(x.shape[1:]))


def take(x: Any, which: Any) -> Any:
    """Some of the rows."""
    if parts := parts_of(x):
        return like(x, [take(part, which) for part in parts])
    return x.iloc[which] if hasattr(x, "iloc") else x[which]


def mixed(x: Any, which: np.ndarray) -> Any:
    """Rows whose cell in column j is that of the row ``which[:, j]``."""
    if isinstance(x, pd.DataFrame):
        return pd.DataFrame({name: x[name].take(rows).reset_index(drop=True) for name, rows in zip(x.columns, which.T)})
    if parts := parts_of(x):
        ends = np.cumsum([columns_of(part) for part in parts])[:-1]
        return like(x, [mixed(part, rows) for part, rows in zip(parts, np.split(which, ends, axis=1))])
    flat = x.reshape(len(x), -1)
    return flat[which, np.arange(flat.shape[1])].reshape(len(which), *x.shape[1:])


def enumerated(read: Read, x: Any, label: int) -> np.ndarray:
    """Shapley values (row, column) of the mean prediction over the background, by enumeration of the library's own."""
    count = columns_of(x)
    masks = list(itertools.product((False, True), repeat=count))
    rows, behind = range(EXPLAINED), EXPLAINED + np.arange(BACKGROUND)
    which = [np.where(mask, row, other) for row in rows for mask in masks for other in behind]
    out = np.asarray(read(mixed(x, np.array(which))), dtype=np.float64)[:, label]
    table = out.reshape(EXPLAINED, len(masks), BACKGROUND).mean(axis=2)
    place = {frozenset(np.flatnonzero(mask).tolist()): i for i, mask in enumerate(masks)}
    return np.stack([shapley(lambda s, row=row: float(table[row, place[s]]), count) for row in rows])


@functools.cache
def prepared(name: str) -> tuple[Kind, Own]:
    """A kind with its predictions."""
    kind = ALL[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return kind, kind.own(kind.model)


def wrapped(kind: Kind, output: str | None = None, **options: Any) -> Any:
    """The model, with the output that ``wrap`` chooses, or one that is asked for."""
    return assay.wrap(kind.model, **({"output": output} if output else {}), **kind.options, **options)


def outputs_of(kinds: dict[str, Kind]) -> list[tuple[str, str | None]]:
    """Each kind with the output that ``wrap`` chooses, and with each further one."""
    return [(name, output) for name, kind in kinds.items() for output in (None, *kind.also)]


def link_between(value: Any, raw: Any, tolerance: float) -> str:
    """The link by which values became raw scores, up to a factor; the identity too where it is none of both."""
    value, raw = (np.asarray(numbers, dtype=np.float64) for numbers in (value, raw))
    with np.errstate(all="ignore"):
        for link, scores in {"log": np.log(value), "logit": np.log(value) - np.log1p(-value)}.items():
            factor = (scores * raw).sum() / (scores * scores).sum()
            if np.allclose(factor * scores, raw, rtol=10 * tolerance, atol=10 * tolerance):
                return link
    return "identity"


def targets(own: Own, kind: Kind, model: Any) -> dict[str, Read | None]:
    """The targets that these outputs have, and the library's own function for each."""
    if own.value is not None and own.margin is not None:
        link = link_between(own.value(kind.x), own.margin(kind.x), kind.tolerance)
        assert model.kind.link == link
        return {"value": own.value} | ({"margin": own.margin} if link != "identity" else {})
    if own.value is not None:
        return {"value": own.value}
    gives = assay.case(model, kind.x, target="probability", label=None).model.gives
    score = {"logits": "logit", "margin": "margin"}.get(gives)
    return {"probability": own.probability, "decision": own.decision} | ({score: own.margin} if score else {})


def refusal_of(kind: Kind, output: str | None, target: str, model: Any) -> str | None:
    """A part of the refusal of a target without a right answer; a margin shows decisions, but not all probabilities."""
    if output == "margin":
        return "no probabilities" if target == "probability" and model.kind.link == "none" else None
    return kind.refused.get(target)


@quiet
@pytest.mark.parametrize(("name", "output"), outputs_of(ALL), ids=str)
def test_values_probabilities_and_decisions_are_the_librarys_own(name: str, output: str | None) -> None:
    kind, own = prepared(name)
    model = wrapped(kind, output)
    for target, read in targets(own, kind, model).items():
        if refusal := refusal_of(kind, output, target, model):
            with pytest.raises(CapabilityError, match=refusal):
                assay.case(model, kind.x, target=target, label=None).value(assay.case(model, kind.x, label=None).rows.x)
            continue
        assert read is not None, f"{target} has no oracle; its refusal is to be named"
        expected = np.asarray(read(kind.x), dtype=np.float64)
        for place, label in enumerate(own.names or range(expected.shape[1])):
            found = assay.case(model, kind.x, target=target, label=label).output
            assert_allclose(found, expected[:, place], rtol=kind.tolerance, atol=kind.tolerance, err_msg=target)
        if target == "decision" and (expected.sum(axis=1) == 1).all() and model.kind.exclusive:
            case = assay.case(model, kind.x, target="probability", label="predicted")
            assert_array_equal(case.label, expected.argmax(axis=1))


def games(name: str) -> Iterator[tuple[Any, str, int, np.ndarray]]:
    """A model for each output, a target, the position of the last class, and its Shapley values by enumeration."""
    kind, own = prepared(name)
    for output in (None, *kind.also):
        model = wrapped(kind, output)
        for target, read in targets(own, kind, model).items():
            if target != "decision" and refusal_of(kind, output, target, model) is None:
                assert read is not None
                label = np.shape(read(take(kind.x, slice(2))))[1] - 1
                yield model, target, label, enumerated(read, kind.x, label)


@quiet
def fifth(names: Any) -> list[Any]:
    """Every fifth of the names in ``make test``, the others in ``make judge``."""
    return [
        pytest.param(*one, marks=() if place % 5 == 0 else (pytest.mark.judge,))
        for place, one in enumerate(one if isinstance(one, tuple) else (one,) for one in names)
    ]


@pytest.mark.parametrize("name", fifth(ALL))
def test_shapley_values_are_those_of_enumerated_predictions(name: str) -> None:
    kind, own = prepared(name)
    x, background = take(kind.x, slice(EXPLAINED)), take(kind.x, slice(EXPLAINED, EXPLAINED + BACKGROUND))
    close = functools.partial(assert_allclose, rtol=kind.tolerance, atol=kind.tolerance)
    for model, target, label, expected in games(name):
        case = assay.case(model, x, target=target, label=own.names[label] if own.names else label)
        close(explain.shapley(case, remove=Marginal(background)).values, expected, err_msg=target)
        if kind.trees:
            close(explain.tree_shapley(case, background=background).values, expected, err_msg=f"trees: {target}")
        elif model.forest is None or not is_readable(model):
            with pytest.raises(CapabilityError):
                explain.tree_shapley(case, background=background)


def is_readable(model: Any) -> bool:
    """Whether the trees of a model can be read."""
    try:
        model.forest()
    except CapabilityError:
        return False
    return True


@quiet
@pytest.mark.parametrize("name", fifth(name for name in ESTIMATORS if "booster: " not in name))
@pytest.mark.parametrize("around", ["pipeline", "search"])
def test_a_pipeline_and_a_search_predict_as_what_they_hold(name: str, around: str) -> None:
    kind, own = prepared(name)
    if around == "pipeline":
        outer: Any = Pipeline([("nothing", FunctionTransformer()), ("last", kind.model)])
    else:
        outer = GridSearchCV(kind.model, {})
        outer.best_estimator_, outer.refit, outer.multimetric_ = kind.model, True, False
    alone, inside = wrapped(kind), assay.wrap(outer, **kind.options)
    assert (inside.kind.key, inside.classes, inside.output_names) == (alone.kind.key, alone.classes, alone.output_names)
    assert inside.default_target == alone.default_target
    for target in targets(own, kind, alone):
        if refusal_of(kind, None, target, alone) is None:
            expected, found = (assay.case(model, kind.x, target=target).output for model in (alone, inside))
            assert_array_equal(found, expected)


def between(probabilities: np.ndarray) -> float:
    """A threshold between two of the probabilities, or above them if they are equal."""
    values = np.unique(np.round(probabilities, 5))
    middle = len(values) // 3
    return float(values[middle : middle + 2].mean()) if len(values) > 1 else float(values[0] / 2)


@quiet
@pytest.mark.parametrize(("name", "output"), fifth(outputs_of(ALL)), ids=str)
def test_a_threshold_of_the_probability_decides_for_the_last_class_or_a_label(name: str, output: str | None) -> None:
    kind, own = prepared(name)
    if own.value is not None:
        with pytest.raises(InputError, match="needs a classifier"):
            assay.case(wrapped(kind, output, threshold=0.3), kind.x, target="value")
        return
    settled = assay.case(wrapped(kind, output), kind.x, target="probability", label=None).model
    if "probability" in kind.refused or refusal_of(kind, output, "probability", settled):
        with pytest.raises(InputError, match="no probabilities"):
            wrapped(kind, output, threshold=0.3)
        return
    assert own.probability is not None
    likely = np.asarray(own.probability(kind.x), dtype=np.float64)
    if settled.kind.exclusive and likely.shape[1] > 2:
        with pytest.raises(InputError, match="this model has 3 classes"):
            assay.case(wrapped(kind, output, threshold=0.3), kind.x, target="decision")
        return
    threshold, last = between(likely[:, -1]), own.names[-1] if own.names else likely.shape[1] - 1
    model = wrapped(kind, output, threshold=threshold)
    case = assay.case(model, kind.x, target="decision", label=last)
    assert_array_equal(case.output, likely[:, -1] >= threshold)
    assert case.model.fingerprint != settled.fingerprint


@pytest.mark.parametrize("name", kinds_of_nets.AMBIGUOUS)
def test_outputs_with_several_readings_are_asked_for(name: str) -> None:
    net = kinds_of_nets.AMBIGUOUS[name]()
    for target in [None] if name == "one linear column" else [None, "probability"]:  # there the target decides
        with pytest.raises(InputError, match="output="):
            assay.case(assay.wrap(net), kinds_of_nets.ROWS, target=target)


UNDECIDED = ["own threshold, two", "vectors against the rest, three", "labels: support vectors", "centroids, two"]


@pytest.mark.parametrize("name", ["forest, two", *UNDECIDED])
def test_a_note_says_where_predict_decides_by_something_else(name: str) -> None:
    case = assay.case(wrapped(ALL[name]), X, target="probability", label=None)
    assert ("decisions" in [note.code for note in case.notes]) == (name in UNDECIDED)


@quiet
@pytest.mark.parametrize("name", [name for name, kind in kinds_of_classifiers.KINDS.items() if kind.own is not None])
def test_decisions_may_be_asked_for_and_are_those_of_predict(name: str) -> None:
    kind, own = prepared(name)
    assert own.decision is not None
    expected = np.asarray(own.decision(kind.x), dtype=np.float64)
    for place, label in enumerate(own.names or range(expected.shape[1])):
        case = assay.case(wrapped(kind, "decisions"), kind.x, label=label)
        assert_array_equal(case.output, expected[:, place])


def columns(own: Own, kind: Kind) -> int:
    """How many values a row has."""
    shape = np.shape(own.value(kind.x)) if own.value is not None else ()
    return shape[1] if len(shape) == 2 else 1


@quiet
def test_several_values_a_row_are_named() -> None:
    named = {}
    for name, kind in ESTIMATORS.items():
        own = prepared(name)[1]
        if own.value is not None and columns(own, kind) > 1:
            named[name] = wrapped(kind).output_names
            assert len(named[name]) == columns(own, kind), name
            assert case_named(kind, named[name][-1]).target_text.endswith(named[name][-1]), name
    assert len(named) > 20
    assert named["xgboost: quantiles"] == ("quantile 0.1", "quantile 0.5", "quantile 0.9")
    assert named["xgboost booster: quantiles"] == ("quantile 0.1", "quantile 0.9")
    assert named["two targets: scaled"] == ("output 0", "output 1")


def case_named(kind: Kind, label: str) -> Any:
    """The case of an output by its name."""
    return assay.case(wrapped(kind), take(kind.x, slice(3)), label=label)


@pytest.mark.parametrize("name", ["two targets: least squares", "xgboost: two targets", "catboost: MultiRMSE"])
def test_an_audit_of_several_targets_advises_one(name: str) -> None:
    kind = prepared(name)[0]
    with pytest.raises(InputError, match=r"targets \(output 0, output 1\).*one_output"):
        assay.audit(kind.model, kind.x, np.zeros((len(kind.x), 2)), profile="quick")


@pytest.mark.parametrize("name", ["hard vote, text", "output code, three", "process of pairs, three"])
def test_a_classifier_of_decisions_alone_is_explained_on_them(name: str) -> None:
    kind, own = prepared(name)
    case = assay.case(wrapped(kind), kind.x, label=own.names[-1])
    assert case.target.name == "decision"
    assert_array_equal(case.output, own.decision(kind.x)[:, -1])
    with pytest.raises(CapabilityError, match="neither probabilities nor decision scores"):
        wrapped(kind, "probabilities")


def test_models_without_one_answer_a_row_are_refused() -> None:
    several = RandomForestClassifier(2, random_state=0).fit(X, np.stack([TWO, THREE], axis=1))
    with pytest.raises(InputError, match=r"predicts 2 targets of \[2, 3\] classes"):
        assay.wrap(several)
    draws = DummyClassifier(strategy="stratified", random_state=np.random.RandomState(1))
    with pytest.raises(CapabilityError, match="gives other outputs for the same rows"):
        explain.shapley(assay.case(assay.wrap(draws.fit(X, TWO)), X[:8]))


@quiet
@pytest.mark.parametrize(
    "make", [DummyClassifier, RandomForestClassifier, LGBMClassifier], ids=lambda one: one.__name__
)
@pytest.mark.parametrize("around", [False, True])
def test_a_classifier_of_one_class_is_refused(make: Any, around: bool) -> None:
    fitted = (Pipeline([("last", make())]) if around else make()).fit(X, np.full(len(X), "no"))
    with pytest.raises(InputError, match=r"one class only \(no\)"):
        assay.wrap(fitted)
