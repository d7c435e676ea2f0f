"""Changed labels: effects are those of the closed form, the worst ones harm more than random ones, costs are exact."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

import assay
from assay import attack
from assay.basics.errors import CapabilityError, InputError
from assay.engine.cost import cost_of
from assay.engine.influence.read_fit import read_estimator
from assay.engine.influence.training_rows import training_case
from assay.engine.poisoning.label_flips import flip_effects, refitted, worst_flips
from assay.nouns.catalogue import find


def cancer() -> tuple[np.ndarray, np.ndarray]:
    x, y = load_breast_cancer(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    return StandardScaler().fit_transform(x)[order], y[order]


def logistic() -> tuple[assay.Case, Any, Any]:
    x, y = cancer()
    fitted = LogisticRegression(C=1.0, max_iter=5000, tol=1e-10).fit(x[:280], y[:280])
    return assay.case(assay.wrap(fitted), x[280:], label=None), (x[:280], y[:280]), y[280:]


def test_the_effect_of_a_label_of_ridge_regression_is_the_closed_form() -> None:
    """β′ = β + (XᵀX + λI)⁻¹ xᵢ Δy; the loss at the tests is compared with the model fitted again."""
    generator = np.random.default_rng(0)
    x, tests = generator.normal(size=(30, 3)), generator.normal(size=(9, 3))
    y, true = x @ [1.0, -2.0, 0.5] + generator.normal(size=30), tests @ [1.0, -2.0, 0.5] + generator.normal(size=9)
    fitted = Ridge(alpha=2.0, fit_intercept=False).fit(x, y)
    case = assay.case(assay.wrap(fitted), tests)
    fit, _ = read_estimator(case, training_case(case, (x, y)), 0.0)
    effects, moved = flip_effects(fit, tests, true)
    inverse = np.linalg.inv(x.T @ x + 2.0 * np.eye(3))
    for row in range(30):
        change = inverse @ x[row] * (moved[row] - y[row])
        np.testing.assert_allclose(effects[row], ((tests @ fitted.coef_ - true) @ tests / 9) @ change, atol=1e-9)
    flips = worst_flips(fit, tests, true, 4)
    found = attack.labels(case, train=(x, y), labels=true, share=4 / 30)
    assert found.extra["changed"].shape == (4,)
    chosen = found.extra["changed"].astype(int)
    other = y.copy()
    other[chosen] = found.extra["label"]
    again = Ridge(alpha=2.0, fit_intercept=False).fit(x, other)
    np.testing.assert_allclose(found.after, (again.predict(tests) - true) ** 2, atol=1e-9)
    assert (np.isin(flips.labels[flips.which], [y.min(), y.max()])).all()


def test_the_model_after_the_flips_is_the_one_that_training_gives() -> None:
    case, train, true = logistic()
    found = attack.labels(case, train=train, labels=true, share=0.1)
    other = train[1].copy()
    other[found.extra["changed"].astype(int)] = found.extra["label"].astype(int)
    again = LogisticRegression(C=1.0, max_iter=5000, tol=1e-10).fit(train[0], other)
    chance = again.predict_proba(case.rows.x)[np.arange(len(true)), true]
    np.testing.assert_allclose(found.after, chance, atol=2e-4)
    assert (other != train[1]).sum() == 28


def test_flips_by_influence_harm_more_than_random_ones_and_more_harm_more() -> None:
    case, train, true = logistic()
    found = [attack.labels(case, train=train, labels=true, share=share).validity for share in (0.05, 0.2)]
    for one in found:
        assert one["accuracy"] < one["accuracy after random changes"] - 0.02
        assert one["accuracy, limits"][0] <= one["accuracy"] <= one["accuracy, limits"][1]
    assert found[1]["accuracy"] < found[0]["accuracy"] < found[0]["accuracy before"]


def test_effects_of_softmax_and_of_a_single_score_are_the_same() -> None:
    case, train, true = logistic()
    fit, _ = read_estimator(case, training_case(case, train), 0.0)
    effects, moved = flip_effects(fit, fit.tests, true)
    assert (moved == 1 - train[1]).all()
    from dataclasses import replace

    half = fit.weights / 2
    wide = replace(fit, weights=np.concatenate([-half, half]), link="softmax", penalty=2 * fit.penalty)
    np.testing.assert_allclose(flip_effects(wide, fit.tests, true)[0], effects, atol=1e-6)


def test_the_last_layer_of_a_net_is_attacked_with_the_layers_before_held_fixed() -> None:
    x, y = cancer()
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(30, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2)).double()
    optimiser = torch.optim.LBFGS(net.parameters(), max_iter=60)

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(net(torch.as_tensor(x[:280])), torch.as_tensor(y[:280]))
        loss = loss + 0.005 * sum((weight**2).sum() for weight in net.parameters())
        loss.backward()
        return loss

    optimiser.step(closure)
    case = assay.case(assay.wrap(net), torch.as_tensor(x[280:]), label=None)
    found = attack.labels(case, train=(torch.as_tensor(x[:280]), y[:280]), labels=y[280:], share=0.1, weight_decay=0.01)
    assert found.validity["accuracy"] < found.validity["accuracy after random changes"]


def test_the_cost_is_exact_and_the_same_seed_gives_the_same_bytes() -> None:
    case, train, true = logistic()
    meter, _ = case.model.meter, (case.output, case.prediction)
    before, options = meter.requested, {"train": train, "labels": true}
    found = attack.labels(case, **options)
    assert meter.requested - before == cost_of(find("attack", "labels"), case, options).forwards
    assert attack.labels(case, **options).random.tobytes() == found.random.tobytes()


def test_other_models_and_shares_are_refused() -> None:
    case, train, _ = logistic()
    with pytest.raises(InputError, match="share"):
        attack.labels(case, train=train, share=1.0)
    with pytest.raises(CapabilityError, match="LogisticRegression"):
        attack.labels(assay.case(assay.wrap(lambda rows: rows[:, 0], output="values"), train[0][:5]), train=train)


def test_effects_of_single_flips_rank_as_the_models_fitted_again() -> None:
    case, train, true = logistic()
    fit, _ = read_estimator(case, training_case(case, train), 0.0)
    effects, moved = flip_effects(fit, fit.tests, true)

    def loss(labels: np.ndarray) -> float:
        scores = fit.tests @ refitted(fit, labels).weights[0]
        return float(np.logaddexp(0, np.where(true == 1, -scores, scores)).mean())

    before, found = loss(np.array(fit.labels)), []
    for row in range(0, 280, 5):
        labels = np.array(fit.labels)
        labels[row] = moved[row]
        found.append(loss(labels) - before)
    assert spearmanr(effects[::5], found)[0] >= 0.8
