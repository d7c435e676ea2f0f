"""Pruning to experts: planted weak features go, the choice is the best of all pairs, and traps are named."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import assay
from assay import repair
from assay.basics.errors import CapabilityError, InputError
from assay.basics.seed import Seed
from assay.engine.fairness.bias_numbers import labelled
from assay.engine.fairness.experts import Choice, best_experts, parts_of, try_experts
from assay.model.linear_scores import read_linear
from assay.nouns.inputs.recipe import Recipe

WEAK = 20


def drawn(rows: int, seed: int) -> tuple[Any, Any]:
    """Two strong features, one for each class, and weak ones of mean 1 that say nothing."""
    generator = np.random.default_rng(seed)
    y = generator.integers(2, size=rows)
    x = generator.normal(1.0, 0.3, size=(rows, 2 + WEAK))
    x[:, 0] = generator.normal(size=rows) + 1.5 * y
    x[:, 1] = generator.normal(size=rows) + 1.5 * (1 - y)
    return x, y


def linear(coef: Any, intercept: float = 0.0) -> Any:
    """A logistic regression of these coefficients."""
    coef = np.atleast_2d(np.asarray(coef, dtype=float))
    fitted = LogisticRegression().fit(np.eye(coef.shape[1])[[0, 1]], [0, 1])
    fitted.coef_, fitted.intercept_ = coef, np.array([intercept])
    return fitted


def planted() -> Any:
    """Weights that are right for the strong features; the weak ones together push to class 1."""
    return linear([1.5, -1.5, *([0.06] * WEAK)])


def net() -> Any:
    """The same as a net: units of the two strong features, and of the weak ones, which are always on."""
    layers = torch.nn.Sequential(torch.nn.Linear(2 + WEAK, 2 + WEAK), torch.nn.ReLU(), torch.nn.Linear(2 + WEAK, 2))
    first, last = layers[0], layers[2]
    with torch.no_grad():
        first.weight.copy_(torch.eye(2 + WEAK))
        first.bias.copy_(torch.tensor([5.0, 5.0, *([2.0] * WEAK)]))
        last.weight.zero_()
        last.bias.zero_()
        last.weight[1] = torch.tensor([1.5, -1.5, *([0.02] * WEAK)])
    return layers.double()


def repaired(model: Any, kind: str = "linear", **options: Any) -> tuple[Any, Any]:
    train, test = drawn(600, 0), drawn(1000, 1)
    if kind == "net":
        train, test = ((torch.as_tensor(x), y) for x, y in (train, test))
    case = assay.case(assay.wrap(model), test[0][:40])
    return case, repair.prune_experts(case, train=train, held_out=test, **options)


@pytest.mark.parametrize("kind", ["linear", "net"])
def test_planted_weak_features_are_pruned_and_the_bias_goes(kind: str) -> None:
    _, found = repaired(planted() if kind == "linear" else net(), kind)
    assert found.before["prediction bias"] > 0.1
    assert abs(found.after["prediction bias"]) < found.before["prediction bias"] / 1.8
    assert found.after["accuracy"] >= found.before["accuracy"] - 0.005
    assert found.after["prediction bias, high"] < found.before["prediction bias"]
    assert {"accuracy, threshold shift", "prediction bias, threshold shift"} <= set(found.after)
    assert found.baseline is not None
    assert ("accuracy, converged fit" in found.after) == (kind == "linear")
    if kind == "linear":
        coef = read_linear(found.model).coef[0]
        assert_allclose(coef[:2], [1.5, -1.5])
        assert (coef[2:] == 0).mean() > 0.5


def test_the_pruned_units_of_a_net_give_zero_and_the_rest_is_unchanged() -> None:
    case, found = repaired(net(), "net", layer="1")
    rows = assay.case(found.model, case.rows.x)
    inner = torch.relu(case.model.net[0](case.rows.x)).detach().numpy()
    weight, bias = (p.detach().numpy() for p in case.model.net[2].parameters())
    kept = rows.model.net[1][1].mask.numpy().astype(bool)
    assert kept[:2].all()
    assert not kept.all()
    assert_allclose(rows.prediction, np.where(kept, inner, 0.0) @ weight.T + bias, atol=1e-12)
    assert f"{kept[2:].sum() + 1} of {WEAK + 1} positive and 1 of 1 negative units of 1 kept" in found.change


def enumerated(x: Any, y: Any, coef: Any, order: Any) -> tuple[float, int]:
    """The smallest |B| of any pair with no more errors, and how many features it keeps: every model one by one."""
    whole = x @ coef > 0
    best = (np.inf, 0)
    up, down = ([i for i in order if sign * coef[i] > 0] for sign in (1, -1))
    for alpha in range(len(up) + 1):
        for beta in range(len(down) + 1):
            own = np.zeros(len(coef))
            for i in (*up[:alpha], *down[:beta]):
                own[i] = coef[i]
            decided = x @ own > 0
            if (decided != y).mean() <= (whole != y).mean() and 0 < decided.mean() < 1:
                best = min(best, (abs(decided.mean() - y.mean()), -(alpha + beta)))
    return best


@pytest.mark.parametrize("seed", range(4))
def test_the_chosen_pair_is_the_best_of_all_models(seed: int) -> None:
    x, y = drawn(300, seed)
    x = x[:, :9]
    coef = np.random.default_rng(seed).normal(0.1, 0.6, size=9)
    coef[:2] = [1.2, -1.1]
    case, labels = labelled(assay.case(assay.wrap(linear(coef)), x), (x, y), "train")
    parts, _ = parts_of(case, case, None)
    chosen = best_experts(*try_experts(parts, case, labels))
    order = np.argsort(-np.abs(coef * x.std(axis=0)))
    assert chosen is not None
    bias, kept = enumerated(x, y, coef, order)
    assert_allclose((chosen.bias, chosen.alpha + chosen.beta), (bias, -kept))


def test_no_pair_with_more_errors_or_a_constant_decision_is_chosen() -> None:
    whole = Choice(5, 5, bias=0.2, error=0.1, constant=False)
    worse, constant = Choice(1, 1, 0.0, 0.11, constant=False), Choice(0, 1, 0.05, 0.1, constant=True)
    good, smaller = Choice(4, 2, 0.1, 0.1, constant=False), Choice(3, 2, 0.1, 0.05, constant=False)
    assert best_experts(whole, [worse, constant, smaller, good, whole]) == good
    assert best_experts(whole, [worse, constant, whole]) is None


def test_parity_collapses_to_a_constant_where_one_direction_is_nearly_empty_and_experts_do_not() -> None:
    model = linear([1.5, -0.001, *([0.05] * WEAK)], intercept=-2.2)
    _, parity = repaired(model, variant="parity")
    assert "constant-decision" not in {note.code for note in parity.notes}  # two features still decide
    model = linear([1.5, 0.001, *([0.05] * WEAK)], intercept=-2.2)
    _, parity = repaired(model, variant="parity")
    assert {note.code for note in parity.notes} >= {"constant-decision"}
    assert_allclose(parity.after["accuracy"], 0.5, atol=0.05)
    _, experts = repaired(linear([1.5, -0.001, *([0.08] * WEAK)], intercept=-1.2))
    assert experts.after["accuracy"] > 0.7


def sgd(x: Any, y: Any, seed: Seed, strength: float) -> Any:
    state = int(seed.generator().integers(2**31))
    return SGDClassifier(loss="log_loss", max_iter=50, tol=None, random_state=state).fit(x, y)


def weak_features(count: int, rows: int, seed: int) -> tuple[Any, Any]:
    """One strong feature and weak ones of the same sign (Leino et al. 2019)."""
    generator = np.random.default_rng(seed)
    y = generator.integers(2, size=rows)
    x = generator.normal(size=(rows, count + 1))
    x[:, 0] += 2 * y - 1
    x[:, 1:] += 0.12 * y[:, None]
    return x, y


def test_the_bias_of_plain_sgd_grows_with_the_number_of_weak_features_and_not_that_of_a_converged_fit() -> None:
    found = {}
    for count in (0, 200):
        sizes = []
        for seed in range(8):
            x, y = weak_features(count, 200, seed)
            other, truth = weak_features(count, 3000, seed + 1000)
            models = sgd(x, y, Seed(seed), 0.0), LogisticRegression(max_iter=1000).fit(x, y)
            sizes.append([abs(one.predict(other).mean() - truth.mean()) for one in models])
        found[count] = np.mean(sizes, axis=0)
    assert found[200][0] > found[0][0] + 0.03
    assert found[200][1] < found[200][0] / 2


def test_a_model_that_learnt_its_rows_is_pruned_by_a_model_of_half_of_them() -> None:
    x, y = weak_features(200, 400, 0)
    other, truth = weak_features(200, 1000, 1)
    case = assay.case(assay.wrap(sgd(x, y, Seed(0), 0.0)), other[:40])
    with pytest.raises(CapabilityError, match="Give a recipe"):
        repair.prune_experts(case, train=(x, y), held_out=(other, truth))
    found = repair.prune_experts(case, train=(x, y), held_out=(other, truth), recipe=Recipe(sgd, x, y))
    assert "with a model of half of the rows, on the 200 others" in found.change
    assert {"accuracy, mean of retrained models", "prediction bias, threshold shift"} <= set(found.after)
    assert abs(found.after["prediction bias"]) < 1
    again = repair.prune_experts(case, train=(x, y), held_out=(other, truth), recipe=Recipe(sgd, x, y))
    assert again.after == found.after
    shifted = repair.threshold_shift(case, train=(x, y), held_out=(other, truth), recipe=Recipe(sgd, x, y))
    assert "each unseen by one of 3 models" in shifted.change
    assert_allclose(shifted.after["prediction bias"], found.after["prediction bias, threshold shift"])


def test_the_converged_fit_and_the_shift_are_those_of_the_same_columns_and_rows() -> None:
    train, test = drawn(600, 0), drawn(1000, 1)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=2000)).fit(*train)
    model[-1].coef_[0, 2:] += 0.3  # a converged fit that somebody spoilt
    model[-1].intercept_ += 0.4
    found = repair.prune_experts(assay.case(assay.wrap(model), test[0][:40]), train=train, held_out=test)
    right = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=2000)).fit(*train)
    assert_allclose(found.after["accuracy, converged fit"], (right.predict(test[0]) == test[1]).mean(), atol=2e-3)


def test_other_models_and_too_few_rows_are_refused() -> None:
    x, y = drawn(100, 0)
    rows = {"train": (x, y), "held_out": (x, y)}
    with pytest.raises(CapabilityError, match="neither a linear classifier nor a torch net"):
        repair.prune_experts(assay.case(assay.wrap(RandomForestClassifier(5).fit(x, y)), x), **rows)
    three = np.arange(100) % 3
    model = assay.wrap(LogisticRegression().fit(x, three))
    with pytest.raises(CapabilityError, match="more than two classes"):
        repair.prune_experts(assay.case(model, x), train=(x, three), held_out=(x, three))
    with pytest.raises(InputError, match="at least 20"):
        repair.prune_experts(assay.case(assay.wrap(planted()), x), train=(x[:10], y[:10]), held_out=(x, y))
