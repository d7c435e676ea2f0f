# SPDX-License-Identifier: Apache-2.0
"""What an axiom hands back, and how a method is asked about subjects that it may refuse."""

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
"""A method with its options chosen: it explains the subject's case, from the subject's start where it has one."""

Verdict = Literal["kept", "violated", "undecided", "not applicable"]
ROUNDING = 1e-6
"""Violations up to here, relative to the values' own size, are rounding."""


@dataclass(frozen=True)
class Measured:
    """How far a method is from an axiom on the subject where it is furthest.

    ``size`` is relative, 0 where the axiom is kept. ``tolerance`` is what chance alone may do: four of the standard
    errors that the method itself tells, 0 for methods that tell none. ``counterexample`` is the subject and the numbers
    in words. ``size`` is ``None`` where every subject was refused, and ``counterexample`` then holds the refusal.
    ``answered`` of ``asked`` subjects were not refused.
    """

    size: float | None
    tolerance: float
    counterexample: str
    answered: int = 1
    asked: int = 1

    @property
    def verdict(self) -> Verdict:
        """Kept up to rounding, violated beyond chance, undecided between the two."""
        if self.size is None:
            return "not applicable"
        if self.size <= ROUNDING:
            return "kept"
        return "undecided" if self.size <= self.tolerance else "violated"


WORST: tuple[Verdict, ...] = ("not applicable", "kept", "undecided", "violated")


def worst(asked: Sequence[Callable[[], Measured]]) -> Measured:
    """The furthest from the axiom among the questions a method does not refuse; else its first refusal."""
    found: list[Measured] = []
    for ask in asked:
        try:
            found.append(ask())
        except (CapabilityError, NumericalError) as error:
            found.append(Measured(None, 0.0, str(error), 0))
    furthest = max(found, key=lambda one: (WORST.index(one.verdict), one.size or 0.0))
    return replace(furthest, answered=sum(one.answered for one in found), asked=len(found))


def either(*asked: Callable[[], Measured]) -> Callable[[], Measured]:
    """The first question that is not refused."""

    def ask() -> Measured:
        for question in asked[:-1]:
            try:
                return question()
            except CapabilityError:
                continue
        return asked[-1]()

    return ask


def asking(method: Method) -> Explain:
    """The method as the axioms ask it: its defaults, but every start, background and removal is the subject's start.

    ``expected_gradients`` gets that one row as background, ``qii`` the same twice to compare with, and attention views
    read the mean over tokens; what is made of many rows or methods (surrogates, ALE, aggregates) has none. So that no
    numerical aid is taken for a violation, stabilisers are 10⁻¹² and ``blur_integrated_gradients`` takes 256 nodes; a
    budget of 256 covers every coalition.
    Values of a layer's units are not of the input's parts, and are refused.
    """

    def explain(subject: Subject) -> Explanation:
        if {"held_out", "bins", "members"} & set(method.options):
            raise CapabilityError(f"explain.{method.name} is made of many rows or methods, for which no start stands.")
        # a copy of the case remembers no game, so that nothing depends on what was asked before
        explanation: Explanation = method.call(replace(subject.case), **_chosen(method, subject.start))
        if explanation.features.fingerprint != subject.case.features.fingerprint:
            raise CapabilityError(f"explain.{method.name} gives values of a layer's units, not of parts of the input.")
        return explanation

    return explain


def _chosen(method: Method, start: Floats) -> dict[str, Any]:
    chosen = {
        "start": start,
        "background": start[None],
        "comparison": np.stack([start, start]),
        "folds": 2,
        "remove": Constant(start),
        "read": "mean",
        "epsilon": 1e-12,
        "budget": 256,
    }
    given = {name: value for name, value in chosen.items() if name in method.options}
    if "over" in method.options and isinstance(method.options["over"].default, Line):
        given["over"] = Line(start)
    if "sigma" in method.options and "steps" in method.options:
        given["steps"] = 256
    return given


def values(explanation: Explanation) -> Floats:
    """The values (row, part); ``NumericalError`` where they are not defined."""
    if not np.isfinite(explanation.values).all():
        raise NumericalError(
            f"explain.{explanation.method} has undefined values here; nothing can be measured on them."
        )
    return np.asarray(explanation.values)


def error(explanation: Explanation) -> Floats:
    """The standard errors (row, part) that the method tells; 0 where it tells none."""
    told = explanation.stderr
    return np.zeros_like(explanation.values) if told is None else np.nan_to_num(told)


def relative(difference: Any, *scale: Any) -> float:
    """The largest difference over the largest size among ``scale``; 0 over 0 is 0."""
    gap = float(np.max(np.abs(difference), initial=0.0))
    size = max(float(np.max(np.abs(one), initial=0.0)) for one in scale)
    return gap / size if size > 0 else gap


def told(numbers: Any) -> str:
    """Numbers as a reader wants them: (1, −0.5, 3.14)."""
    return f"({', '.join(_short(number) for number in np.ravel(numbers))})"


def _short(number: float) -> str:
    return f"{0.0 if abs(number) < 1e-9 else number:.3g}".replace("-", "−")


def compared(one: Explanation, other: Explanation, what: str) -> Measured:
    """How far two explanations that should be equal are apart, relative to the larger of the two."""
    a, b = values(one), values(other)
    noise = 4.0 * relative(np.hypot(error(one), error(other)), a, b)
    row = int(np.abs(a - b).max(axis=1).argmax())
    return Measured(relative(a - b, a, b), noise, f"{what}: values {told(a[row])} and {told(b[row])}")


def over(subjects: Sequence[Subject], measure: Callable[[Subject], Measured]) -> Iterator[Callable[[], Measured]]:
    """One question for each subject."""
    for subject in subjects:
        yield partial(measure, subject)
