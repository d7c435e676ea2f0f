"""Targets against slow formulas in float64."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from assay import unit
from assay.basics.errors import CapabilityError, InputError
from assay.nouns.inputs.output_kind import OutputKind
from assay.nouns.inputs.target import TARGETS, target_named

LOGITS = np.array([[1.0, -0.5, 2.0], [0.3, 0.2, -4.0]])
SINGLE = np.array([[1.5], [-0.4]])
LABEL = np.array([2, 1])
SIDE = np.array([1, 0])


def softmax(row: np.ndarray) -> list[float]:
    total = math.fsum(math.exp(v) for v in row)
    return [math.exp(v) / total for v in row]


def sigmoid(score: float) -> float:
    return 1 / (1 + math.exp(-score))


def slowly(name: str, p: list[float], scores: list[float], label: int, gives: str) -> float:
    """The question's definition for one row: class probabilities, class scores, label."""
    rival = max(s for i, s in enumerate(scores) if i != label)
    return {
        "logit": lambda: scores[label],
        "margin": lambda: (
            scores[label] if gives == "margin" or len(set(map(abs, scores))) == 1 else scores[label] - rival
        ),
        "log_odds": lambda: math.log(p[label] / math.fsum(v for i, v in enumerate(p) if i != label)),
        "probability": lambda: p[label],
        "decision": lambda: float(scores.index(max(scores)) == label),
        "loss": lambda: -math.log(p[label]),
        "brier": lambda: math.fsum((v - (i == label)) ** 2 for i, v in enumerate(p)),
    }[name]()


def ask(name: str, outputs: Any, label: np.ndarray, gives: Any, library: str) -> np.ndarray:
    if library == "torch":
        return TARGETS[name].read(torch.as_tensor(outputs), torch.as_tensor(label), gives).numpy()
    return np.asarray(TARGETS[name].read(outputs, label, gives))


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("name", ["logit", "margin", "log_odds", "probability", "decision", "loss", "brier"])
@pytest.mark.parametrize("gives", ["logits", "margin"])
def test_a_question_to_many_scores_is_its_definition(name: str, gives: str, library: str) -> None:
    slow = [slowly(name, softmax(row), list(row), k, gives) for row, k in zip(LOGITS, LABEL)]
    assert_allclose(ask(name, LOGITS, LABEL, gives, library), slow, rtol=1e-12)


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("name", ["logit", "margin", "log_odds", "probability", "decision", "loss", "brier"])
def test_a_question_to_one_score_speaks_of_two_classes(name: str, library: str) -> None:
    slow = [slowly(name, [1 - sigmoid(s), sigmoid(s)], [-s, s], k, "logits") for s, k in zip(SINGLE[:, 0], SIDE)]
    assert_allclose(ask(name, SINGLE, SIDE, "logits", library), slow, rtol=1e-12)


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("name", ["margin", "log_odds", "probability", "decision", "loss", "brier"])
@pytest.mark.parametrize("columns", [3, 1])
def test_a_question_to_probabilities_is_its_definition(name: str, columns: int, library: str) -> None:
    whole = np.array([softmax(row) for row in LOGITS]) if columns == 3 else np.array([[0.3, 0.7], [0.9, 0.1]])
    outputs, label = (whole, LABEL) if columns == 3 else (whole[:, 1:], SIDE)
    slow = [slowly(name, list(p), list(p), k, "probabilities") for p, k in zip(whole, label)]
    assert_allclose(ask(name, outputs, label, "probabilities", library), slow, rtol=1e-12)


def test_a_regressions_value_and_loss() -> None:
    assert_allclose(ask("value", LOGITS, LABEL, "values", "numpy"), [2.0, 0.2])
    assert_allclose(ask("loss", SINGLE, np.array([1.0, 0.6]), "values", "numpy"), [0.25, 1.0])


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("name", ["logit", "margin", "log_odds", "probability", "loss"])
@pytest.mark.parametrize("scores", [[[1000.0, -1000.0, 0.0]], [[1000.0]], [[-1000.0]]])
def test_extreme_scores_leave_every_question_finite(name: str, scores: list[list[float]], library: str) -> None:
    for label in (0, 1):
        assert np.isfinite(ask(name, np.array(scores), np.array([label]), "logits", library)).all()


def test_log_odds_of_a_certain_class_grow_with_its_lead() -> None:
    assert_allclose(ask("log_odds", np.array([[1000.0, -1000.0, 0.0]]), np.array([0]), "logits", "numpy"), [1000.0])


@pytest.mark.parametrize("scores", [[[800.0, -800.0, 0.0]], [[-800.0, 800.0, 0.0]], [[900.0]], [[-900.0]]])
@pytest.mark.parametrize("name", ["log_odds", "loss", "margin"])
def test_the_gradient_is_finite_at_saturation(name: str, scores: list[list[float]]) -> None:
    outputs = torch.tensor(scores, dtype=torch.float64, requires_grad=True)
    TARGETS[name].read(outputs, torch.tensor([1]), "logits").sum().backward()
    assert torch.isfinite(outputs.grad).all()
    if name == "log_odds":
        assert outputs.grad.abs().max() == 1.0


def test_a_probability_of_nought_has_infinite_odds_and_no_warning() -> None:
    sure = np.array([[1.0, 0.0]])
    assert ask("log_odds", sure, np.array([0]), "probabilities", "numpy") == [np.inf]
    assert ask("log_odds", sure, np.array([1]), "probabilities", "numpy") == [-np.inf]
    assert ask("loss", sure, np.array([1]), "probabilities", "numpy") == [np.inf]
    assert ask("brier", sure, np.array([1]), "probabilities", "numpy") == [2.0]


@pytest.mark.parametrize("gives", ["values", OutputKind("logits", exclusive=False)])
def test_a_brier_score_needs_classes_that_exclude_each_other(gives: Any) -> None:
    with pytest.raises(CapabilityError, match="brier needs classes that exclude each other"):
        ask("brier", LOGITS, LABEL, gives, "numpy")


@pytest.mark.parametrize(
    ("name", "gives", "message"),
    [
        ("logit", "probabilities", "Use log_odds"),
        ("probability", "values", "target='value'"),
        ("margin", "values", "target='value'"),
        ("decision", "units", "gives units"),
        ("value", "logits", "needs a regression"),
    ],
)
def test_a_target_that_the_outputs_do_not_support_names_alternatives(name: str, gives: str, message: str) -> None:
    with pytest.raises(CapabilityError, match=message):
        ask(name, LOGITS, LABEL, gives, "numpy")


def test_a_unit_is_a_channels_mean() -> None:
    maps = np.arange(12.0).reshape(1, 3, 2, 2)
    assert_allclose(unit("conv", 1).read(maps, np.array([1]), "units"), [5.5])


def test_an_unknown_question_lists_the_known() -> None:
    with pytest.raises(InputError, match="no target 'logits'; there are logit"):
        target_named("logits")
