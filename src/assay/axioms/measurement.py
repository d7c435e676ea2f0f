# SPDX-License-Identifier: Apache-2.0
"""The result of an axiom test, and how a method runs on subjects that it may refuse."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np

from assay.axioms.subjects import Subject
from assay.basics.errors import CapabilityError, NumericalError
from assay.basics.types import Floats
from assay.cases.removals import Constant
from assay.engine.gradients.distributions import Line
from assay.nouns.catalogue import Method
from assay.nouns.results.result import Explanation

Explain = Callable[[Subject], Explanation]
"""A method with its options set: it explains the subject's case, with the subject's baseline if it has one."""

Verdict = Literal["kept", "violated", "undecided", "not applicable"]
ROUNDING = 1e-6
"""Violations up to this size, relative to the values, are rounding errors."""


@dataclass(frozen=True)
class Measurement:
    """How far a method violates an axiom, on the subject with the largest violation.

    ``size`` is relative, and 0 where the axiom is kept. ``tolerance`` is four standard errors as the method reports
    them, or 0 for a method that reports none. ``counterexample`` describes the subject and gives the numbers. If the
    method refuses every subject, ``size`` is ``None`` and ``counterexample`` is its error message. The method answered
    for ``subjects_answered`` of the ``subjects_tested``.
    """

    size: float | None
    tolerance: float
    counterexample: str
    subjects_answered: int = 1
    subjects_tested: int = 1

    @property
    def verdict(self) -> Verdict:
        """Kept up to rounding, undecided up to the tolerance, violated beyond it."""
        if self.size is None:
            return "not applicable"
        if self.size <= ROUNDING:
            return "kept"
        return "undecided" if self.size <= self.tolerance else "violated"


SEVERITY: tuple[Verdict, ...] = ("not applicable", "kept", "undecided", "violated")


def worst_measurement(tests: Sequence[Callable[[], Measurement]]) -> Measurement:
    """The largest violation among the tests that the method does not refuse; else its first refusal."""
    results: list[Measurement] = []
    for test in tests:
        try:
            results.append(test())
        except (CapabilityError, NumericalError) as error:
            results.append(Measurement(None, 0.0, str(error), 0))
    worst = max(results, key=lambda one: (SEVERITY.index(one.verdict), one.size or 0.0))
    answered = sum(one.subjects_answered for one in results)
    return replace(worst, subjects_answered=answered, subjects_tested=len(results))


def first_applicable(*tests: Callable[[], Measurement]) -> Callable[[], Measurement]:
    """A test that runs the first of these tests that the method does not refuse."""

    def run() -> Measurement:
        for test in tests[:-1]:
            try:
                return test()
            except CapabilityError:
                continue
        return tests[-1]()

    return run


def with_subject_baseline(method: Method) -> Explain:
    """The method with its default options, except that baseline, background and removal use the subject's baseline.

    ``expected_gradients`` gets that one row as background, ``qii`` the same row twice for comparison, and attention
    methods average over tokens. Methods that need many rows or other explanations (surrogates, ALE, aggregates) are
    refused, as are values of a layer's units. To keep numerical stabilisers out of the result, they are 10⁻¹² and
    ``blur_integrated_gradients`` uses 256 nodes. A budget of 256 covers every coalition.
    """

    def explain(subject: Subject) -> Explanation:
        if {"held_out", "bins", "members"} & set(method.options):
            raise CapabilityError(
                f"explain.{method.name} needs many rows or other explanations; a subject has one row."
            )
        if "train" in method.needs:
            raise CapabilityError(f"explain.{method.name} explains by training rows, not by features of the input.")
        if {"concepts", "masks"} & set(method.options):
            raise CapabilityError(f"explain.{method.name} explains by concepts, not by features of the input.")
        if "denoiser" in method.options:
            raise CapabilityError(f"explain.{method.name} needs a denoiser of the subject's rows; there is none.")
        # a copy of the case has an empty game cache, so that the result does not depend on earlier tests
        explanation: Explanation = method.call(replace(subject.case), **_options(method, subject.start))
        if explanation.features.fingerprint != subject.case.features.fingerprint:
            raise CapabilityError(f"explain.{method.name} explains units of a layer, not features of the input.")
        return explanation

    return explain


def _options(method: Method, start: Floats) -> dict[str, Any]:
    candidates = {
        "start": start,
        "background": start[None],
        "comparison": np.stack([start, start]),
        "folds": 2,
        "remove": Constant(start),
        "read": "mean",
        "epsilon": 1e-12,
        "budget": 256,
    }
    options = {name: value for name, value in candidates.items() if name in method.options}
    if "over" in method.options and isinstance(method.options["over"].default, Line):
        options["over"] = Line(start)
    if "sigma" in method.options and "steps" in method.options:
        options["steps"] = 256
    return options


def finite_values(explanation: Explanation) -> Floats:
    """The values (row, feature); ``NumericalError`` where they are not defined."""
    if not np.isfinite(explanation.values).all():
        raise NumericalError(f"explain.{explanation.method} has undefined values here; the axiom cannot be tested.")
    return np.asarray(explanation.values)


def standard_error(explanation: Explanation) -> Floats:
    """The standard errors (row, feature) that the method reports; 0 if it reports none."""
    reported = explanation.stderr
    return np.zeros_like(explanation.values) if reported is None else np.nan_to_num(reported)


def relative_size(difference: Any, *scale: Any) -> float:
    """The largest absolute difference divided by the largest absolute number in ``scale``; 0 over 0 is 0."""
    gap = float(np.max(np.abs(difference), initial=0.0))
    size = max(float(np.max(np.abs(one), initial=0.0)) for one in scale)
    return gap / size if size > 0 else gap


def format_numbers(numbers: Any) -> str:
    """Numbers with three significant digits, in parentheses: (1, −0.5, 3.14)."""
    return f"({', '.join(_format_number(number) for number in np.ravel(numbers))})"


def _format_number(number: float) -> str:
    return f"{0.0 if abs(number) < 1e-9 else number:.3g}".replace("-", "−")


def compare_explanations(one: Explanation, other: Explanation, description: str) -> Measurement:
    """The difference of two explanations that should be equal, relative to the larger values."""
    a, b = finite_values(one), finite_values(other)
    tolerance = 4.0 * relative_size(np.hypot(standard_error(one), standard_error(other)), a, b)
    row = int(np.abs(a - b).max(axis=1).argmax())
    counterexample = f"{description}: values {format_numbers(a[row])} and {format_numbers(b[row])}"
    return Measurement(relative_size(a - b, a, b), tolerance, counterexample)


def for_each_subject(
    subjects: Sequence[Subject], measure: Callable[[Subject], Measurement]
) -> Iterator[Callable[[], Measurement]]:
    """One test for each subject."""
    for subject in subjects:
        yield partial(measure, subject)
