# SPDX-License-Identifier: Apache-2.0
"""What an audit is going to do, as a flat list with its price, before anything runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assay.auditing.profile import Profile
from assay.cases.case import Case
from assay.cases.removals import Removal
from assay.engine.ball import Ball
from assay.engine.declare import check
from assay.nouns.method import Method, Verb, find
from assay.nouns.record import NotRun
from assay.words.errors import CapabilityError, InputError

RIVALS = ("integrated_gradients", "saliency", "shapley")
"""Explanations that are also asked about the runner-up class: the first two that the case can have."""


@dataclass(frozen=True)
class Step:
    """One call: a method, on whose explanation (if any), with which options, and at most what price in rows."""

    verb: Verb
    method: str
    subject: str
    options: Mapping[str, Any]
    forwards: int
    backwards: int

    @property
    def key(self) -> str:
        """Names the step within its audit."""
        return f"{self.verb}.{self.method}" + (f" of {self.subject}" if self.subject else "")


@dataclass(frozen=True)
class Plan:
    """Steps in the order they run, and what is left out with the reason.

    Prices are upper bounds: masks asked by several methods are answered from memory. ``overhead`` is the clean passes.
    """

    overhead: int
    steps: tuple[Step, ...]
    skipped: tuple[NotRun, ...]

    @property
    def forwards(self) -> int:
        """Rows through the model, at most."""
        return self.overhead + sum(step.forwards for step in self.steps)

    @property
    def backwards(self) -> int:
        """Rows back through the model, at most."""
        return sum(step.backwards for step in self.steps)

    def paid(self, *, before: Verb) -> float:
        """Share of the price paid when the first step of this verb begins."""
        ahead = [step.verb == before for step in self.steps]
        done = self.steps[: ahead.index(True)] if any(ahead) else self.steps
        return sum(step.forwards for step in done) / max(self.forwards, 1)


@dataclass(frozen=True)
class Setting:
    """What every step of an audit shares."""

    case: Case
    profile: Profile
    remove: Removal
    background: Any
    ball: Ball | None
    references: tuple[str, ...]


RIVAL = "the runner-up"
"""Subject of an explanation that is asked about each row's second class."""


def plan(setting: Setting, faults: Sequence[Step] = ()) -> Plan:
    """Lay out explanations, rivals, scores, attacks and certificates that this case can have, then the faults."""
    case, profile = setting.case, setting.profile
    steps: list[Step] = []
    skipped: list[NotRun] = []

    def add(verb: Verb, name: str, subject: str, given: Mapping[str, Any]) -> None:
        method = find(verb, name)
        try:
            check(method, case)
            steps.append(_step(method, subject, _filled(method, given, setting), setting))
        except CapabilityError as error:
            if not any(known.what == f"{verb}.{name}" for known in skipped):
                skipped.append(NotRun(f"{verb}.{name}", str(error), "a model or data that offers it"))

    for name, given in profile.explainers.items():
        add("explain", name, "", given)
    for name in setting.references:
        add("explain", name, "", {})
    explained = [step.method for step in steps]
    classifier = case.model.gives not in ("values", "units")
    for name in [name for name in RIVALS if name in explained][:2] if classifier else []:
        add("explain", name, RIVAL, profile.explainers[name])
    for name, given in profile.scores.items():
        for subject in explained:
            if _wanted(name, subject, setting):
                add("evaluate", name, subject, given)
            elif subject not in setting.references:
                skipped.append(
                    NotRun(
                        f"evaluate.{name} of {subject}",
                        _why_not(name, setting),
                        "profile='deep', or call it yourself",
                    )
                )
    best = next((name for name in ("integrated_gradients", "shapley") if name in explained), "")
    for name, given in profile.attacks.items():
        for subject in explained:
            if subject in profile.attacked and setting.ball is not None:
                add("attack", name, subject, given)
    for name, given in profile.certificates.items():
        if best and classifier:
            add("certify", name, best, given)
    return Plan(4 * len(case), (*steps, *faults), tuple(skipped))


def _wanted(score: str, subject: str, setting: Setting) -> bool:
    if score == "parameter_randomisation":
        return subject in setting.profile.randomised and setting.case.model.net is not None
    if score == "max_sensitivity":
        return subject in setting.profile.moved and setting.ball is not None
    if score == "completeness":
        return "complete" in find("explain", subject).claims
    return True


def _why_not(score: str, setting: Setting) -> str:
    if score == "completeness":
        return "the method does not claim that its values add up"
    if score == "parameter_randomisation" and setting.case.model.net is None:
        return "the model has no weights to draw afresh; refitting on permuted labels needs a recipe"
    if score == "max_sensitivity" and setting.ball is None:
        return "there is no ball: columns have units of their own"
    return "re-explaining by removal costs too many forward passes at this profile"


def _filled(method: Method, given: Mapping[str, Any], setting: Setting) -> dict[str, Any]:
    options = dict(given)
    shared = {"remove": setting.remove, "background": setting.background, "ball": setting.ball}
    return options | {name: value for name, value in shared.items() if name in method.options and value is not None}


def _step(method: Method, subject: str, options: Mapping[str, Any], setting: Setting) -> Step:
    given = {name: options.get(name, parameter.default) for name, parameter in method.options.items()}
    again = price_of(find("explain", subject), setting) if subject and subject != RIVAL else (0, 0)
    forwards, backwards = _passes(method, given, again, setting)
    return Step(method.verb, method.name, subject, dict(options), forwards + backwards, backwards)


def _passes(method: Method, given: Mapping[str, Any], again: tuple[int, int], setting: Setting) -> tuple[int, int]:
    """Forward passes beyond the backwards' own, and backward passes; ``again`` is what explaining once more costs."""
    rows, parts, fills = len(setting.case), len(setting.case.features), setting.remove.fills
    whole = len(setting.background) if setting.background is not None else 0
    forwards = backwards = 0
    match method.name:
        case "saliency" | "input_x_gradient":
            backwards = rows
        case "integrated_gradients":
            backwards, forwards = rows * given["steps"], rows
        case "smooth_grad":
            backwards = rows * given["draws"]
        case "expected_gradients":
            backwards, forwards = rows * whole * given["steps"], rows * whole
        case "occlusion":
            forwards = rows * (1 + parts * fills)
        case "shapley" | "permutation_shapley" | "banzhaf" | "rise" | "lime":
            forwards = rows * (1 + min(given["budget"], 2**parts) * fills)
        case "deletion" | "insertion":
            forwards = rows * (1 + (given["steps"] or parts) * fills)
        case "comprehensiveness" | "sufficiency":
            forwards = rows * (1 + len(given["shares"]) * fills)
        case "faithfulness_correlation" | "infidelity":
            forwards = rows * (1 + given["draws"] * fills)
        case "max_sensitivity":
            forwards, backwards = (count * given["draws"] for count in again)
        case "parameter_randomisation":
            places = sum(1 for _ in setting.case.model.net.parameters()) if given.get("cascade") else 1
            forwards, backwards = (count * places for count in again)
        case "top_k":
            backwards = again[1] * (4 * given["steps"] + 4)  # by second derivatives, and once more to judge the step
            forwards = (again[0] + rows) * (2 * given["steps"] + 8)
        case "mus":
            forwards = rows * given["q"] * fills * 4
        case "soft_stability":
            forwards = rows * (given["draws"] + 1) * fills
        case "random" | "constant" | "edges" | "completeness" | "sparseness":
            pass  # these ask the model nothing
        case unpriced:
            raise InputError(f"no price is known for {unpriced}; a method of a profile needs one in auditing/plan.py.")
    return forwards, backwards


def fault_steps(rows: int, train: int, groups: int, profile: Profile, remove: Removal, mends: bool) -> tuple[Step, ...]:
    """Price of the tests for faults, and of the same tests after a repair."""
    membership = 2 * (rows + train)
    shared = profile.explainers["shapley"]["budget"]
    disparity = groups * (2 * rows + 2 * profile.group_rows * (1 + shared * remove.fills))
    steps = []
    if train:
        steps.append(Step("diagnose", "membership", "", {}, membership, 0))
    if groups:
        steps.append(Step("diagnose", "disparity", "", {"budget": shared}, disparity, 0))
    if mends:
        explained = 3 * profile.rows * (4 + (2 * shared + 64) * remove.fills)
        again = 2 * (membership * bool(train) + disparity + 6 * rows) + explained
        steps.append(Step("repair", "refit", "", {}, again, 0))
    return tuple(steps)


def price_of(method: Method, setting: Setting) -> tuple[int, int]:
    """Passes that explaining all rows once costs, at most: forwards beyond the backwards' own, and backwards."""
    given = setting.profile.explainers.get(method.name, {})
    step = _step(method, "", _filled(method, given, setting), setting)
    return step.forwards - step.backwards, step.backwards
