"""One changed training row: verified against scikit-learn's own refits, refused where there is no optimum."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from torch import nn

import assay
from assay import attack
from assay.basics.errors import CapabilityError, InputError
from assay.engine.cost import cost_of
from assay.nouns.catalogue import Cost, find
from assay.nouns.records.store import load

ROWS, TESTS, DECAY = 40, 8, 1e-2


def logistic(**options: Any) -> LogisticRegression:
    return LogisticRegression(**{"tol": 1e-12, "max_iter": 20000, "C": 20.0, **options})


@cache
def table(columns: int = 30, classes: int = 2) -> tuple[Any, Any, Any, Any]:
    """Training rows and labels, tests and labels."""
    generator = np.random.default_rng(columns)
    x = generator.normal(size=(ROWS + TESTS, columns))
    scores = x[:, :3] @ generator.normal(size=(3, classes)) + 0.3 * generator.normal(size=(len(x), classes))
    y = scores.argmax(axis=1)
    return x[:ROWS], y[:ROWS], x[ROWS:], y[ROWS:]


def run(estimator: Any, ball: assay.Ball, columns: int = 30, classes: int = 2, **options: Any) -> Any:
    x, y, tests, truth = table(columns, classes)
    case = assay.case(assay.wrap(estimator.fit(x, y)), tests)
    return attack.training_point(case, ball, train=(x, y), **{"labels": truth, "candidates": 2, "steps": 6, **options})


def margins(fitted: Any, tests: Any, truth: Any) -> Any:
    """The score of the label minus the largest other."""
    scores = fitted.decision_function(tests)
    scores = np.stack([0 * scores, scores], axis=1) if scores.ndim == 1 else scores
    own = scores[np.arange(len(tests)), truth]
    return own - np.where(np.arange(scores.shape[1]) == truth[:, None], -np.inf, scores).max(axis=1)


@pytest.mark.parametrize(("columns", "classes"), [(30, 2), (90, 2), (90, 3)])
def test_the_margins_reported_are_those_of_scikit_learn_on_the_changed_rows(columns: int, classes: int) -> None:
    x, y, tests, truth = table(columns, classes)
    found = run(logistic(), assay.Ball("linf", 0.5), columns, classes)
    clean = margins(logistic().fit(x, y), tests, truth)
    assert_allclose(found.before, clean, atol=1e-3)
    for place, row in enumerate(found.extra["training_row"].astype(int)):
        changed = x.copy()
        changed[row] = found.x[place]
        exact = margins(logistic().fit(changed, y), tests, truth)[place]
        assert abs(found.after[place] - exact) < 1e-3
        assert found.success[place] == (exact < 0)
        assert np.abs(found.x[place] - x[row]).max() <= 0.5 * (1 + 1e-9)
        assert ((found.x[place] >= x.min(axis=0) - 1e-12) & (found.x[place] <= x.max(axis=0) + 1e-12)).all()
    right = clean >= 0
    assert found.validity["flipped"] == (found.success & right).sum() / right.sum()
    assert found.validity["gradient_refitted"] < 1e-9
    assert any(note.code == "over-parameterised" for note in found.notes) == (columns > ROWS)


def test_the_attack_moves_decisions_and_a_random_change_of_the_same_size_does_not() -> None:
    found = run(logistic(), assay.Ball("linf", 1.0), 90)
    assert found.validity["flipped"] > found.validity["random_flipped"]
    assert found.validity["detected"] > found.validity["random_detected"]
    fall, chance = (found.before - found.after).mean(), (found.before - found.random).mean()
    assert fall > 4 * abs(chance)


def test_influence_predicts_the_refitted_change_of_a_small_attack() -> None:
    for classes in (2, 3):
        found = run(logistic(C=1.0), assay.Ball("l2", 0.02), 90, classes)
        assert abs(found.validity["predicted_slope"] - 1) < 0.05
        assert abs(found.validity["predicted_newton_slope"] - 1) < 0.05
        assert found.validity["predicted_rank_correlation"] > 0.95


def test_one_row_may_be_aimed_at_all_tests_together() -> None:
    found = run(logistic(), assay.Ball("linf", 1.0), 90, aim="together", steps=12)
    assert len(set(found.extra["training_row"])) == 1
    assert_allclose(found.x, np.broadcast_to(found.x[:1], found.x.shape))
    assert (found.before - found.after).mean() > (found.before - found.random).mean()
    assert found.validity["training_rows_changed"] == 1


def test_a_row_can_be_named() -> None:
    found = run(logistic(), assay.Ball("linf", 0.2), row="7")
    assert set(found.extra["training_row"]) == {7.0}
    with pytest.raises(InputError, match="names no training row"):
        run(logistic(), assay.Ball("linf", 0.2), row="seven")


def test_a_head_that_is_not_at_its_optimum_is_refused_with_the_figure() -> None:
    with pytest.raises(InputError, match=r"the gradient of its training loss is \d\.\de-0\d of its rows' own"):
        run(logistic(tol=2e-3), assay.Ball("linf", 0.2))
    found = run(logistic(tol=2e-3), assay.Ball("linf", 0.2), tolerance=0.1)
    assert 1e-4 < found.validity["gradient_given"] < 0.1
    exact = run(logistic(), assay.Ball("linf", 0.2))
    assert_allclose(found.before, exact.before, atol=1e-3)


def test_models_without_a_linear_head_are_refused() -> None:
    for estimator in (RandomForestClassifier(3, random_state=0), LinearRegression()):
        with pytest.raises(CapabilityError):
            run(estimator, assay.Ball("linf", 0.2))


def test_whole_numbers_stay_whole_and_levels_stay() -> None:
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"age": generator.integers(20, 70, 60), "kind": generator.choice(["a", "b", "c"], 60),
         "sum": generator.normal(size=60)}
    )  # fmt: skip
    good = frame["age"] / 20 + 2 * (frame["kind"] == "b") - frame["sum"] > 3
    encode = ColumnTransformer([("kind", OneHotEncoder(), ["kind"])], remainder=StandardScaler())
    fitted = make_pipeline(encode, logistic()).fit(frame[:50], good[:50])
    given = frame.copy()
    case = assay.case(assay.wrap(fitted), frame[50:])
    train = (frame[:50], good[:50].astype(str))
    found = attack.training_point(case, assay.Ball("linf", 2.5), train=train, labels=good[50:].astype(str))
    rows = found.extra["training_row"].astype(int)
    before = frame.iloc[rows]
    assert (found.x[:, 0] == np.round(found.x[:, 0])).all()
    moved = np.abs(found.x[:, 0] - before["age"].to_numpy())
    assert moved.max() == 2
    codes = {kind: set(found.x[before["kind"] == kind, 1]) for kind in set(before["kind"])}
    assert all(len(one) == 1 for one in codes.values())
    assert len({min(one) for one in codes.values()}) == len(codes)
    pd.testing.assert_frame_equal(frame, given)
    assert (found.after < found.random).mean() > 0.8


@cache
def net_case() -> tuple[Any, Any, Any, Any, Any]:
    """A net of frozen random features whose head is at its optimum, training pictures and tests."""
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(1, 12, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12 * 36, 60), nn.Tanh()).double()
    x = torch.rand(ROWS + TESTS, 1, 8, 8, dtype=torch.float64)
    y = (x[:, 0, :4].mean((1, 2)) > x[:, 0, 4:].mean((1, 2))).long().numpy()
    with torch.no_grad():
        features = body(x).numpy()
    fitted = head_of(features[:ROWS], y[:ROWS])
    head = nn.Linear(60, 1).double()
    with torch.no_grad():
        head.weight.copy_(torch.as_tensor(fitted.coef_))
        head.bias.copy_(torch.as_tensor(fitted.intercept_))
    return nn.Sequential(body, head), body, x, y, fitted


def head_of(features: Any, y: Any) -> Any:
    return logistic(C=1 / (DECAY * len(y))).fit(features, y)


def attack_net(**options: Any) -> Any:
    net, _, x, y, _ = net_case()
    case = assay.case(assay.wrap(net, output="logits", classes=("0", "1")), x[ROWS:])
    given = {"weight_decay": DECAY, "decay_bias": False, "candidates": 2, "steps": 5, **options}
    return case, attack.training_point(
        case, assay.Ball("linf", 0.15, 0.0, 1.0), train=(x[:ROWS], y[:ROWS]), labels=y[ROWS:], **given
    )


def test_the_last_layer_of_a_net_is_attacked_through_its_features() -> None:
    net, body, x, y, fitted = net_case()
    weights = {name: value.clone() for name, value in net.state_dict().items()}
    pictures = x.clone()
    _, found = attack_net()
    with torch.no_grad():
        features = body(x).numpy()
        changed = body(torch.tensor(found.x)).numpy()
    assert_allclose(found.before, (2 * y[ROWS:] - 1) * fitted.decision_function(features[ROWS:]), atol=1e-6)
    for place, row in enumerate(found.extra["training_row"].astype(int)):
        rows = features[:ROWS].copy()
        rows[row] = changed[place]
        exact = (2 * y[ROWS + place] - 1) * head_of(rows, y[:ROWS]).decision_function(features[[ROWS + place]])[0]
        assert abs(found.after[place] - exact) < 1e-5
        assert np.abs(found.x[place] - x[row].numpy()).max() <= 0.15 * (1 + 1e-6)
    assert (found.after < found.random).all()
    assert torch.equal(pictures, x)
    assert all(torch.equal(value, weights[name]) for name, value in net.state_dict().items())


def test_a_wrong_weight_decay_is_no_optimum() -> None:
    for given in ({"weight_decay": 0.0}, {"decay_bias": True}):
        with pytest.raises(InputError, match="gradient"):
            attack_net(**given)


@pytest.mark.parametrize("options", [{}, {"aim": "together"}, {"row": "3"}, {"candidates": 1, "draws": 2}])
def test_model_evaluations_equal_the_declared_cost(options: dict[str, Any]) -> None:
    case, first = attack_net(**options)
    meter = case.model.meter
    _ = case.prediction, case.output
    forwards, backwards = meter.requested, meter.backwards
    found = attack.training_point(case, assay.Ball("linf", 0.15, 0.0, 1.0), **first.provenance.options)
    declared = cost_of(find("attack", "training_point"), case, found.provenance.options)
    assert Cost(meter.requested - forwards, meter.backwards - backwards) == declared
    assert found.after.tobytes() == first.after.tobytes()
    assert found.random.tobytes() == first.random.tobytes()


def test_the_result_is_saved_with_its_validity(tmp_path: Path) -> None:
    found = run(logistic(), assay.Ball("linf", 0.2), candidates=1)
    again = load(found.save(tmp_path / "point.assay"))
    assert again.validity["flipped_interval"] == found.validity["flipped_interval"]
    assert_allclose(again.extra["predicted"], found.extra["predicted"])


def test_numbers_that_make_no_search_are_refused() -> None:
    for options in ({"steps": 0}, {"draws": 0}, {"step": 0.0}, {"candidates": 0}, {"tolerance": 1.0}):
        with pytest.raises(InputError, match="at least 1"):
            run(logistic(), assay.Ball("linf", 0.2), **options)
