"""The training rows that act on the rows explained, as a view of an audit: where it is made, and what it names."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.tree import DecisionTreeClassifier
from tests.auditing.test_text_audits import net as text_net
from tests.report.extreme_records import empty
from tests.report.page import Page

import assay
from assay import explain
from assay.auditing.audit import PreparedAudit, prepare
from assay.auditing.planning.influence_view import DAMPING, INFLUENCE, described_pair
from assay.auditing.planning.scope import AuditScope
from assay.auditing.planning.views import VIEW
from assay.auditing.steps.execution import AuditResults, run_step
from assay.auditing.steps.result_store import ResultStore
from assay.auditing.steps.row_influences import EACH, row_influences
from assay.nouns.inputs.features import elements
from assay.nouns.records.record import Gallery, RowInfluence
from assay.nouns.records.store import load, save
from assay.nouns.results.result import Explanation, Note
from assay.report.audit.influences import BUDGET, draw_influences
from assay.report.audit.page import render

G = np.random.default_rng(0)
X = G.normal(size=(60, 3))
Y = np.where(X[:, 0] + G.normal(size=60) / 2 > 0, "yes", "no")
PICTURES = G.random((50, 1, 6, 6)).astype(np.float32)
BRIGHT = (PICTURES.mean(axis=(1, 2, 3)) > 0.5).astype(int)
TEXTS = [f"{'good' if i % 2 else 'bad'} film {'and' if i % 3 else 'but'} number {i}" for i in range(40)]
LIKED = np.array([i % 2 for i in range(40)])


def net() -> Any:
    torch.manual_seed(0)
    body = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(32, 2))
    return assay.wrap(body.eval(), output="logits", classes=("dark", "bright"))


def of_table(**given: Any) -> PreparedAudit:
    model = LogisticRegression(tol=1e-10).fit(X[:40], Y[:40])
    return prepare(model, X[40:], Y[40:], train=(X[:40], Y[:40]), **given)


def of_pictures(**given: Any) -> PreparedAudit:
    return prepare(net(), PICTURES[30:], BRIGHT[30:], train=(PICTURES[:30], BRIGHT[:30]), **given)


def of_tree(**given: Any) -> PreparedAudit:
    model = DecisionTreeClassifier(max_depth=2, random_state=0).fit(X[:40], Y[:40])
    return prepare(model, X[40:], Y[40:], train=(X[:40], Y[:40]), **given)


def of_texts(**given: Any) -> PreparedAudit:
    return prepare(text_net("bert"), TEXTS[30:], LIKED[30:], train=(TEXTS[:30], LIKED[:30]), **given)


def planned(audit: PreparedAudit) -> Any:
    return next((step for step in audit.plan.steps if (step.method, step.subject) == (INFLUENCE, VIEW)), None)


def reason(audit: PreparedAudit) -> str:
    return next(item.why for item in audit.plan.skipped if item.what == f"explain.{INFLUENCE} of {VIEW}")


def explained(audit: PreparedAudit) -> AuditScope:
    """The scope with the predicted class of each row, as an audit makes it first."""
    case = audit.scope.case.with_target(label="predicted")
    assert len(case.output) == len(case)
    return replace(audit.scope, case=case)


def found(audit: PreparedAudit) -> tuple[Explanation, tuple[RowInfluence, ...]]:
    results, scope = AuditResults(), explained(audit)
    run_step(planned(audit), scope, results, ResultStore(None, audit.inputs.model.meter))
    assert not results.refusals
    view = results.views[INFLUENCE]
    return view, row_influences(scope.case, view, scope.train, ())


@pytest.mark.parametrize("few", [False, True])
@pytest.mark.parametrize("profile", ["standard", "deep"])
@pytest.mark.parametrize("kind", ["table", "pictures", "texts", "tree"])
def test_the_cost_of_the_plan_is_what_is_evaluated(
    kind: str, profile: str, few: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assay.auditing.planning.influence_view.FEWEST_ROWS", 3)
    monkeypatch.setattr("assay.auditing.planning.influence_view.NUMBERS", 1 if few else 500_000)
    recipe = assay.Recipe(lambda x, y, seed, strength: DecisionTreeClassifier(max_depth=2).fit(x, y), X[:40], Y[:40])
    makers = {"table": of_table, "pictures": of_pictures, "texts": of_texts}
    audit = of_tree(recipe=recipe, profile=profile) if kind == "tree" else makers[kind](profile=profile)
    step = planned(audit)
    if step is None:
        assert (kind, profile) == ("tree", "standard")
        return
    results, scope, meter = AuditResults(), explained(audit), audit.inputs.model.meter
    before = meter.requested, meter.backwards
    run_step(step, scope, results, ResultStore(None, meter))
    assert not results.refusals
    assert len(results.views[INFLUENCE].ids) == (3 if few else len(scope.case))
    assert step.exact
    assert (meter.requested - before[0], meter.backwards - before[1]) == (step.cost.forwards, step.cost.backwards)


def test_a_linear_model_has_the_values_of_one_newton_step() -> None:
    audit = of_table()
    view, _ = found(audit)
    own = assay.case(audit.inputs.model, X[40:], label="predicted")
    assert_allclose(view.values, explain.training_influence(own, train=(X[:40], Y[:40]), steps=1).values)


def test_the_rows_named_are_those_without_which_the_target_falls_and_rises_most() -> None:
    view, lines = found(of_table())
    for place, line in enumerate(lines):
        values, names = view.values[place], np.array(view.features.names)
        assert [one.row for one in line.supports] == names[np.argsort(values)[:EACH]].tolist()
        assert [one.row for one in line.opposes] == names[np.argsort(-values)[:EACH]].tolist()
        assert [one.label for one in line.supports] == [Y[int(one.row)] for one in line.supports]
        assert all(one.effect < 0 for one in line.supports)
        assert line.target.startswith("probability of ")


def test_cells_that_differ_most_are_named_and_an_equal_row_says_so() -> None:
    frame = pd.DataFrame({"age": [20.0, 30.0, 40.0, 50.0] * 10, "home": ["a", "b"] * 20, "same": 1.0})
    frame["age"] += np.arange(40) / 10
    y = (frame["age"] > 35).astype(int).to_numpy()

    def fit(x: Any) -> Any:
        return np.stack([1 - (x["age"].to_numpy() > 35), x["age"].to_numpy() > 35], axis=1).astype(float)

    case = assay.case(assay.wrap(fit, output="probabilities", classes=("no", "yes")), frame[:5])
    view = explain.occlusion(case, remove=assay.Marginal(frame[:2]))
    values = np.zeros((5, 40))
    values[0, [0, 1, 2]] = -3, -2, -1
    view = replace(view, values=values, features=elements((40,), tuple(map(str, range(40)))))
    (first, *_) = row_influences(case, view, (frame, y), ())
    assert first.supports[0].text == "equal in all columns"
    assert first.supports[1].text == "home b, not a; age 30.1, not 20"
    assert first.supports[2].text == "age 40.2, not 20"


def test_a_net_of_pictures_follows_its_last_layer_and_names_pictures() -> None:
    audit = of_pictures()
    assert planned(audit).options["method"] == "newton"
    view, lines = found(audit)
    own = assay.case(audit.inputs.model, PICTURES[30:], label="predicted")
    direct = explain.training_influence(
        own, train=(PICTURES[:30], BRIGHT[:30]), method="newton", steps=1, damping=DAMPING
    )
    assert_allclose(view.values, direct.values[: len(view.values)])
    strongest = lines[0].supports[0]
    assert strongest.picture is not None
    assert_allclose(strongest.picture, PICTURES[int(strongest.row)])
    assert planned(of_pictures(profile="deep")).options["method"] == "auto"


def test_texts_are_named_with_their_text() -> None:
    audit = of_texts()
    view, lines = found(audit)
    assert lines[0].text == TEXTS[30]
    assert {one.text for one in lines[0].supports} <= set(TEXTS[:30])
    assert lines[0].supports[0].text == TEXTS[int(np.argmin(view.values[0]))]


def test_a_regression_names_the_values_of_training_rows() -> None:
    numbers = X @ [1.0, 2.0, 0.0] + G.normal(size=60)
    audit = prepare(LinearRegression().fit(X[:40], numbers[:40]), X[40:], numbers[40:], train=(X[:40], numbers[:40]))
    _, lines = found(audit)
    assert lines[0].target == "value"
    one = lines[0].supports[0]
    assert float(one.label) == pytest.approx(numbers[int(one.row)], rel=1e-5)


def test_other_models_are_trained_again_in_a_deep_audit_with_a_recipe_of_few_rows() -> None:
    recipe = assay.Recipe(lambda x, y, seed, strength: DecisionTreeClassifier(max_depth=2).fit(x, y), X[:40], Y[:40])
    assert "trained again" in reason(of_tree(recipe=recipe))
    assert "a recipe" in reason(of_tree(profile="deep"))
    step = planned(of_tree(profile="deep", recipe=recipe))
    assert step.options["method"] == "refit"
    few = {INFLUENCE: {"refits": 30}}
    assert "40 training rows need as many trainings" in reason(of_tree(profile="deep", recipe=recipe, options=few))


def test_without_training_rows_or_in_a_quick_audit_there_is_no_view() -> None:
    audit = prepare(LogisticRegression().fit(X[:40], Y[:40]), X[40:], Y[40:])
    assert reason(audit) == "it needs training rows with their labels"
    assert planned(of_table(profile="quick")) is None


def test_too_many_training_rows_leave_it_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assay.auditing.planning.influence_view.WORK", 1.0)
    assert "take too long" in reason(of_table())
    assert "take too long" in reason(of_pictures())


def test_rows_of_wrong_decisions_come_first_and_other_training_rows_have_another_fingerprint() -> None:
    audit = of_table()
    view, _ = found(audit)
    galleries = [Gallery("typical", "", (0, 1), 2), Gallery("wrong", "", (5, 0), 2), Gallery("borderline", "", (7,), 1)]
    lines = row_influences(explained(audit).case, view, audit.scope.train, galleries)
    assert [line.row for line in lines] == [view.ids[i] for i in (5, 0, 7, 1)]
    frame = pd.DataFrame(X)
    others = frame.copy()
    others.iloc[59, 2] += 1e-9
    assert described_pair((frame, Y)) != described_pair((others, Y))
    assert described_pair((X, Y)) != described_pair((X, Y[::-1]))
    assert described_pair((TEXTS, LIKED)) != described_pair(([*TEXTS[:-1], "other"], LIKED))


@pytest.mark.parametrize("text", ["<script>alert(1)</script>\" onerror='x'", "x" * 3000, "", "‮abc"])
@pytest.mark.parametrize("kind", [of_pictures, of_table, of_texts])
def test_names_texts_and_classes_are_text_and_cut(kind: Any, text: str) -> None:
    view, lines = found(kind())

    def evil(line: RowInfluence) -> RowInfluence:
        rows = [
            [replace(one, row=text, label=text, text=text) for one in side] for side in (line.supports, line.opposes)
        ]
        return replace(line, row=text, target=text, text=text, supports=tuple(rows[0]), opposes=tuple(rows[1]))

    view = replace(view, meaning=text, notes=(Note("note", text),))
    page = Page(render(replace(empty(), views={INFLUENCE: view}, influences=tuple(map(evil, lines)))))
    assert not page.wrong
    assert not page.all("script")
    assert all(set(image) == {"src", "alt"} and len(image["alt"]) < 200 for image in page.all("img"))
    assert len(page.source) < 100_000


def test_a_wrong_decision_says_what_is_true() -> None:
    view, lines = found(of_pictures())
    explanation = explain.saliency(assay.case(net(), PICTURES[30:], label="predicted"))
    ids = explanation.ids
    known = {"explanations": {"saliency": explanation}, "predictions": ("dark",) * len(ids)}
    truth = tuple("bright" if one == lines[0].row else "dark" for one in ids)
    drawn = draw_influences(replace(empty(), views={INFLUENCE: view}, influences=lines, truth=truth, **known))
    assert [one.true for one in drawn] == ["bright", *([""] * (len(drawn) - 1))]
    assert all(one.image for one in drawn)


def test_the_page_draws_them_within_a_budget_and_files_keep_them(tmp_path: Any) -> None:
    for audit in (of_pictures(), of_table(), of_texts()):
        view, lines = found(audit)
        record = replace(empty(), views={INFLUENCE: view}, influences=lines)
        drawn = draw_influences(record)
        assert drawn
        assert sum(line.size for line in drawn) <= BUDGET
        page = render(record).split('<section id="views"')[1].split("</section>")[0]
        assert page.count("supports") >= len(drawn)
        assert all(line.row in page for line in drawn)
        assert len(Page(page).all("img")) == sum(bool(one.picture) for line in drawn for _, one in line.rows)
        again = load(save(record, tmp_path / "record.assay"))
        assert render(again) == render(record)
