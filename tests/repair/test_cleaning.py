"""Cleaning of labels: it helps where labels are wrong, and chooses on training rows alone."""

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

import assay
from assay import repair
from assay.auditing.steps.repairs import call_repair, proposals_of
from assay.basics.errors import InputError
from assay.engine.audit_inputs import AuditInputs
from assay.nouns.catalogue import find
from assay.nouns.results.finding import Finding
from assay.repair.cleaning import AGAIN, RANDOM, RANKED


def nearest(x: Any, y: Any, seed: Any, strength: float) -> Any:
    return KNeighborsClassifier(1).fit(x, y)


@cache
def noisy() -> tuple[Any, Any, Any]:
    """A recipe of 700 digits, a tenth with the next class as label, which are wrong, and 500 held-out ones."""
    x, y = load_digits(return_X_y=True)
    wrong = np.random.default_rng(0).random(700) < 0.1
    given = np.where(wrong, (y[:700] + 1) % 10, y[:700])
    return assay.Recipe(nearest, x[:700] / 16, given), wrong, (x[700:1200] / 16, y[700:1200])


def case_of(recipe: Any, rows: Any) -> Any:
    return assay.case(assay.wrap(recipe.train(recipe.x, recipe.y, assay.Seed(0))), rows)


@cache
def cleaned(how: str = "drop") -> Any:
    recipe, _, held_out = noisy()
    return repair.cleaning(case_of(recipe, held_out[0][:5]), recipe=recipe, held_out=held_out, how=how, by="default")


def note(found: Any, code: str) -> str:
    return next(one.text for one in found.notes if one.code == code)


@pytest.mark.parametrize("how", ["drop", "relabel", "weight"])
def test_a_model_that_memorises_wrong_labels_is_better_after_cleaning(how: str) -> None:
    found = cleaned(how)
    assert found.after["accuracy"] > found.before["accuracy"] + 0.03
    assert found.after["accuracy"] > found.after[f"accuracy{RANDOM}"] + 0.03
    assert found.after[f"accuracy{AGAIN}"] == found.before["accuracy"]
    assert "[+0.0" in note(found, "random-rows")


def test_the_largest_losses_of_a_model_that_memorises_are_no_help() -> None:
    found = cleaned()
    assert found.after[f"accuracy{RANKED}"] < found.after["accuracy"] - 0.03
    assert "largest loss" in found.baseline_change
    _, _, (x, y) = noisy()
    own = assay.case(found.baseline, x).prediction.argmax(axis=1) == y
    assert found.after[f"accuracy{RANKED}"] == own.mean()


def test_the_plain_ranking_drops_the_largest_losses_of_the_model_itself() -> None:
    x, _ = load_digits(return_X_y=True)
    x = x[:300, 10:14]
    y = (x[:, 0] > x[:, 1]).astype(int)
    y[::9] = 1 - y[::9]
    recipe = assay.Recipe(lambda x, y, seed, strength: LogisticRegression().fit(x, y), x[:200], y[:200])
    case = case_of(recipe, x[200:205])
    found = repair.cleaning(case, recipe=recipe, held_out=(x[200:], y[200:]), by="default", filter="confident_learning")
    own = -np.log(assay.case(case.model, x[:200]).prediction[np.arange(200), y[:200]])
    count = 200 - len(found.baseline_recipe.y)
    kept = np.sort(np.argsort(-own, kind="stable")[count:])
    assert np.array_equal(found.baseline_recipe.x, x[:200][kept])


def test_the_rows_dropped_are_mostly_wrong_and_the_recipe_holds_the_others() -> None:
    recipe, wrong, _ = noisy()
    found = cleaned()
    kept = {row.tobytes() for row in found.recipe.x}
    dropped = np.array([row.tobytes() not in kept for row in recipe.x])
    assert wrong[dropped].mean() > 0.8
    assert wrong[dropped].sum() > 0.7 * wrong.sum()
    assert len(found.baseline_recipe.y) == len(found.recipe.y) == 700 - dropped.sum()
    relabelled = cleaned("relabel").recipe
    assert relabelled.x is recipe.x
    assert (relabelled.y != recipe.y).sum() == dropped.sum()


def test_the_same_seed_gives_the_same_model_and_the_note_counts_by_class() -> None:
    recipe, _, held_out = noisy()
    case = case_of(recipe, held_out[0][:5])
    again = repair.cleaning(case, recipe=recipe, held_out=held_out, by="default")
    assert again.after == cleaned().after
    assert "by class: " in note(again, "flagged-by-group")


def test_held_out_labels_choose_nothing() -> None:
    recipe, _, (x, y) = noisy()
    case = case_of(recipe, x[:5])
    other = repair.cleaning(case, recipe=recipe, held_out=(x, (y + 1) % 10), by="default")
    assert np.array_equal(other.recipe.x, cleaned().recipe.x)
    with pytest.raises(InputError, match="must not choose what is cleaned"):
        repair.cleaning(case, recipe=recipe, held_out=(recipe.x[:50], recipe.y[:50]), by="default")


def test_an_audit_proposes_it_and_counts_by_the_sensitive_columns() -> None:
    generator = np.random.default_rng(1)
    x = pd.DataFrame(generator.normal(size=(400, 3)), columns=list("abc"))
    x["home"] = generator.integers(2, size=400)
    y = (x["a"] > 0).astype(int).to_numpy()
    y = np.where(generator.random(400) < 0.1, 1 - y, y)

    def logistic(x: Any, y: Any, seed: Any, strength: float) -> Any:
        return LogisticRegression().fit(x, y)

    recipe = assay.Recipe(logistic, x[:300], y[:300])
    model = assay.wrap(logistic(recipe.x, recipe.y, None, 0))
    groups = {"home": x["home"][300:].astype(str).tolist()}
    inputs = AuditInputs(model, x[300:], y[300:], train=(x[:300], y[:300]), groups=groups, recipe=recipe)
    method = find("repair", "cleaning")
    (options,) = proposals_of(method, inputs, [Finding("DAT201", "fail", "", model.name)])
    assert options == {"sensitive": ("home",)}
    found = call_repair(method, inputs, options)
    assert "by home: " in note(found, "flagged-by-group")


def test_clean_labels_are_refused_since_there_is_nothing_to_clean() -> None:
    x, y = load_digits(return_X_y=True)
    recipe = assay.Recipe(nearest, x[:500] / 16, y[:500])
    with pytest.raises(InputError, match="nothing to clean"):
        repair.cleaning(
            case_of(recipe, x[500:510] / 16), recipe=recipe, held_out=(x[500:600] / 16, y[500:600]), by="default"
        )
