"""Every axiom detects a method that violates it, and accepts a method that keeps it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from assay.axioms import AXIOMS, Subject
from assay.axioms.measurement import (
    Explain,
    Measurement,
    first_applicable,
    with_subject_baseline,
    worst_measurement,
)
from assay.axioms.networks import make_function
from assay.axioms.subjects import function_subject
from assay.basics.errors import CapabilityError, InputError
from assay.explain import integrated_gradients, permutation_shapley, saliency, shapley
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.result import Explanation


def sound(subject: Subject) -> Explanation:
    """Shapley values with removed features at the baseline: every axiom holds."""
    return with_subject_baseline(shapley.method)(subject)


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
def test_a_broken_method_is_detected_with_a_numeric_counterexample(axiom: str) -> None:
    found = AXIOMS[axiom](BROKEN[axiom])
    assert found.verdict == "violated"
    assert found.size is not None
    assert found.size > 1e-2
    assert any(character.isdigit() for character in found.counterexample)


@pytest.mark.parametrize("axiom", AXIOMS)
def test_a_sound_method_passes_on_every_subject(axiom: str) -> None:
    found = AXIOMS[axiom](sound)
    assert found.verdict == "kept"
    assert found.subjects_answered == found.subjects_tested > 1


def test_the_size_of_a_violation_is_the_size_of_the_change() -> None:
    assert AXIOMS["completeness"](BROKEN["completeness"]).size == pytest.approx(0.1)
    assert AXIOMS["linear_agreement"](BROKEN["linear_agreement"]).size == pytest.approx(1.0)
    assert AXIOMS["monotonicity"](BROKEN["monotonicity"]).size == pytest.approx(1.0)


def test_constant_shift_invariance_does_not_imply_structured_shift_invariance() -> None:
    assert AXIOMS["constant_shift_invariance"](BROKEN["structured_shift_invariance"]).verdict == "kept"


def test_the_saturated_rectifier_gets_minus_one_from_integrated_gradients_and_nothing_from_the_slope() -> None:
    first = make_function([[-1.0, 0.0, 0.0, 0.0]], [1.0], [1.0], 1.0)
    subject = function_subject("numbers", first, [2.0, 0.0, 0.0, 0.0], 0.0, "saturated")
    assert with_subject_baseline(integrated_gradients.method)(subject).values[0, 0] == pytest.approx(-1.0, abs=0.05)
    assert with_subject_baseline(saliency.method)(subject).values[0, 0] == 0.0


def test_a_large_standard_error_leaves_small_violations_undecided() -> None:
    def uncertain(subject: Subject) -> Explanation:
        e = BROKEN["completeness"](subject)
        return replace(e, stderr=np.full_like(e.values, 10.0))

    found = AXIOMS["completeness"](uncertain)
    assert found.verdict == "undecided"
    assert found.tolerance > (found.size or 0.0)


def test_two_functions_use_the_same_random_numbers() -> None:
    """The random permutations are the same for f, g and their sum."""
    found = AXIOMS["linearity"](with_subject_baseline(permutation_shapley.method))
    assert (found.verdict, found.tolerance) == ("kept", 0.0)


def test_a_method_that_refuses_everything_is_not_applicable_with_its_own_message() -> None:
    def refusing(subject: Subject) -> Explanation:
        raise CapabilityError("needs a moon")

    for axiom in AXIOMS.values():
        found = axiom(refusing)
        assert (found.verdict, found.counterexample, found.subjects_answered) == ("not applicable", "needs a moon", 0)


def test_other_errors_are_not_swallowed() -> None:
    def broken(subject: Subject) -> Explanation:
        raise InputError("a mistake")

    with pytest.raises(InputError, match="a mistake"):
        AXIOMS["dummy"](broken)


def test_undefined_values_are_not_applicable() -> None:
    undefined = changed(lambda e, s: np.full_like(e.values, np.nan))
    found = AXIOMS["dummy"](undefined)
    assert found.verdict == "not applicable"
    assert "undefined values" in found.counterexample


def test_the_worst_is_the_worst_verdict_before_the_largest_size() -> None:
    one, two = Measurement(0.5, 1.0, "undecided"), Measurement(0.1, 0.0, "violated")
    found = worst_measurement([lambda: one, lambda: two, lambda: Measurement(None, 0.0, "refused", 0)])
    assert (found.counterexample, found.subjects_answered, found.subjects_tested) == ("violated", 2, 3)


def test_the_second_test_runs_only_if_the_first_is_refused() -> None:
    def refused() -> Measurement:
        raise CapabilityError("no")

    two = Measurement(0.1, 0.0, "second")
    assert first_applicable(refused, lambda: two)() is two
    assert first_applicable(lambda: two, refused)() is two
