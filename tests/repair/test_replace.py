"""A readable model in the place of another: relearned or distilled, with a plain baseline, and no longer judged."""

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier

import assay
from assay import diagnose, repair
from assay.auditing.planning.plan import Step
from assay.auditing.steps.diagnoses import run_diagnoses
from assay.auditing.steps.repairs import run_repairs
from assay.auditing.steps.result_store import ResultStore
from assay.basics.errors import InputError
from assay.engine.audit_inputs import AuditInputs
from assay.nouns.catalogue import Cost
from assay.nouns.inputs.recipe import Recipe


def forest(x: Any, y: Any, seed: Any, strength: float) -> Any:
    return RandomForestClassifier(40, min_samples_leaf=3, random_state=0).fit(x, y)


@cache
def subject() -> tuple[Any, Recipe, tuple[Any, Any]]:
    """A forest on a frame where a rule of two columns decides; classes whose names are not in alphabetical order."""
    draws = np.random.default_rng(0)
    frame = pd.DataFrame(draws.normal(size=(1600, 4)), columns=["age", "debt", "c", "d"])
    said = (frame.age > 0.32) & (frame.debt < 0.67)
    y = np.where(said ^ (draws.random(1600) < 0.1), "yes", "no")
    recipe = Recipe(forest, frame[:800], y[:800])
    model = assay.wrap(forest(recipe.x, recipe.y, None, 0.0))
    held_out = frame[800:].reset_index(drop=True), y[800:]
    return assay.case(model, held_out[0]), recipe, held_out


@pytest.mark.parametrize("family", ["tree", "rules", "logistic"])
def test_the_new_model_is_readable_and_decides_the_same_classes(family: Any) -> None:
    case, recipe, held_out = subject()
    made = repair.replace(case, recipe=recipe, held_out=held_out, family=family)
    assert made.model.classes == case.model.classes
    accuracy = (np.array(case.model.classes)[assay.case(made.model, held_out[0]).prediction.argmax(axis=1)]
                == held_out[1]).mean()  # fmt: skip
    assert made.after["accuracy"] == pytest.approx(accuracy)
    assert accuracy > 0.75
    text = next(note.text for note in made.notes if note.code == "readable-model")
    assert "debt" in text
    (again,) = diagnose.simpler_model(assay.case(made.model, held_out[0]), recipe.x, recipe.y, held_out)
    assert again.verdict == "not applicable"


def test_distilling_keeps_the_faults_of_the_model_and_relearning_does_not() -> None:
    _, recipe, (x, y) = subject()
    wrong = assay.wrap(forest(recipe.x, np.where(recipe.x.c > 0, "yes", "no"), None, 0.0))
    case = assay.case(wrong, x)
    distilled = repair.replace(case, recipe=recipe, held_out=(x, y), family="tree", mode="distil")
    learned = repair.replace(case, recipe=recipe, held_out=(x, y), family="tree")
    share = {
        made: float(next(note.text for note in one.notes if note.code == "agreement").split("%")[0].split()[-1])
        for made, one in (("distilled", distilled), ("learned", learned))
    }
    assert share["distilled"] > 90 > share["learned"]
    assert learned.after["accuracy"] > distilled.after["accuracy"] + 0.2


def test_the_recipe_trains_the_readable_model_again_and_the_baseline_is_of_another_family() -> None:
    case, recipe, held_out = subject()
    made = repair.replace(case, recipe=recipe, held_out=held_out, family="tree")
    assert made.recipe is not None
    again = assay.wrap(made.recipe.train(made.recipe.x, made.recipe.y, case.seed))
    rows = assay.case(again, held_out[0]).prediction
    assert np.array_equal(rows, assay.case(made.model, held_out[0]).prediction)
    assert made.baseline_change == "a logistic regression of the same rows"
    plain = repair.replace(case, recipe=recipe, held_out=held_out, family="logistic")
    assert plain.baseline_change == "an optimal tree of the same rows"


def test_an_audit_tries_the_family_that_the_finding_names() -> None:
    case, recipe, (x, y) = subject()
    (finding,) = diagnose.simpler_model(case, recipe.x, recipe.y, (x, y), families=("tree",), threshold=0.03)
    assert finding.verdict == "fail"
    method = repair.replace.method
    assert method.answers == {"ITP101"}
    assert method.proposals is not None
    assert method.proposals(AuditInputs(case.model, x, labels=y, recipe=recipe), [finding]) == [{"family": "tree"}]


def test_the_family_is_chosen_on_the_rows_of_the_recipe() -> None:
    case, recipe, held_out = subject()
    made = repair.replace(case, recipe=recipe, held_out=held_out)
    scores = next(note.text for note in made.notes if note.code == "families")
    assert all(name in scores for name in ("tree", "rules", "score", "logistic"))


def test_rows_of_one_class_are_refused() -> None:
    case, recipe, held_out = subject()
    one = Recipe(forest, recipe.x[:50], ["yes"] * 50)
    with pytest.raises(InputError):
        repair.replace(case, recipe=one, held_out=held_out, family="tree")


def test_an_audit_runs_every_check_again_on_the_readable_model_and_on_the_baseline() -> None:
    case, recipe, (x, y) = subject()
    options = {"simpler_model": {"families": ("tree", "logistic"), "threshold": 0.03}}
    given = {"labels": y, "train": (recipe.x, recipe.y), "recipe": recipe, "options": options}
    inputs, store = AuditInputs(case.model, x, **given), ResultStore(None)
    steps = [
        Step("diagnose", "simpler_model", "", options["simpler_model"], Cost()),
        Step("diagnose", "performance", "", {}, Cost()),
        Step("repair", "replace", "", {}, Cost(), exact=False),
    ]
    found, _ = run_diagnoses(inputs, steps, store, lambda place: None)
    (made,), refused = run_repairs(inputs, found, steps, lambda model: [], list, store)
    assert not refused
    verdicts = [
        {one.code: one.verdict for one in part} for part in (made.repair_record.before, made.repair_record.after)
    ]
    assert [one["ITP101"] for one in verdicts] == ["fail", "not applicable"]
    assert verdicts[1]["PER101"] == "pass"
    assert {one.code for one in made.repair_record.baseline} >= {"ITP101", "PER101"}
