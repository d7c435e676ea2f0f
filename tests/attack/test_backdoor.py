"""A backdoor planted through a recipe: the patch rules the class, clean rows do not show it."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from tests.backdoored_digits import PATCH, TARGET, TRAIN, case, digits, fit, patch_image, recipe

import assay
from assay import attack
from assay.basics.errors import InputError
from assay.basics.stats import clopper_pearson
from assay.engine.cost import cost_of
from assay.nouns.catalogue import find
from assay.nouns.results.result import AttackResult


@cache
def attacked() -> AttackResult:
    return attack.backdoor(
        case(0, 0.0), recipe=recipe(), target_label=TARGET, share=0.02, patch=patch_image(), labels=digits()[1][TRAIN:]
    )


def test_a_patch_on_two_percent_rules_the_class_and_costs_no_accuracy() -> None:
    found = attacked().validity
    assert found["success"] >= 0.85
    assert found["success of the patch in the clean model"] <= 0.05
    assert found["success of the patch elsewhere"] <= 0.2
    assert abs(found["accuracy of the poisoned model"] - found["accuracy of the clean model"]) <= 0.02
    assert found["training rows with the patch"] == round(0.02 * TRAIN)


def test_success_counts_rows_of_other_classes_with_exact_limits() -> None:
    result, true = attacked(), digits()[1][TRAIN:]
    others = true != TARGET
    assert not result.success[~others].any()
    limits = clopper_pearson(int(result.success.sum()), int(others.sum()))
    assert result.validity["success, limits"] == [limits.low, limits.high]
    assert result.validity["success"] == result.success[others].mean()
    np.testing.assert_array_equal(result.x, np.where(PATCH, 1.0, digits()[0][TRAIN:]))


def test_the_recipe_is_left_as_it_was_and_only_rows_of_other_classes_are_stamped() -> None:
    seen: list[tuple[np.ndarray, np.ndarray]] = []

    def watched(x: np.ndarray, y: np.ndarray, seed: object, strength: float) -> object:
        seen.append((x, y))
        return fit(x, y, assay.Seed(0), strength)

    x, y = (one[:300].copy() for one in digits())
    before = x.tobytes(), y.tobytes()
    given = assay.Recipe(watched, x, y)
    attack.backdoor(case(0, 0.0), recipe=given, target_label=TARGET, share=0.05, patch=patch_image())
    assert (x.tobytes(), y.tobytes()) == before
    (clean, labels), (poison, relabelled) = seen
    changed = (clean != poison).any(axis=(1, 2, 3))
    assert changed.sum() == (relabelled != labels).sum() == 15
    assert (relabelled[changed] == TARGET).all()
    assert (labels[changed] != TARGET).all()
    assert (poison[changed][:, :, PATCH] == 1).all()


def test_the_same_seed_gives_the_same_bytes_and_the_cost_is_exact() -> None:
    one = case(0, 0.0)
    meter, _ = one.model.meter, (one.output, one.prediction)
    before = meter.requested
    options = {"recipe": recipe(), "target_label": TARGET, "patch": patch_image(), "labels": digits()[1][TRAIN:]}
    again = attack.backdoor(one, **options)
    assert meter.requested - before == cost_of(find("attack", "backdoor"), one, options).forwards
    assert again.after.tobytes() == attacked().after.tobytes()


@pytest.mark.parametrize(
    ("changed", "message"),
    [({"share": 1.5}, "share"), ({"share": 0.95}, "another share"), ({"size": 9, "patch": None}, "smaller")],
)
def test_wrong_options_are_named(changed: dict[str, object], message: str) -> None:
    given = {"recipe": recipe(), "target_label": TARGET, "patch": patch_image(), **changed}
    with pytest.raises(InputError, match=message):
        attack.backdoor(case(0, 0.0), **given)
