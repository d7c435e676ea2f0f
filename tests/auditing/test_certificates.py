"""Which certificates audits of each kind of model get: planned, or left out with a reason; never skipped silently."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import assay
from assay.auditing.audit import PreparedAudit, prepare
from assay.auditing.planning.certificates import NOISE
from assay.auditing.planning.profiles import DEPTHS, profile_of
from assay.nouns.catalogue import find

X = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int)
TEXTS = ["good film", "bad film", "a good plot", "a bad plot", "good", "bad"] * 4


def _net() -> Any:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(5, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2)).eval()


def _pictures() -> Any:
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(1, 2, 3, 2), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(2 * 9, 3)
    )
    return assay.wrap(net.eval(), output="logits", classes=["a", "b", "c"])


MODELS = {
    "net of a table": ("table", lambda: assay.wrap(_net(), output="logits", classes=["no", "yes"]), X),
    "forest": ("table", lambda: RandomForestClassifier(4, max_depth=3, random_state=0).fit(X, Y), X),
    "regression": ("table", lambda: RandomForestRegressor(4, max_depth=3, random_state=0).fit(X, X[:, 1]), X),
    "net of images": ("image", _pictures, np.random.default_rng(1).uniform(size=(6, 1, 8, 8)).astype(np.float32)),
    "texts": (
        "text",
        lambda: make_pipeline(CountVectorizer(), LogisticRegression()).fit(
            TEXTS, ["yes" if "good" in text else "no" for text in TEXTS]
        ),
        TEXTS[:6],
    ),
}


@functools.cache
def planned(name: str, depth: str) -> PreparedAudit:
    _, model, rows = MODELS[name]
    return prepare(model(), rows, profile=depth)


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("name", MODELS)
def test_every_certificate_of_the_profile_is_planned_or_left_out_with_a_reason(name: str, depth: str) -> None:
    plan = planned(name, depth).plan
    made = {step.method for step in plan.steps if step.verb == "certify"}
    reasons = {item.what.removeprefix("certify."): item.why for item in plan.skipped if item.what.startswith("certify")}
    for method in profile_of(MODELS[name][0], depth).certificates:
        assert (method in made) != (method in reasons), method
        assert method in made or len(reasons[method]) > 20


def test_a_certificate_that_has_a_line_enters_only_where_the_line_says() -> None:
    named = {depth: profile_of("table", depth).certificates for depth in DEPTHS}
    assert "bound_propagation" not in named["quick"]
    for depth in DEPTHS:
        made = {step.method for step in planned("net of a table", depth).plan.steps if step.verb == "certify"}
        assert ("bound_propagation" in made) == (depth != "quick")
        assert ("randomised_smoothing" in made) is False  # the columns of a table have no common unit


def test_the_noise_of_images_is_a_share_of_the_range_of_pixels() -> None:
    steps = {step.method: step for step in planned("net of images", "deep").plan.steps if step.verb == "certify"}
    assert steps["randomised_smoothing"].options["sigma"] == NOISE
    assert 0 < steps["smoothed_top_k"].options["radius"] < NOISE


def test_noise_that_is_given_reaches_a_table() -> None:
    _, model, rows = MODELS["net of a table"]
    given = {"certify.randomised_smoothing": {"sigma": 0.5}}
    steps = prepare(model(), rows, profile="deep", options=given).plan.steps
    assert next(step for step in steps if step.method == "randomised_smoothing").options["sigma"] == 0.5


def test_the_removal_is_tested_at_the_rows_and_not_in_the_ball() -> None:
    step = next(s for s in planned("net of a table", "standard").plan.steps if s.method == "removal_effect")
    assert step.options["ball"] is None
    assert step.cost.forwards == 2 * 40 * 40  # rows × fillings, with and without the top features


@pytest.mark.parametrize("name", ["net of a table", "net of images"])
def test_checks_of_certificates_inform_and_never_fail(name: str) -> None:
    _, model, rows = MODELS[name]
    few = {"shapley": {"budget": 64}, "saliency": {}}
    record = prepare(model(), rows[:14], profile="deep", methods=few, select=("CRT", "ATK1")).run().record
    found = {f.code: f for f in record.findings if f.code.startswith(("CRT", "ATK1"))}
    assert {"CRT101", "CRT102", "CRT103", "ATK101"} <= set(found)
    assert {f.verdict for f in found.values()} <= {"informative", "not applicable"}
    certificate = record.certificates["soft_stability"]
    assert found["CRT101"].estimate == pytest.approx(certificate.rate_low.mean())
    assert found["CRT101"].null == pytest.approx(certificate.control["rate_low"].mean())
    attacked = record.attack_results["pgd"]
    assert found["ATK101"].estimate == pytest.approx(attacked.success.mean())
    assert found["ATK101"].null == pytest.approx(1 - attacked.validity["random_robust_accuracy"])
    assert record.certified["soft_stability"].explanation == "shapley"
    assert set(record.certified) <= set(record.certificates)


def test_an_abstention_is_no_certified_row() -> None:
    case = assay.case(MODELS["net of images"][1](), MODELS["net of images"][2])
    found = assay.certify.mus(
        case, np.ones((6, len(case.features)), bool), smoothing=0.25, q=8, remove=assay.Constant(0.0)
    )
    certified = found.extra["certified"]
    np.testing.assert_array_equal(certified, np.where(found.abstained, 0, found.incremental >= 1))
    assert find("certify", "mus").checks[0].reads == "certified"
