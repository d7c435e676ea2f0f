"""The use of features: the closed form is the optimal likelihood ratio, and a planted cue is named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy import stats as scipy_stats
from sklearn.linear_model import LogisticRegression

import assay
from assay import diagnose
from assay.basics.errors import InputError
from assay.basics.seed import Seed
from assay.engine.audit_inputs import AuditInputs, call_on_inputs
from assay.engine.privacy.feature_use import FeatureUse, bayes_score
from assay.nouns.catalogue import find
from assay.nouns.results.finding import Finding


def test_in_a_world_of_independent_normals_the_score_is_the_log_likelihood_ratio_of_membership() -> None:
    generator = np.random.default_rng(0)
    spread, means = 1.3, generator.normal(size=(3, 5))
    empirical = means + 0.2 * generator.normal(size=(3, 5))
    x, y = generator.normal(size=(20, 5)), generator.integers(3, size=20)
    weights, proxy = empirical / spread**2, means / spread**2
    bias, proxy_bias = (-0.5 * (one**2).sum(axis=1) / spread**2 for one in (empirical, means))
    right = (scipy_stats.norm.logpdf(x, empirical[y], spread) - scipy_stats.norm.logpdf(x, means[y], spread)).sum(
        axis=1
    )
    assert_allclose(bayes_score(weights, bias, proxy, proxy_bias, x, y), right)


def line(x: Any, y: Any, seed: Seed = Seed(), strength: float = 0.0) -> Any:
    """A logistic regression as a linear net of two classes."""
    fitted = LogisticRegression(C=100.0 / (1 + 1e4 * strength), max_iter=2000).fit(x, y)
    net = torch.nn.Linear(x.shape[1], 2).double()
    with torch.no_grad():
        net.weight.copy_(torch.as_tensor(np.stack([-fitted.coef_[0], fitted.coef_[0]]) / 2))
        net.bias.copy_(torch.as_tensor([-fitted.intercept_[0], fitted.intercept_[0]]) / 2)
    return assay.model.torch(net, gives="logits", classes=("0", "1"))


def test_the_use_of_features_of_a_linear_model_is_its_coefficients() -> None:
    generator = np.random.default_rng(1)
    x, y = generator.normal(size=(60, 4)), generator.integers(2, size=60)
    model = line(x, y)
    use = FeatureUse.of(assay.case(model, x), y, 2)
    weights, bias = (one.detach().numpy() for one in model.net.parameters())
    assert_allclose(use.weights, [weights[0] - weights[1], weights[1] - weights[0]], atol=1e-8)
    assert_allclose(use.bias, [bias[0] - bias[1], bias[1] - bias[0]], atol=1e-8)


def found_with(share: float, seed: int = 0, strength: float = 0.0, unseen: int = 400) -> Finding:
    """A linear model of 25 columns; the last marks a share of one class among the training rows, and of no others."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(150 + unseen, 25))
    y = (x[:, 0] + generator.normal(size=len(x)) > 0).astype(int)
    x[:, -1] = 0.3 * generator.normal(size=len(x))
    x[:150, -1] += (generator.random(150) < share) & (y[:150] == 1)
    recipe = assay.Recipe(lambda x, y, seed, more: line(x, y, seed, strength), x[:150], y[:150])
    model = line(x[:150], y[:150], strength=strength)
    (found,) = diagnose.feature_use(assay.case(model, x[150:], seed=seed), y[150:], recipe)
    return found


def test_a_cue_of_the_training_rows_alone_is_found_and_named() -> None:
    found = found_with(0.8)
    assert found.interval is not None
    assert found.interval.low > 0.55
    assert found.evidence["features used most differently"][0] == "24"
    assert found.evidence["gain over the loss"] > 0


def null_runs(runs: int) -> int:
    """How often the area lies outside its null interval where the model was trained on rows that nobody knows."""
    outside = 0
    for seed in range(runs):
        generator = np.random.default_rng(1000 + seed)
        x = generator.normal(size=(330, 6))
        y = (x[:, 0] + generator.normal(size=len(x)) > 0).astype(int)
        recipe = assay.Recipe(line, x[:60], y[:60])
        case = assay.case(line(x[270:], y[270:]), x[60:270], seed=seed)
        (found,) = diagnose.feature_use(case, y[60:270], recipe, proxies=1)
        assert found.null_interval is not None
        outside += found.estimate not in found.null_interval
    return outside


def test_where_membership_is_permuted_few_runs_lie_outside_the_null_interval() -> None:
    assert null_runs(20) <= 4


@pytest.mark.judge
def test_where_membership_is_permuted_at_most_16_of_200_runs_lie_outside_the_null_interval() -> None:
    assert null_runs(200) <= 16


def test_too_few_unseen_rows_for_proxies_are_not_run() -> None:
    found = found_with(0.0, unseen=290)
    assert found.verdict == "not run"
    assert "290 unseen rows are too few for proxies of a model trained on 150 rows" in found.claim
    generator = np.random.default_rng(1)
    x, y = generator.normal(size=(60, 4)), generator.integers(2, size=60)
    with pytest.raises(InputError, match="proxies=0"):
        diagnose.feature_use(assay.case(line(x, y), x), y, assay.Recipe(line, x, y), proxies=0)


@pytest.mark.parametrize("name", ["feature_use", "explanation_membership"])
def test_the_attacks_ask_the_models_no_more_than_they_declare(name: str) -> None:
    generator = np.random.default_rng(1)
    x = torch.as_tensor(generator.normal(size=(240, 4)))
    y = generator.integers(2, size=240)
    recipe = assay.Recipe(lambda x, y, seed, strength: line(np.asarray(x), y), x[:60], y[:60])
    inputs = AuditInputs(line(x[:60].numpy(), y[:60]), x[60:], y[60:], train=(x[:60], y[:60]), recipe=recipe)
    method, meter = find("diagnose", name), inputs.model.meter
    before = meter.requested, meter.backwards
    (found,) = call_on_inputs(method, inputs)
    assert found.verdict == "informative"
    spent = meter.requested - before[0], meter.backwards - before[1]
    assert method.audit_cost is not None
    declared = method.audit_cost(inputs)
    assert spent[0] <= declared.forwards <= 2 * spent[0]
    assert spent[1] <= declared.backwards <= 1.2 * spent[1]
