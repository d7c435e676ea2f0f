"""Probabilities of exactly 0 and 1: no method warns, crashes or returns infinite values; notes and errors say why."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from tests.contract.subjects import GIVEN, load_catalogue, methods

import assay
from assay import explain
from assay.basics.errors import CapabilityError, NumericalError
from assay.engine.capabilities import NEEDS
from assay.engine.search.ball import Ball
from assay.nouns.catalogue import Method

load_catalogue()

TARGETS = ("log_odds", "loss", "contrast")


@cache
def table() -> tuple[Any, Any]:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(120, 4))
    return x, (x[:, 0] + 0.5 * generator.normal(size=120) > 0).astype(int)


@cache
def forest() -> Any:
    """A small forest that is sure of many rows, and not of others."""
    x, y = table()
    return RandomForestClassifier(6, random_state=0).fit(x[20:], y[20:])


def case(target: str, rows: Any = slice(0, 12)) -> assay.Case:
    x, y = table()
    asked = assay.contrast(0) if target == "contrast" else target
    label = 1 - y[rows] if target in ("loss", "brier") else 1  # sure and wrong
    return assay.case(assay.wrap(forest()), x[rows], target=asked, label=label, names=list("abcd"))


def call(method: Method, one: assay.Case) -> Any:
    x, _ = table()
    others = {
        "remove": assay.Marginal(x[60:64]),
        "background": x[60:100],
        "comparison": x[60:70],
        "reference": x[60:100],
    }
    bare = {name for name, option in method.options.items() if option.default is option.empty}
    given = {
        name: others[name] if name in others else GIVEN[name](one)
        for name in method.options
        if name in bare or name in others
    }
    if method.verb == "explain":
        return method.call(one, **given)
    values = explain.random(one)
    return method.call(values, one, *([Ball("linf", 0.1)] if method.name == "top_k" else []), **given)


def offered(verb: str) -> list[Method]:
    one = case("log_odds", slice(0, 1))
    return [method for method in methods(verb) if all(n in NEEDS and NEEDS[n][0](one) for n in method.needs - {"loss"})]


EVERY = [
    pytest.param(
        method,
        target,
        id=f"{verb}-{method.name}-{target}",
        marks=() if place % len(TARGETS) == turn else (pytest.mark.judge,),  # each method on one target, in turn
    )
    for verb in ("explain", "evaluate")
    for place, method in enumerate(offered(verb))
    for turn, target in enumerate(TARGETS)
]


def refused_or_not(method: Method, one: assay.Case) -> Any:
    try:
        return call(method, one)
    except (CapabilityError, NumericalError) as why:
        return why


@pytest.mark.parametrize(("method", "target"), EVERY)
def test_a_method_of_an_infinite_target_gives_numbers_or_says_why_not(method: Method, target: str) -> None:
    one = case(target)
    assert not np.isfinite(one.output).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        result = refused_or_not(method, one)
    if isinstance(result, CapabilityError):
        return  # the method is not for this case, whatever its numbers
    if isinstance(result, NumericalError):
        assert "probability of exactly 0 or 1" in str(result)
        assert f"--ask {'brier' if target == 'loss' else 'probability'}" in str(result)
        return
    assert not np.isinf(result.values).any()
    if np.isnan(result.values).any() and any(note.code == "undefined" for note in result.notes):
        assert any("probability of exactly 0 or 1" in note.text for note in result.notes)
