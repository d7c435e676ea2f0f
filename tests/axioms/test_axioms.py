"""Every axiom catches a method that breaks it, and lets pass one that keeps it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from assay.axioms import AXIOMS, Subject
from assay.axioms.measurement import Explain, Measured, asking, either, worst
from assay.axioms.subjects import function, of
from assay.basics.errors import CapabilityError, InputError
from assay.explain import integrated_gradients, permutation_shapley, saliency, shapley
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Explanation


def sound(subject: Subject) -> Explanation:
    """Shapley values with absent parts at the start: every axiom holds."""
    return asking(shapley.method)(subject)


def changed(change: Callable[[Explanation, Subject], object]) -> Explain:
    def explain(subject: Subject) -> Explanation:
        explanation = sound(subject)
        return replace(explanation, values=np.array(change(explanation, subject), dtype=float))

    return explain


def flat(subject: Subject) -> np.ndarray:
    x = to_floats(subject.case.rows.x)
    return x.reshape(len(x), -1)


def far_away(e: Explanation, s: Subject) -> np.ndarray:
    far = torch.full_like(s.case.rows.x, 200.0)
    return e.values + to_floats(s.case.value(far))[:, None]


def counting(e: Explanation, s: Subject) -> np.ndarray:
    return e.values + 0.1 * len(list(s.case.model.net.modules()))


def without_first(e: Explanation, s: Subject) -> np.ndarray:
    return e.values * (np.arange(e.values.shape[1]) > 0)


def centred(e: Explanation, s: Subject) -> np.ndarray:
    x = flat(s)
    return e.values + x - x.mean(axis=1, keepdims=True)


BROKEN = {
    "completeness": changed(lambda e, s: 1.1 * e.values),
    "sensitivity": changed(without_first),
    "dummy": changed(lambda e, s: e.values + 0.1),
    "symmetry": changed(lambda e, s: e.values + 0.1 * np.arange(e.values.shape[1])),
    "monotonicity": changed(lambda e, s: -e.values),
    "demand_monotonicity": changed(lambda e, s: -flat(s)),
    "linearity": changed(lambda e, s: e.values**2),
    "linear_agreement": changed(lambda e, s: 2 * e.values),
    "distributional_marginality": changed(far_away),
    "implementation_invariance": changed(counting),
    "constant_shift_invariance": changed(lambda e, s: e.values + flat(s).mean(axis=1, keepdims=True)),
    "structured_shift_invariance": changed(centred),
    "batch_independence": changed(lambda e, s: e.values - e.values.mean(axis=0)),
}


def test_there_is_a_broken_method_for_every_axiom() -> None:
    assert list(BROKEN) == list(AXIOMS)


@pytest.mark.parametrize("axiom", AXIOMS)
def test_a_broken_method_is_caught_and_told_with_numbers(axiom: str) -> None:
    found = AXIOMS[axiom](BROKEN[axiom])
    assert found.verdict == "violated"
    assert found.size is not None
    assert found.size > 1e-2
    assert any(character.isdigit() for character in found.counterexample)


@pytest.mark.parametrize("axiom", AXIOMS)
def test_a_sound_method_passes_on_every_subject(axiom: str) -> None:
    found = AXIOMS[axiom](sound)
    assert found.verdict == "kept"
    assert found.answered == found.asked > 1


def test_what_is_broken_is_broken_by_as_much_as_was_planted() -> None:
    assert AXIOMS["completeness"](BROKEN["completeness"]).size == pytest.approx(0.1)
    assert AXIOMS["linear_agreement"](BROKEN["linear_agreement"]).size == pytest.approx(1.0)
    assert AXIOMS["monotonicity"](BROKEN["monotonicity"]).size == pytest.approx(1.0)


def test_a_constant_shift_says_nothing_about_a_structured_one() -> None:
    assert AXIOMS["constant_shift_invariance"](BROKEN["structured_shift_invariance"]).verdict == "kept"


def test_the_saturated_rectifier_gets_minus_one_from_integrated_gradients_and_nothing_from_the_slope() -> None:
    first = function([[-1.0, 0.0, 0.0, 0.0]], [1.0], [1.0], 1.0)
    asked = of("numbers", first, [2.0, 0.0, 0.0, 0.0], 0.0, "saturated")
    assert asking(integrated_gradients.method)(asked).values[0, 0] == pytest.approx(-1.0, abs=0.05)
    assert asking(saliency.method)(asked).values[0, 0] == 0.0


def test_an_error_that_the_method_tells_leaves_small_violations_undecided() -> None:
    def unsure(subject: Subject) -> Explanation:
        e = BROKEN["completeness"](subject)
        return replace(e, stderr=np.full_like(e.values, 10.0))

    found = AXIOMS["completeness"](unsure)
    assert found.verdict == "undecided"
    assert found.tolerance > (found.size or 0.0)


def test_chance_does_not_stand_between_two_functions() -> None:
    """Permutations are drawn, and drawn alike for f, g and their sum."""
    found = AXIOMS["linearity"](asking(permutation_shapley.method))
    assert (found.verdict, found.tolerance) == ("kept", 0.0)


def test_a_method_that_refuses_everything_is_not_applicable_in_its_own_words() -> None:
    def refusing(subject: Subject) -> Explanation:
        raise CapabilityError("needs a moon")

    for axiom in AXIOMS.values():
        found = axiom(refusing)
        assert (found.verdict, found.counterexample, found.answered) == ("not applicable", "needs a moon", 0)


def test_other_errors_are_not_swallowed() -> None:
    def broken(subject: Subject) -> Explanation:
        raise InputError("a mistake")

    with pytest.raises(InputError, match="a mistake"):
        AXIOMS["dummy"](broken)


def test_undefined_values_are_no_answer() -> None:
    undefined = changed(lambda e, s: np.full_like(e.values, np.nan))
    found = AXIOMS["dummy"](undefined)
    assert found.verdict == "not applicable"
    assert "undefined values" in found.counterexample


def test_the_worst_is_the_worst_verdict_before_the_largest_size() -> None:
    one, two = Measured(0.5, 1.0, "unsure"), Measured(0.1, 0.0, "sure")
    found = worst([lambda: one, lambda: two, lambda: Measured(None, 0.0, "refused", 0)])
    assert (found.counterexample, found.answered, found.asked) == ("sure", 2, 3)


def test_a_second_question_is_put_only_where_the_first_is_refused() -> None:
    def refused() -> Measured:
        raise CapabilityError("no")

    two = Measured(0.1, 0.0, "second")
    assert either(refused, lambda: two)() is two
    assert either(lambda: two, refused)() is two
