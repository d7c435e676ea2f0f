"""A shift of the threshold: every kind of outputs, the best cut by enumeration, and nothing chosen on held-out rows."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

import assay
from assay import diagnose, explain, repair
from assay.basics.errors import CapabilityError, InputError
from assay.engine.fairness.decision_shift import accuracy_offsets, binary_shift, shares_offsets
from assay.model.linear_scores import read_linear
from assay.model.transformations.shift_scores import shift_scores


def data(classes: int = 2, rows: int = 900, seed: int = 0) -> tuple[Any, Any]:
    """Rows of four numbers, and classes of unequal frequency that they say little of."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(rows, 4))
    scores = x[:, :classes] + np.linspace(0, 1.0, classes) + generator.gumbel(size=(rows, classes))
    return x, scores.argmax(axis=1)


def net(classes: int) -> Any:
    torch.manual_seed(1)
    return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, classes)).double()


MODELS = {
    "log odds": lambda x, y: assay.wrap(LogisticRegression().fit(x, y), output="margin"),
    "probabilities": lambda x, y: assay.wrap(make_pipeline(StandardScaler(), LogisticRegression()).fit(x, y)),
    "hinge": lambda x, y: assay.wrap(SGDClassifier(random_state=0).fit(x, y)),
    "margin": lambda x, y: assay.wrap(LinearSVC().fit(x, y)),
    "forest": lambda x, y: assay.wrap(RandomForestClassifier(20, max_depth=3, random_state=0).fit(x, y)),
    "threshold": lambda x, y: assay.wrap(FixedThresholdClassifier(LogisticRegression(), threshold=0.7).fit(x, y)),
    "net of two scores": lambda x, y: assay.wrap(net(2)),
    "net of one score": lambda x, y: assay.wrap(net(1), output="logits"),
}


def repaired(kind: str, **options: Any) -> tuple[Any, Any, Any]:
    x, y = data()
    model = MODELS[kind](x[:300], y[:300])
    case = assay.case(model, torch.as_tensor(x[600:]) if kind.startswith("net") else x[600:])
    found = repair.threshold_shift(case, train=(x[300:600], y[300:600]), held_out=(x[600:], y[600:]), **options)
    return case, found, (x, y)


@pytest.mark.parametrize("kind", MODELS)
def test_every_kind_of_outputs_decides_for_a_class_as_often_as_the_labels_have_it(kind: str) -> None:
    case, found, (x, y) = repaired(kind)
    train = torch.as_tensor(x[300:600]) if kind.startswith("net") else x[300:600]
    (bias,) = diagnose.bias_amplification(assay.case(found.model, train), y[300:600])
    (was,) = diagnose.bias_amplification(assay.case(case.model, train), y[300:600])
    assert bias.estimate <= min(0.01, was.estimate)
    decided = {f.code: f for f in diagnose.bias_amplification(assay.case(found.model, case.rows.x), y[600:])}
    assert_allclose(abs(found.after["prediction bias"]), decided["FAI302"].estimate)
    assert found.baseline is None
    assert "fit the shares of 300 training rows" in found.change


def test_the_scores_of_all_rows_move_by_the_same_number() -> None:
    case, found, _ = repaired("probabilities")
    odds = [np.log(p[:, 1] / p[:, 0]) for p in (case.prediction, assay.case(found.model, case.rows.x).prediction)]
    assert np.ptp(odds[1] - odds[0]) < 1e-9
    assert_allclose(read_linear(found.model).coef, read_linear(case.model).coef)


def test_a_net_keeps_its_layers_and_gradients() -> None:
    case, found, _ = repaired("net of two scores")
    other = assay.case(found.model, case.rows.x)
    assert_allclose(explain.saliency(other, signed=True).values.shape, explain.saliency(case, signed=True).values.shape)
    assert found.model.net is not None
    assert np.ptp((other.prediction - case.prediction)[:, 1]) < 1e-12


def cuts_tried(scores: Any, positive: Any, match: str) -> float:
    """The least loss of any cut, by enumeration."""
    values = np.unique(scores)
    places = [values[0] - 1, *((values[1:] + values[:-1]) / 2), values[-1] + 1]
    losses = [
        abs(int((scores > place).sum()) - int(positive.sum()))
        if match == "shares"
        else int(((scores > place) != positive).sum())
        for place in places
    ]
    return min(losses)


@pytest.mark.parametrize("match", ["shares", "accuracy"])
@pytest.mark.parametrize("digits", [6, 0])
def test_the_cut_of_two_classes_is_the_best_of_all_also_with_ties(match: Any, digits: int) -> None:
    for seed in range(20):
        generator = np.random.default_rng(seed)
        scores = np.round(generator.normal(0.4, 1.5, 60), digits)
        positive = generator.random(60) < 1 / (1 + np.exp(-scores))
        moved = scores + binary_shift(scores, positive, match)
        loss = abs((moved > 0).sum() - positive.sum()) if match == "shares" else ((moved > 0) != positive).sum()
        assert loss == cuts_tried(scores, positive, match)


def test_decisions_that_already_fit_are_not_moved() -> None:
    assert binary_shift(np.array([-2.0, -1.0, 0.5, 3.0]), np.array([0, 0, 1, 1]), "shares") == 0.0
    x, y = data()
    trees = RandomForestClassifier(30, random_state=0).fit(x[:300], y[:300])
    case = assay.case(assay.wrap(trees), x[600:])
    with pytest.raises(CapabilityError, match="learnt these rows by heart"):
        repair.threshold_shift(case, train=(x[:300], y[:300]), held_out=(x[600:], y[600:]), match="accuracy")


@pytest.mark.parametrize("classes", [3, 5])
def test_the_shares_of_several_classes_are_met_too(classes: int) -> None:
    generator = np.random.default_rng(0)
    scores = generator.normal(size=(600, classes)) * 2 + np.linspace(0, 2, classes)
    labels = generator.integers(classes, size=600)
    decided = (scores + shares_offsets(scores, labels)).argmax(axis=1)
    share = [np.bincount(one, minlength=classes) / 600 for one in (decided, labels)]
    assert np.abs(share[0] - share[1]).max() <= 0.01
    moved = (scores + accuracy_offsets(scores, labels)).argmax(axis=1)
    assert (moved == labels).mean() >= (scores.argmax(axis=1) == labels).mean()


def test_matching_the_accuracy_answers_decisions_that_are_worse_than_a_constant() -> None:
    x, y = data()
    model = assay.wrap(FixedThresholdClassifier(LogisticRegression(), threshold=0.995).fit(x[:300], y[:300]))
    case = assay.case(model, x[600:])
    failed = {f.code: f.verdict for f in diagnose.performance(case, y[600:])}
    found = repair.threshold_shift(case, train=(x[:300], y[:300]), held_out=(x[600:], y[600:]), match="accuracy")
    after = {f.code: f.verdict for f in diagnose.performance(assay.case(found.model, x[600:]), y[600:])}
    assert (failed["PER103"], after["PER103"]) == ("fail", "pass")
    assert found.after["accuracy"] > found.before["accuracy"] + 0.2


def test_a_shift_of_the_outputs_is_a_shift_of_the_log_probabilities() -> None:
    x, y = data(3)
    case = assay.case(assay.wrap(LogisticRegression().fit(x, y)), x[:20])
    moved = assay.case(shift_scores(case.model, [0.0, 1.0, -0.5]), x[:20]).prediction
    expected = case.prediction * np.exp([0.0, 1.0, -0.5])
    assert_allclose(moved, expected / expected.sum(axis=1, keepdims=True))
    with pytest.raises(InputError):
        shift_scores(case.model, [np.nan, 0.0, 0.0])
