"""The audit as a user meets it."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import assay
from assay.auditing.run import Run
from assay.basics.errors import InputError
from assay.report.audit.page import render


@pytest.fixture(scope="module")
def cancer():
    data = load_breast_cancer(as_frame=True)
    x, y = data.data.iloc[:, :6], data.target
    return x.iloc[:300], y.iloc[:300], x.iloc[300:], y.iloc[300:]


@pytest.fixture(scope="module")
def run(cancer):
    x, y, held_out, truth = cancer
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(x, y)
    return assay.audit(model, held_out, truth, train=(x, y), profile="quick", seed=3)


def test_every_candidate_gets_a_verdict(run):
    candidates = {name for name in run.record.explanations if name not in run.record.references}
    assert {finding.subject for finding in run.all("TRU001")} == candidates


def test_shapley_of_a_logistic_model_is_to_be_used(run):
    verdicts = {finding.subject: finding.verdict for finding in run.all("TRU001")}
    assert verdicts["shapley"] == "pass"


def test_the_random_reference_is_scored_and_never_judged(run):
    assert ("random", "deletion") in run.record.scores
    assert "random" not in {finding.subject for finding in run.findings}


def test_an_honest_linear_model_leaks_nothing_provable(run):
    assert run["PRV101"].verdict != "fail"


def test_a_memorising_forest_is_caught_and_its_repair_leaks_less(cancer):
    x, y, held_out, truth = cancer
    noisy = y.copy()
    flip = np.random.default_rng(0).random(len(y)) < 0.3
    noisy[flip] = 1 - noisy[flip]

    def fit(rows, labels, seed, strength):
        leaf = 1 if strength == 0 else 40
        return RandomForestClassifier(30, min_samples_leaf=leaf, bootstrap=strength > 0, random_state=0).fit(
            rows, labels
        )

    recipe = assay.Recipe(fit, x, noisy, regularises=True)
    model = fit(x, noisy, None, 0.0)
    run = assay.audit(model, held_out, truth, train=(x, noisy), recipe=recipe, profile="quick")
    assert run["PRV101"].verdict == "fail"
    assert not run.passed
    (repair_record,) = [one for one in run.record.repairs if one.method == "refit"]
    after = next(finding for finding in repair_record.after if finding.code == "PRV101")
    assert after.estimate < run["PRV101"].estimate / 2
    judged = {finding.code for finding in repair_record.after if finding.subject == "shapley"}
    assert {"TRU001", "EXP101", "EXP201", "EXP202", "EXP203"} <= judged


def test_a_repair_that_is_refused_is_told_and_ends_nothing(cancer):
    x, y, held_out, truth = cancer
    noisy = np.where(np.random.default_rng(0).random(len(y)) < 0.3, 1 - y, y)

    def fit(rows, labels, seed, strength):
        forest = RandomForestClassifier(20, bootstrap=False, random_state=0)
        return forest.fit(rows, labels if strength == 0 else labels + 1)  # other classes than the model's

    recipe = assay.Recipe(fit, x, noisy, regularises=True)
    run = assay.audit(fit(x, noisy, None, 0.0), held_out, truth, train=(x, noisy), recipe=recipe, profile="quick")
    assert run["PRV101"].verdict == "fail"
    (refusal,) = [r for r in run.record.refusals if r.verb == "repair" and "refit" in r.method]
    assert refusal.kind == "CapabilityError"
    assert "refit" not in {record.method for record in run.record.repairs}


def test_the_price_printed_before_is_what_is_asked(cancer):
    x, y, held_out, _truth = cancer
    events = []
    model = assay.wrap(LogisticRegression(max_iter=5000).fit(x, y))
    run = assay.audit(model, held_out.iloc[:20], profile="quick", progress=lambda *event: events.append(event))
    assert events[0][0] == "plan"
    assert events[-1][0] == "end"
    cost = run.record.cost
    assert cost["model evaluations requested"] == cost["model evaluations requested, planned"]
    assert 0 < cost["model evaluations"] <= cost["model evaluations requested"]
    assert f"{cost['model evaluations requested']:,} model evaluations and 0 gradient evaluations" in events[0][1]


def test_what_was_not_run_is_said_with_what_enables_it(run):
    reasons = {item.what: item for item in run.record.not_run}
    assert "sensitive=" in reasons["diagnose.disparity"].enable
    assert "gradients" in reasons["explain.saliency"].why


def test_rows_left_out_are_told(run):
    assert any("60 of 269 rows" in limit for limit in run.record.limits)


def test_the_json_has_a_schema_number_and_no_undefined_numbers(run):
    plain = json.loads(run.to_json())
    assert plain["schema"] == 3
    assert {"findings", "scores", "not_run", "limits", "cost"} <= set(plain)


def test_the_folder_holds_result_page_and_arrays(run, tmp_path):
    page = run.save(tmp_path / "audit")
    assert page.read_text().startswith("<!doctype html>")
    assert json.loads((tmp_path / "audit" / "result.json").read_text())["title"] == run.record.title
    again = Run.load(tmp_path / "audit")
    np.testing.assert_array_equal(
        again.record.explanations["shapley"].values, run.record.explanations["shapley"].values
    )
    assert again.to_json() == run.to_json()


def test_the_same_seed_gives_the_same_findings(cancer):
    x, y, held_out, truth = cancer
    model = LogisticRegression(max_iter=5000).fit(x, y)
    first, second = (assay.audit(model, held_out.iloc[:20], truth.iloc[:20], profile="quick", seed=5) for _ in range(2))
    assert [f.estimate for f in first.findings] == pytest.approx(
        [f.estimate for f in second.findings], rel=0, abs=0, nan_ok=True
    )


def test_frames_are_left_alone(cancer):
    x, y, held_out, truth = cancer
    copy = held_out.copy()
    assay.audit(LogisticRegression(max_iter=5000).fit(x, y), held_out, truth, profile="quick")
    pd.testing.assert_frame_equal(held_out, copy)


def test_a_sensitive_column_that_does_not_exist_is_named(cancer):
    x, y, held_out, _truth = cancer
    with pytest.raises(InputError, match="nationality"):
        assay.audit(
            LogisticRegression(max_iter=5000).fit(x, y), held_out.iloc[:9], profile="quick", sensitive=("nationality",)
        )


def test_an_unknown_profile_lists_the_profiles(cancer):
    x, y, held_out, _truth = cancer
    with pytest.raises(InputError, match="quick, standard and deep"):
        assay.audit(LogisticRegression(max_iter=5000).fit(x, y), held_out, profile="thorough")


def test_a_code_that_was_not_checked_is_an_error(run):
    with pytest.raises(InputError, match="TRU001"):
        run["XYZ999"]


def test_a_net_on_small_pictures_is_audited_with_gradients_attacks_and_certificates():
    generator = torch.Generator().manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(16, 3),
    )
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    run = assay.audit(net, torch.rand(4, 1, 14, 14, generator=generator), profile="quick")
    assert {"mus", "soft_stability"} <= set(run.record.certificates)
    assert set(run.record.attack_results) == {"saliency"}
    assert ("integrated_gradients", "parameter_randomisation") in run.record.scores
    assert "edges" in run.record.references
    assert run.record.rivals


def test_a_table_is_audited_without_torch():
    code = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name=name)
sys.meta_path.insert(0, Absent())
import numpy as np
from sklearn.linear_model import LogisticRegression
import assay
x = np.random.default_rng(0).normal(size=(60, 4)); y = (x[:, 0] > 0).astype(int)
run = assay.audit(LogisticRegression().fit(x, y), x, y, profile="quick")
assert run["TRU001"].verdict, run
print("audited without torch")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "audited without torch" in done.stdout


def test_the_record_holds_the_axioms_of_the_methods_asked(run):
    axioms = run.record.axioms
    assert set(axioms) == set(run.record.explanations)
    assert axioms["shapley"]["completeness"] == "kept"
    assert axioms["random"]["completeness"] == "violated"
    assert json.loads(run.to_json())["axioms"] == {name: dict(found) for name, found in axioms.items()}


def test_an_audit_explains_the_target_and_the_class_that_it_is_given() -> None:
    x, y = load_breast_cancer(return_X_y=True)
    x = x[:, :3]
    model = LogisticRegression(max_iter=1000).fit(x[:300], y[:300])
    small = {"profile": "quick", "methods": ["occlusion"], "scores": ["deletion"], "select": ["TRU"]}
    run = assay.audit(model, x[300:340], y[300:340], target="log_odds", label=0, **small)
    found = run.record.explanations["occlusion"]
    case = assay.case(assay.wrap(model), x[300:340], target="log_odds", label=0)
    np.testing.assert_allclose(found.output, case.output)
    assert run.record.about["explained class"] == "0"
    assert "Each row is explained for class 0" in render(run.record)
    assert "target='log_odds', label=0" in run.record.reproduce
    with pytest.raises(InputError, match="label 7 does not exist"):
        assay.audit(model, x[300:340], y[300:340], label=7, **small)
