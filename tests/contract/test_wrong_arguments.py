"""Arguments of wrong types and ranges, for every method of every verb: only assay's own errors are raised."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.linear_model import LinearRegression, LogisticRegression
from tests.contract.nets import net
from tests.contract.situations import X, Y, situations
from tests.contract.subjects import SUBJECTS, methods, pairs, required_options, shapley_values

import assay
from assay import explain
from assay.basics.errors import AssayError, InputError
from assay.nouns.catalogue import Method

WRONG: list[Any] = [
    -1,
    0,
    0.5,
    2.5,
    -(10**6),
    float("nan"),
    float("inf"),
    "x",
    "",
    None,
    True,
    [],
    ["x"],
    {},
    object(),
    np.array([]),
    np.zeros((2, 3, 4)),
    [float("nan")],
    [-1.0],
    1j,
    pd.DataFrame({"a": [1.0]}),
    len,
]
NO_CASE: list[Any] = [None, "x", 3, [], object()]

NEVER = {"int": (0.5, "x", True, float("nan"), 1j), "float": ("x", True, float("nan"), 1j), "bool": (0, 1, "x")}
"""Values that no option of these types accepts."""


def raw_errors(calls: Iterator[tuple[str, Callable[[], Any]]]) -> list[str]:
    """The calls that raised something else than an error of assay."""
    found = []
    for name, call in calls:
        try:
            call()
        except AssayError:
            continue
        except Exception as error:  # noqa: BLE001  # what is raised is the result
            found.append(f"{name}: {type(error).__name__}: {str(error)[:100]}")
    return found


def wrong_values(method: Method, name: str) -> list[Any]:
    """The wrong values of an argument, in the types that the tests insist on: 1.0 for a float, a tuple for a tuple."""
    parameter = method.options.get(name)
    kind = "" if parameter is None else str(parameter.annotation)
    if "tuple" in kind:
        return [tuple(value) if isinstance(value, list) else value for value in WRONG if type(value) is not np.ndarray]
    return [float(value) if "float" in kind and type(value) is int else value for value in WRONG]


def short(value: Any) -> str:
    return " ".join(str(value).split())[:24]


def subject_of(method: Method) -> str:
    return next(subject for one, subject in pairs(method.verb) if one.name == method.name)


@pytest.mark.parametrize("method", [*methods("explain"), *methods("evaluate")], ids=lambda m: f"{m.verb}.{m.name}")
def test_a_wrong_argument_of_a_method_or_score_gets_a_typed_error(method: Method) -> None:
    subject = subject_of(method)
    case = SUBJECTS[subject]()
    given = () if method.verb == "explain" else (shapley_values(case),)
    options = required_options(method, case)

    def calls() -> Iterator[tuple[str, Callable[[], Any]]]:
        for name in method.options:
            for value in wrong_values(method, name):
                changed = {**options, name: value}
                yield f"{name}={short(value)}", lambda changed=changed: method.call(*given, case, **changed)
        for value in NO_CASE:
            yield f"case={short(value)}", lambda value=value: method.call(*given, value, **options)
            if given:
                yield f"explanation={short(value)}", lambda value=value: method.call(value, case, **options)

    assert raw_errors(calls()) == []


@pytest.mark.parametrize("method", methods(), ids=lambda m: f"{m.verb}.{m.name}")
def test_an_option_of_the_wrong_type_is_named(method: Method) -> None:
    given, options = arguments_of(method)
    for name, parameter in method.options.items():
        for value in NEVER.get(str(parameter.annotation), ()):
            with pytest.raises(InputError, match=f"{method.name}: {name}=|{name}"):
                method.call(*given, **{**options, name: value})


def arguments_of(method: Method) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The positional arguments and the options of a call that works."""
    if method.verb in ("explain", "evaluate"):
        case = SUBJECTS[subject_of(method)]()
        given = (case,) if method.verb == "explain" else (shapley_values(case), case)
        return given, required_options(method, case)
    situation = {**situations()[method.name]}
    if method.name == "explanation_shift":
        situation["k"] = 1
    return split(method, situation)


def split(method: Method, situation: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    given = tuple(situation[name] for name in method.parameters if name in situation and name not in method.options)
    return given, {name: value for name, value in situation.items() if name in method.options}


REST = [method for verb in ("attack", "certify", "diagnose", "repair") for method in methods(verb)]


@pytest.mark.parametrize("method", REST, ids=lambda m: f"{m.verb}.{m.name}")
def test_a_wrong_argument_of_any_other_verb_gets_a_typed_error(method: Method) -> None:
    given, options = arguments_of(method)
    names = [name for name in method.parameters if name not in method.options]
    situation = {**dict(zip(names, given)), **options}

    def calls() -> Iterator[tuple[str, Callable[[], Any]]]:
        for name in method.parameters:
            for value in wrong_values(method, name):
                changed = split(method, {**situation, name: value})
                yield f"{name}={short(value)}", lambda changed=changed: method.call(*changed[0], **changed[1])

    assert raw_errors(calls()) == []


FRAME = pd.DataFrame(X[:6], columns=list("abcd"))
MODELS: dict[str, tuple[Callable[[], Any], Any]] = {
    "classifier": (lambda: LogisticRegression().fit(X, Y), X[:6]),
    "regression": (lambda: LinearRegression().fit(X, X[:, 0]), X[:6]),
    "net": (net, X[:6]),
    "frame": (lambda: LogisticRegression().fit(pd.DataFrame(X, columns=list("abcd")), Y), FRAME),
}
ODD_ROWS: list[Any] = [
    *WRONG,
    np.zeros((0, 4)),
    np.zeros((6, 3)),
    np.full((6, 4), np.nan),
    np.full((6, 4), np.inf),
    np.array([["a"] * 4] * 6),
    np.full((6, 4), None),
    [[1, 2], [3]],
    X[:6].astype(complex),
    FRAME[["a", "b"]],
    FRAME.assign(e=1),
    FRAME.rename(columns={"a": "b"}),
    pl.DataFrame({"a": ["x"]}),
    X[0],
    pd.Series(X[:6, 0]),
    torch.zeros(2, 4),
    ["a"] * 6,
    [None] * 6,
    [np.nan] * 6,
    [pd.NA] * 6,
    np.ones((6, 2)),
    np.ones((6, 1)),
    pd.Series(["a"] * 6, dtype="category"),
    [1.5] * 6,
    [2**70] * 6,
    b"x",
    {1, 2},
    assay.Constant(0.0),
]


@pytest.mark.parametrize("argument", ["model", "x", "target", "label", "features", "names", "ids", "carried", "seed"])
@pytest.mark.parametrize("kind", MODELS)
def test_a_wrong_argument_of_a_case_gets_a_typed_error(kind: str, argument: str) -> None:
    make, rows = MODELS[kind]
    model = assay.wrap(make())

    def call(value: Any) -> Any:
        given = {"model": model, "x": rows, argument: value}
        case = assay.case(given.pop("model"), given.pop("x"), **given)
        return explain.occlusion(case, remove=assay.Constant(0.0))

    calls = ((f"{argument}={short(value)}", lambda value=value: call(value)) for value in ODD_ROWS)
    assert raw_errors(calls) == []


@pytest.mark.parametrize("method", methods(), ids=lambda m: f"{m.verb}.{m.name}")
def test_arguments_that_are_missing_are_all_named(method: Method) -> None:
    needed = [one.name for one in inspect.signature(method.body).parameters.values() if one.default is one.empty]
    with pytest.raises(InputError, match=f"{method.verb}.{method.name} needs {', '.join(needed)}; give"):
        method.call()
