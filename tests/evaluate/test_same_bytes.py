"""Every score has the same bytes, whatever was computed before on the same case."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from tests.contract.subjects import methods, required_options

import assay
from assay import explain
from assay.basics.errors import AssayError
from assay.nouns.catalogue import Method

X = np.random.default_rng(0).normal(size=(3, 12))
PICTURES = np.random.default_rng(1).normal(size=(2, 3, 8, 8)).astype(np.float32)


def filled(net: Any) -> Any:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator))
    return net.eval()


def odd_net() -> Any:
    """A float32 net of odd widths, whose rows differ in the last digits with the batch and their place in it."""
    layers = [torch.nn.Linear(12, 100), torch.nn.ReLU(), torch.nn.Linear(100, 33), torch.nn.GELU()]
    return filled(torch.nn.Sequential(*layers, torch.nn.Linear(33, 7)))


def picture_net() -> Any:
    layers = [torch.nn.Conv2d(3, 5, 3, padding=1), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten()]
    return filled(torch.nn.Sequential(*layers, torch.nn.Linear(20, 3)))


@cache
def perceptron() -> Any:
    x = np.random.default_rng(2).normal(size=(60, 12))
    return MLPClassifier((33,), max_iter=2000, random_state=0).fit(x, x[:, 0] > 0)


@cache
def logistic() -> Any:
    x = np.random.default_rng(2).normal(size=(60, 12))
    return LogisticRegression().fit(x, x[:, 0] > 0)


CASES: dict[str, Callable[[], Any]] = {
    "net": lambda: assay.case(assay.wrap(odd_net()), X.astype(np.float32), label=1),
    "one row": lambda: assay.case(assay.wrap(odd_net()), X[:1].astype(np.float32), label=1),
    "pictures": lambda: assay.case(assay.wrap(picture_net()), PICTURES, label=1, features=assay.grid((3, 8, 8), 4)),
    "perceptron": lambda: assay.case(assay.wrap(perceptron()), X, label=1),
    "logistic": lambda: assay.case(assay.wrap(logistic()), X, label=1),
}
EXPLANATIONS: dict[str, Callable[[Any], Any]] = {
    "shapley": lambda case: explain.shapley(case, remove=assay.Constant(0.0), budget=64),
    "integrated_gradients": lambda case: explain.integrated_gradients(case, steps=8),
    "occlusion": lambda case: explain.occlusion(case, remove=assay.Constant(0.0)),
}
SLOW = {"smooth_parameter_randomisation", "label_randomisation"}
SCORES = [method for method in methods("evaluate") if method.name not in SLOW]


def scores(case: Any, explanation: Any, of: list[Method]) -> Iterator[tuple[str, bytes]]:
    """Values and extras of the scores that this case can have, as bytes."""
    for method in of:
        try:
            found = method.call(explanation, case, **required_options(method, case))
        except AssayError:
            continue
        yield method.name, b"".join([found.values.tobytes(), *(found.extra[name].tobytes() for name in found.extra)])


@cache
def alone(kind: str, name: str) -> dict[str, bytes]:
    """The bytes of each score on a case of its own."""
    found = {}
    for method in SCORES:
        case = CASES[kind]()
        found.update(scores(case, EXPLANATIONS[name](case), [method]))
    assert len(found) > 25
    return found


def explanations_of(kind: str) -> list[str]:
    nets = kind in ("net", "one row", "pictures")
    return ["shapley", "integrated_gradients"] if nets else ["shapley"]


PAIRS = [(kind, name) for kind in CASES for name in explanations_of(kind)]


@pytest.mark.parametrize(("kind", "name"), PAIRS)
def test_a_score_that_is_computed_twice_has_the_same_bytes(kind: str, name: str) -> None:
    for method in SCORES:
        case = CASES[kind]()
        explanation = EXPLANATIONS[name](case)
        assert dict(scores(case, explanation, [method])) == dict(scores(case, explanation, [method])), method.name


@pytest.mark.parametrize("order", [pytest.param("forwards", marks=pytest.mark.judge), "backwards"])
@pytest.mark.parametrize(("kind", "name"), PAIRS)
def test_a_score_has_the_same_bytes_after_all_others(kind: str, name: str, order: str) -> None:
    case = CASES[kind]()
    explanation = EXPLANATIONS[name](case)
    some = SCORES if order == "forwards" else SCORES[::-1]
    found = dict(scores(case, explanation, some))
    assert [method for method in found if found[method] != alone(kind, name)[method]] == []


@pytest.mark.parametrize(
    ("kind", "name"), [one if one[0] == "net" else pytest.param(*one, marks=pytest.mark.judge) for one in PAIRS]
)
def test_a_score_has_the_same_bytes_after_other_explanations_and_options(kind: str, name: str) -> None:
    case = CASES[kind]()
    for other in ("occlusion", *explanations_of(kind)):
        dict(scores(case, EXPLANATIONS[other](case), SCORES))
    ball = assay.Ball("linf", 0.05)
    explanation = EXPLANATIONS[name](case)
    for steps in (2, 3):
        assay.evaluate.deletion(explanation, case, remove=assay.Constant(0.0), steps=steps)
        assay.evaluate.max_sensitivity(explanation, case, ball=ball, draws=steps)
    found = dict(scores(case, explanation, SCORES))
    assert [method for method in found if found[method] != alone(kind, name)[method]] == []
