"""What an audit says it will ask, and what it then asks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression

import assay
from assay.auditing.audit import prepare
from assay.auditing.planning.plan import Plan, Step, describe_plan
from assay.auditing.run import Run
from assay.basics.errors import InputError
from assay.model.model import Model
from assay.nouns.catalogue import Cost
from assay.nouns.records.store import load
from assay.nouns.results.result import Score


def table() -> tuple[Model, np.ndarray, np.ndarray]:
    x, y = load_breast_cancer(return_X_y=True)
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    return assay.wrap(LogisticRegression().fit(x[:300, :8], y[:300])), x[:, :8], y


def pictures() -> tuple[Model, torch.Tensor]:
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(4 * 196, 3)
    )
    return assay.wrap(net.eval()), torch.rand((3, 3, 14, 14), generator=torch.Generator().manual_seed(1))


def test_planning_asks_the_model_nothing() -> None:
    model, x, y = table()
    prepared = prepare(model, x[300:], y[300:], train=(x[:300], y[:300]), suspects=("0",))
    assert prepared.plan.cost.forwards > 0
    assert prepared.inputs.model.meter.forwards == 0


def test_a_table_is_asked_exactly_what_was_planned_and_for_rows_of_findings_at_most_what_is_said() -> None:
    model, x, y = table()
    options = {"train": (x[:300], y[:300]), "suspects": ("0", "1"), "profile": "quick"}
    evidence = prepare(model, x[300:], y[300:], **options).plan.evidence.forwards
    run = assay.audit(model, x[300:], y[300:], **options)
    cost = run.record.cost
    rows = cost["model evaluations requested"] - cost["model evaluations requested, planned"]
    assert 0 < rows <= evidence
    named = [f for f in run.findings if f.verdict in ("fail", "undecided") and f.rows_of == "data" and f.rows]
    assert any(f.features for f in named)
    run = assay.audit(model, x[300:360], y[300:360], **options)
    cost = run.record.cost
    assert cost["model evaluations requested"] == cost["model evaluations requested, planned"]
    assert {"SHC201", "SHC202", "DAT101", "PRV101"} <= {finding.code for finding in run.findings}


def test_pictures_are_asked_exactly_what_was_planned_forwards_and_backwards() -> None:
    model, x = pictures()
    run = assay.audit(model, x, profile="quick")
    cost = run.record.cost
    assert cost["model evaluations requested"] == cost["model evaluations requested, planned"]
    assert cost["gradient evaluations"] == cost["gradient evaluations, planned"] > 0
    assert {"top_k", "mus", "soft_stability"} <= {b.method for b in run.record.attack_results.values()} | set(
        run.record.certificates
    )


def test_groups_and_repairs_cost_at_most_what_is_said() -> None:
    model, x, y = table()
    group = np.where(x[300:, 0] > 0.5, "a", "b")
    prepared = prepare(model, x[300:], y[300:], sensitive={"group": group}, profile="quick")
    most = prepared.plan.cost.forwards + prepared.plan.at_most.forwards
    assert prepared.plan.at_most.forwards > 0
    assert "for steps whose size depends on the data" in describe_plan(prepared.plan)
    assert prepared.plan.cost.forwards < prepared.run().record.cost["model evaluations requested"] <= most


def test_selected_checks_alone_are_made_and_judged() -> None:
    model, x, y = table()
    run = assay.audit(model, x[300:], y[300:], train=(x[:300], y[:300]), select=("DAT", "EXP20"), profile="quick")
    assert {finding.code for finding in run.findings} == {
        "DAT101", "DAT102", "DAT103", "DAT104", "DAT105", "EXP201", "EXP202", "EXP203",
    }  # fmt: skip
    assert not run.record.certificates
    assert run.record.cost["model evaluations requested"] == run.record.cost["model evaluations requested, planned"]


def test_a_repair_is_planned_and_made_only_for_checks_that_are_wanted() -> None:
    model, x, y = table()
    recipe = assay.Recipe(lambda rows, labels, *_: LogisticRegression().fit(rows, labels), x[:300], y[:300])
    given = {"train": (x[:300], y[:300]), "recipe": recipe, "profile": "quick"}
    assert prepare(model, x[300:], y[300:], **given, select=("PRV",)).plan.at_most.forwards > 0
    without = prepare(model, x[300:], y[300:], **given, select=("EXP",))
    assert without.plan.at_most.forwards == 0
    assert without.run().record.repairs == ()


def test_ignored_checks_are_not_made() -> None:
    model, x, y = table()
    run = assay.audit(model, x[300:], y[300:], train=(x[:300], y[:300]), ignore=("DAT", "PRV1"), profile="quick")
    assert not {finding.code for finding in run.findings if finding.code[:3] in ("DAT", "PRV")}
    assert "EXP201" in {finding.code for finding in run.findings}


WRONG = {
    "too few labels": ({"y": [0] * 9}, "9 labels for 10 rows"),
    "a label that is no class": ({"y": [0] * 9 + [7]}, "label 7 does not exist"),
    "a training label that is no class": ({"y": [0] * 10, "train": (np.zeros((2, 8)), [0, 9])}, "label 9 does not"),
    "a favourable class that is none": ({"favourable": "gold"}, "favourable='gold' is no class"),
    "too few groups": ({"sensitive": {"age": ["a"] * 9}}, "9 groups of 'age' for 10 rows"),
    "a suspect that is no column": ({"suspects": ("branch",)}, r"suspects names \['branch'\]"),
}


@pytest.mark.parametrize(("given", "message"), WRONG.values(), ids=WRONG)
def test_what_does_not_fit_is_refused_before_the_model_is_evaluated(given: dict[str, object], message: str) -> None:
    model, x, _ = table()
    with pytest.raises(InputError, match=message):
        prepare(model, x[:10], **given)  # type: ignore[arg-type]  # wrong on purpose
    assert model.meter.forwards == 0


def test_methods_and_scores_of_ones_own_are_planned_priced_and_made() -> None:
    model, x = pictures()
    scores = {
        "morf": {"steps": 4},
        "deletion": {"steps": 4},
        "max_sensitivity": {"draws": 2},
        "average_sensitivity": {"draws": 2},
    }
    prepared = prepare(model, x, profile="quick", methods=["saliency", "occlusion"], scores=scores)
    assert [s.method for s in prepared.plan.steps if s.verb == "explain" and s.subject == ""][:2] == [
        "saliency",
        "occlusion",
    ]
    run = prepared.run()
    cost = run.record.cost
    assert cost["model evaluations requested"] == cost["model evaluations requested, planned"]
    assert (
        cost["model evaluations"] < cost["model evaluations requested"]
    )  # one curve and one neighbourhood serve two scores each
    assert {(name, score) for name, score in run.record.scores} >= {
        (name, score) for name in ("saliency", "occlusion", "random") for score in scores
    }
    assert "shapley" not in run.record.explanations


def test_a_second_score_of_the_same_neighbourhood_costs_no_pass() -> None:
    model, x = pictures()
    one = assay.audit(model, x, profile="quick", methods=["saliency"], scores={"max_sensitivity": {"draws": 3}})
    two = assay.audit(
        model,
        x,
        profile="quick",
        methods=["saliency"],
        scores={"max_sensitivity": {"draws": 3}, "average_sensitivity": {"draws": 3}, "local_lipschitz": {"draws": 3}},
    )
    assert two.record.cost["model evaluations"] == one.record.cost["model evaluations"]
    assert two.record.cost["gradient evaluations"] == one.record.cost["gradient evaluations"]


def test_options_and_scores_that_do_not_exist_are_refused_before_anything_runs() -> None:
    model, x = pictures()
    with pytest.raises(InputError, match=r"explain\.saliency has no option 'steps'"):
        prepare(model, x, methods={"saliency": {"steps": 3}})
    with pytest.raises(InputError, match=r"no method evaluate\.deletoin"):
        prepare(model, x, scores=["deletoin"])


def test_a_score_that_lacks_something_is_left_out_with_the_reason() -> None:
    model, x = pictures()
    prepared = prepare(model, x, methods=["saliency"], scores=["pointing_game", "familiarity", "deletion"])
    reasons = {item.what: item.why for item in prepared.plan.skipped}
    assert "inside" in reasons["evaluate.pointing_game of saliency"]
    assert reasons["evaluate.familiarity of saliency"] == "it needs training rows with their labels"


def test_what_scores_share_is_known_again_by_an_audit_that_goes_on(tmp_path: Path) -> None:
    """Of two scores of one neighbourhood the second is computed again, from what the first stored."""
    model, x = pictures()
    scores = {"max_sensitivity": {"draws": 3}, "average_sensitivity": {"draws": 3}}

    def audited() -> Run:
        return assay.audit(model, x, profile="quick", methods=["saliency"], scores=scores, store=tmp_path)

    whole = audited()
    outcomes = {place: load(place).contents["outcome"] for place in tmp_path.glob("??/*.assay")}
    second = [p for p, o in outcomes.items() if isinstance(o, Score) and o.provenance.method == "average_sensitivity"]
    assert len(second) == len(whole.record.explanations)
    for place in second:
        place.unlink()
    again = audited()
    assert all(place.exists() for place in second)
    assert again.record.cost == whole.record.cost
    assert int(again.record.times["gradient evaluations now"]) == 0
    one, two = (run.record.scores["saliency", "average_sensitivity"].values for run in (whole, again))
    assert np.array_equal(one, two)


def test_a_table_of_numbers_has_a_ball_scaled_by_column_and_few_valued_columns_stay():
    g = np.random.default_rng(0)
    x = np.column_stack([g.normal(size=200) * 50, g.integers(0, 2, 200), g.normal(size=200)])
    y = (x[:, 0] > 0).astype(int)
    model = LogisticRegression().fit(x[:100], y[:100])
    prepared = prepare(model, x[100:], y[100:], train=(x[:100], y[:100]), profile="quick")
    ball = prepared.scope.ball
    assert ball.radius == 0.1
    np.testing.assert_allclose(ball.scale, [x[:100, 0].std(), 0, x[:100, 2].std()])
    assert any("move 2 of 3 columns" in limit for limit in prepared.scope.limits)
    given = assay.Ball("linf", 0.5)
    assert prepare(model, x[100:], y[100:], ball=given, profile="quick").scope.ball is given


@pytest.mark.parametrize("depth", ["quick", "standard", "deep"])
def test_a_wide_table_can_be_planned_at_every_depth(depth: str) -> None:
    x = np.random.default_rng(0).normal(size=(80, 64))
    model = LogisticRegression().fit(x, (x[:, 0] > 0).astype(int))
    prepared = prepare(model, x, profile=depth)
    assert not [step for step in prepared.plan.steps if step.method == "interactions"]
    assert any("64 columns" in limit for limit in prepared.scope.limits)


def test_a_step_whose_cost_is_only_bounded_does_not_hide_the_progress_of_the_others() -> None:
    steps = [Step("explain", "shapley", "", {}, Cost(50)) for _ in range(9)]
    bounded = Step("repair", "refit", "", {}, Cost(10**12), exact=False)
    plan = Plan(Cost(50), (*steps, bounded), ())
    assert [round(plan.done_share(done), 2) for done in (0, 4, 9, 10)] == [0.09, 0.45, 0.91, 1.0]
    assert "1 kind(s) of repair where a check fails" in describe_plan(plan)
