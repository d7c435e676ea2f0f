"""Membership inference with shadow models: found where a model memorises, not where it does not, and reached."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

import assay
from assay import diagnose
from assay.auditing.audit import prepare
from assay.basics.errors import CapabilityError, InputError
from assay.basics.seed import Seed
from assay.engine.audit_inputs import AuditInputs, call_on_inputs
from assay.engine.privacy.shadow_training import ShadowTrainer
from assay.nouns.catalogue import find
from assay.nouns.results.finding import Finding

G = np.random.default_rng(0)
X = G.normal(size=(400, 5))
NOISE = G.integers(2, size=400)


def forest(x: Any, y: Any, seed: Seed, strength: float) -> Any:
    leaf = 1 + int(30 * strength)
    return RandomForestClassifier(15, min_samples_leaf=leaf, random_state=seed.entropy % 2**31).fit(x, y)


class Centroids:
    """Class means: scores are minus the squared distances. It has few parameters and trains in no time."""

    def __init__(self, x: Any, y: Any) -> None:
        self.centres = np.stack([x[y == label].mean(axis=0) for label in (0, 1)])

    def __call__(self, x: Any) -> Any:
        return -((x[:, None] - self.centres) ** 2).sum(axis=2)


def centroids(x: Any, y: Any, seed: Seed = Seed(), strength: float = 0.0) -> Any:
    return assay.model.function(Centroids(x, y), gives="logits", classes=("0", "1"), name="centroids")


def found_in(recipe: assay.Recipe, model: Any, x: Any, y: Any, **options: Any) -> dict[str, Finding]:
    findings = diagnose.shadow_membership(assay.case(assay.wrap(model), x), y, recipe, **options)
    return {finding.code: finding for finding in findings}


@cache
def of_a_forest() -> dict[str, Finding]:
    recipe = assay.Recipe(forest, X[:200], NOISE[:200], regularises=True)
    return found_in(recipe, forest(X[:200], NOISE[:200], Seed(1), 0), X[200:], NOISE[200:], shadows=16)


@cache
def of_a_net() -> dict[str, Finding]:
    """Digits with a fifth of the training labels wrong, learnt by heart by a perceptron."""
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(1).permutation(len(x))[:700]
    x, y = (x[order] / 16).astype(np.float32), y[order]
    y[:350:7] = (y[:350:7] + 1) % 10
    net = torch.nn.Sequential(torch.nn.Linear(64, 48), torch.nn.ReLU(), torch.nn.Linear(48, 10))
    recipe = ShadowTrainer(net, epochs=40, batch=32, rate=5e-3).recipe(x[:350], y[:350], list("0123456789"))
    model = recipe.train(recipe.x, recipe.y, Seed(3))
    return found_in(recipe, model, x[350:], y[350:], shadows=16)


def test_a_forest_that_memorises_random_labels_fails_and_the_evidence_is_complete() -> None:
    found = of_a_forest()["PRV104"]
    assert found.verdict == "fail"
    assert found.estimate > 5
    assert found.interval is not None
    assert found.null_interval is not None
    assert found.null_interval.low <= 1.0 <= found.null_interval.high < found.estimate
    assert found.affected == found.evidence["true positive rate"]
    assert found.evidence["false positive rate"] <= found.evidence["rate used"] == 10 / 200
    assert {"loss", "LiRA", "LiRA, offline", "Student's t", "RMIA"} <= set(found.evidence["attacks"])
    prior = found.evidence["precision at a prior of 10%"]
    assert prior > found.evidence["precision at a prior of 1%"] > 0.01
    assert len(found.rows) == round(found.affected * 200)
    assert sum(int(text.split(" of ")[0]) for text in found.evidence["classes at risk"].values()) == len(found.rows)


def test_training_rows_with_wrong_labels_are_most_at_risk_in_a_net_trained_as_one_program() -> None:
    findings = of_a_net()
    found = findings["PRV104"]
    assert found.verdict == "fail"
    wrong = {str(row) for row in range(0, 350, 7)}
    assert len(wrong & set(found.rows[:20])) >= 16
    table = found.evidence["attacks"]
    assert table["Student's t"]["true positive rate"] > 2 * table["loss"]["true positive rate"]
    assert findings["PRV105"].estimate > 0.55
    stability = findings["PRV106"]
    assert stability.estimate > 0.4
    assert not stability.evidence["same model with any seed"]
    assert stability.evidence["called on both"] <= stability.evidence["called on this model"]


def test_a_model_of_two_means_does_not_fail_and_passes_with_enough_rows() -> None:
    x, y = G.normal(size=(2400, 3)), G.integers(2, size=2400)
    recipe = assay.Recipe(centroids, x[:1200], y[:1200])
    found = found_in(recipe, centroids(x[:1200], y[:1200]), x[1200:], y[1200:], shadows=8)
    assert found["PRV104"].verdict == "pass"
    assert 0.45 < found["PRV105"].estimate < 0.56


def null_runs(runs: int) -> tuple[int, int]:
    """How often the ratio lies outside its null interval, and how often it fails, where the rows are not members."""
    outside = failed = 0
    for run in range(runs):
        generator = np.random.default_rng(100 + run)
        x, y = generator.normal(size=(360, 3)), generator.integers(2, size=360)
        other, labels = generator.normal(size=(120, 3)), generator.integers(2, size=120)
        found = found_in(
            assay.Recipe(centroids, x[:120], y[:120]), centroids(other, labels), x[120:], y[120:], shadows=4
        )
        null = found["PRV104"].null_interval
        assert null is not None
        outside += not null.low - 1e-9 <= found["PRV104"].estimate <= null.high + 1e-9
        failed += found["PRV104"].verdict == "fail"
    return outside, failed


def test_where_membership_is_permuted_few_runs_lie_outside_the_null_interval_and_none_fail() -> None:
    outside, failed = null_runs(20)
    assert outside <= 4
    assert failed == 0


@pytest.mark.judge
def test_where_membership_is_permuted_at_most_16_of_200_runs_lie_outside_the_null_interval() -> None:
    outside, failed = null_runs(200)
    assert outside <= 16
    assert failed == 0


def test_each_shadow_model_is_trained_on_its_half_of_both_sides_and_one_more_on_the_training_rows() -> None:
    sizes: list[int] = []
    seen: set[bytes] = set()

    def fit(x: Any, y: Any, seed: Seed, strength: float) -> Any:
        sizes.append(len(x))
        seen.update(row.tobytes() for row in x)
        return centroids(x, y)

    recipe = assay.Recipe(fit, X[:100], NOISE[:100])
    found_in(recipe, centroids(X[:100], NOISE[:100]), X[100:160], NOISE[100:160], shadows=6)
    assert sorted(sizes) == [80] * 6 + [100]
    assert seen == {row.tobytes() for row in X[:160]}


def test_unseen_rows_that_are_training_rows_are_left_out_and_counted() -> None:
    recipe = assay.Recipe(centroids, X[:100], NOISE[:100])
    outside, labels = np.concatenate([X[100:160], X[:7]]), np.concatenate([NOISE[100:160], NOISE[:7]])
    found = found_in(recipe, centroids(X[:100], NOISE[:100]), outside, labels, shadows=4)["PRV104"]
    assert (found.evidence["copies"], found.evidence["outside"]) == (7, 60)


def test_shadow_models_get_frames_and_names_of_classes_in_the_callers_form() -> None:
    generator = np.random.default_rng(3)
    frame = pd.DataFrame({"a": generator.normal(size=120), "job": generator.choice(["cook", "nurse"], 120)})
    names = np.where(frame["a"] + generator.normal(size=120) > 0, "yes", "no")
    got: list[Any] = []

    def fit(x: Any, y: Any, seed: Seed, strength: float) -> Any:
        got.append((x, y))
        encode = make_column_transformer((OneHotEncoder(), ["job"]), remainder="passthrough")
        return make_pipeline(encode, LogisticRegression()).fit(x, y)

    recipe = assay.Recipe(fit, frame[:80], pd.Series(names[:80]))
    found = found_in(recipe, fit(frame[:80], names[:80], Seed(), 0), frame[80:], names[80:], shadows=4)["PRV104"]
    assert found.verdict in ("pass", "undecided")
    for x, y in got[1:]:
        assert list(x.columns) == ["a", "job"]
        assert x["job"].dtype == frame["job"].dtype
        assert set(y) <= {"yes", "no"}


def test_shadow_models_of_texts_are_trained_on_lists_of_texts_and_a_recipe_without_randomness_is_said() -> None:
    generator = np.random.default_rng(0)
    words = ["good", "bad", "fine", "awful", "nice", "poor", "film", "plot", "actor", "scene"]
    texts, labels = [" ".join(generator.choice(words, 6)) for _ in range(90)], generator.integers(2, size=90)

    def fit(x: Any, y: Any, seed: Seed, strength: float) -> Any:
        assert isinstance(x, list)
        return make_pipeline(TfidfVectorizer(), LogisticRegression(C=100)).fit(x, y)

    found = found_in(assay.Recipe(fit, texts[:40], labels[:40]), fit(texts[:40], labels[:40], Seed(), 0), texts[40:],
                     labels[40:], shadows=4)  # fmt: skip
    assert found["PRV104"].evidence["outside"] + found["PRV104"].evidence["copies"] == 50
    assert found["PRV106"].evidence["same model with any seed"]
    assert "the same model with any seed" in found["PRV106"].claim


def test_forests_whose_probabilities_are_zero_and_one_have_finite_scores() -> None:
    def fit(x: Any, y: Any, seed: Seed, strength: float) -> Any:
        return RandomForestClassifier(5, random_state=0, bootstrap=False).fit(x, y)

    recipe = assay.Recipe(fit, X[:100], NOISE[:100])
    found = found_in(recipe, fit(X[:100], NOISE[:100], Seed(), 0), X[100:200], NOISE[100:200], shadows=8)
    for line in found["PRV104"].evidence["attacks"].values():
        assert np.isfinite(line["auc"])
    assert found["PRV104"].verdict == "fail"


def test_the_same_seed_gives_the_same_findings_and_another_seed_others() -> None:
    recipe = assay.Recipe(forest, X[:60], NOISE[:60])
    model = assay.wrap(forest(X[:60], NOISE[:60], Seed(1), 0))

    def run(seed: int) -> Any:
        case = assay.case(model, X[60:120], seed=seed)
        return [(f.claim, f.rows) for f in diagnose.shadow_membership(case, NOISE[60:120], recipe, shadows=6)]

    assert run(0) == run(0)
    assert run(0) != run(1)


def test_too_few_unseen_rows_are_not_run_and_what_does_not_fit_is_refused() -> None:
    model, recipe = centroids(X[:100], NOISE[:100]), assay.Recipe(centroids, X[:100], NOISE[:100])
    few = found_in(recipe, model, X[100:119], NOISE[100:119], shadows=4)
    assert {finding.verdict for finding in few.values()} == {"not run"}
    assert "19 unseen rows are too few" in few["PRV104"].claim
    with pytest.raises(InputError, match="even number"):
        found_in(recipe, model, X[100:], NOISE[100:], shadows=5)
    with pytest.raises(InputError, match="no training row of the recipe has"):
        found_in(assay.Recipe(centroids, X[:100], np.zeros(100, int)), model, X[100:], NOISE[100:], shadows=4)
    with pytest.raises(CapabilityError, match="needs a classifier"):
        found_in(recipe, assay.model.function(lambda x: x[:, 0]), X[100:], NOISE[100:], shadows=4)
    many = assay.Recipe(centroids, X[:100], NOISE[:100], fit_many=lambda x, y, m, s, t: [model])
    with pytest.raises(InputError, match="fit_many returned 1"):
        found_in(many, model, X[100:], NOISE[100:], shadows=4)


def test_only_a_deep_audit_and_one_that_gives_it_options_attack_with_shadow_models() -> None:
    def steps(profile: str, **given: Any) -> set[str]:
        recipe = assay.Recipe(forest, X[:200], NOISE[:200], regularises=True)
        prepared = prepare(
            forest(X[:200], NOISE[:200], Seed(1), 0), X[200:], NOISE[200:], train=(X[:200], NOISE[:200]), recipe=recipe,
            profile=profile, **given,
        )  # fmt: skip
        return {step.method for step in prepared.plan.steps if step.verb == "diagnose" and not step.subject}

    assert "shadow_membership" not in steps("standard")
    assert "shadow_membership" in steps("deep")
    assert "shadow_membership" in steps("quick", options={"shadow_membership": {"shadows": 4}})


def test_an_audit_runs_the_attack_and_a_refit_is_attacked_with_shadow_models_of_its_own_strength() -> None:
    strengths: list[float] = []

    def fit(x: Any, y: Any, seed: Seed, strength: float) -> Any:
        strengths.append(strength)
        return forest(x, y, seed, strength)

    recipe = assay.Recipe(fit, X[:200], NOISE[:200], regularises=True)
    outcome = assay.audit(
        forest(X[:200], NOISE[:200], Seed(1), 0), X[200:], NOISE[200:], train=(X[:200], NOISE[:200]), recipe=recipe,
        profile="quick", options={"shadow_membership": {"shadows": 8}}, select=("PRV",),
    )  # fmt: skip
    findings = {finding.code: finding for finding in outcome.record.findings}
    assert findings["PRV104"].verdict == "fail"
    (repaired,) = [one for one in outcome.record.repairs if one.method == "refit"]
    after = {finding.code: finding for finding in repaired.after}
    assert after["PRV104"].estimate < findings["PRV104"].estimate
    assert after["PRV104"].verdict != "fail"
    assert strengths.count(0.0) == 9
    assert strengths.count(1.0) == 10  # the refit itself, and its shadow models


def test_the_cost_is_all_rows_for_the_model_and_for_every_model_trained() -> None:
    recipe = assay.Recipe(centroids, X[:100], NOISE[:100])
    inputs = AuditInputs(
        assay.wrap(centroids(X[:100], NOISE[:100])), X[100:160], NOISE[100:160].tolist(), recipe=recipe,
        options={"shadow_membership": {"shadows": 6}},
    )  # fmt: skip
    method = find("diagnose", "shadow_membership")
    before = inputs.model.meter.requested
    call_on_inputs(method, inputs)
    assert method.audit_cost is not None
    assert method.audit_cost(inputs).forwards == 160 * 8
    assert inputs.model.meter.requested - before <= 160 * 8
