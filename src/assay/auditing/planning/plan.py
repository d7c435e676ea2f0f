# SPDX-License-Identifier: Apache-2.0
"""What an audit is going to do, as a flat list of steps with their cost, before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from assay.auditing import settings_grid
from assay.auditing.planning.certificates import (
    CERTIFIED_BY,
    CERTIFIED_METHODS,
    explanations_certified,
    why_not_certified,
    with_noise,
)
from assay.auditing.planning.scope import AuditScope, shift_scale
from assay.auditing.planning.views import VIEW, view_background, view_case, view_options
from assay.basics.errors import CapabilityError, InputError, MissingExtra
from assay.engine.audit_inputs import INPUTS
from assay.engine.capabilities import holds_words, require_capabilities
from assay.engine.comparison.criteria import REFERENCE_METHODS, criteria
from assay.engine.comparison.meta_evaluation import recomputes_explanations
from assay.engine.cost import cost_of, cost_of_explaining_again
from assay.nouns.catalogue import Cost, Method, Verb, find
from assay.nouns.records.record import NotRun

RUNNER_UP_METHODS = ("integrated_gradients", "shapley")
"""Explanations that are also computed for the runner-up class."""

RUNNER_UP = "the runner-up"
"""Subject of an explanation of each row's second class."""


@dataclass(frozen=True)
class Step:
    """One call: a method, the explanation it is about (if any), its options, and its cost in model evaluations.

    ``exact`` is false where the data decide the cost; ``cost`` is then the most it can be.
    """

    verb: Verb
    method: str
    subject: str
    options: Mapping[str, Any]
    cost: Cost
    exact: bool = True

    @property
    def key(self) -> str:
        """Names the step within its audit."""
        return f"{self.verb}.{self.method}" + (f" of {self.subject}" if self.subject else "")

    @property
    def codes(self) -> tuple[str, ...]:
        """The checks that the step answers; of a repair, those it is meant to fix."""
        if (self.verb, self.method) == ("diagnose", settings_grid.NAME):
            return (settings_grid.CHECK.code,)
        method = find(self.verb, self.method)
        return tuple(sorted(method.answers)) if self.verb == "repair" else tuple(c.code for c in method.checks)


@dataclass(frozen=True)
class Plan:
    """Steps in the order they run, and what is left out with the reason.

    ``clean`` is the cost of the model's own output at the rows explained, ``evidence`` the most that explaining rows of
    findings can cost. Costs count rows asked for; an answer that is
    in the cache is not computed again, so the model is evaluated at most as often.
    """

    clean: Cost
    steps: tuple[Step, ...]
    skipped: tuple[NotRun, ...]
    evidence: Cost = field(default_factory=Cost)

    @property
    def cost(self) -> Cost:
        """The cost of all steps that run whatever is found."""
        return sum((step.cost for step in self.steps if step.exact), self.clean)

    @property
    def at_most(self) -> Cost:
        """The most that steps can cost whose extent depends on the data: small groups, repairs of what fails."""
        return sum((step.cost for step in self.steps if not step.exact), self.evidence)

    def done_share(self, done: int) -> float:
        """Estimated share of the work done when ``done`` steps have run.

        A step counts with its cost; one of which only the most is known, with the mean cost of the others at most,
        since it mostly ends long before.
        """
        exact = [_weight(step.cost) for step in self.steps if step.exact]
        usual = sum(exact) / max(len(exact), 1)
        weights = [_weight(step.cost) if step.exact else min(_weight(step.cost), usual) for step in self.steps]
        own = _weight(self.clean)
        return (own + sum(weights[:done])) / max(own + sum(weights), 1)


def _weight(cost: Cost) -> int:
    return cost.forwards + 2 * cost.backwards


def describe_plan(plan: Plan) -> str:
    """The plan in a sentence: how many steps, and their exact cost."""
    exact, repairs = plan.cost, sum(step.verb == "repair" for step in plan.steps)
    most = sum((step.cost for step in plan.steps if not step.exact and step.verb != "repair"), plan.evidence)
    more = (
        f", plus at most {most.forwards:,} and {most.backwards:,} for steps whose size depends on the data"
        if most.forwards or most.backwards
        else ""
    )
    if repairs:
        more += f", and {repairs} kind(s) of repair where a check fails, each followed by the same checks"
    return (
        f"{len(plan.steps)} steps: {exact.forwards:,} model evaluations and {exact.backwards:,} gradient evaluations"
        f"{more}; cached evaluations are not repeated"
    )


Selection = Callable[[str], bool]
"""Whether a check code is selected."""


def make_plan(scope: AuditScope, diagnoses: Sequence[Step] = (), is_selected: Selection = lambda code: True) -> Plan:
    """Explanations, scores, attacks and certificates that this case can have, then diagnoses and repairs."""
    layout = _Layout(scope, is_selected, [], [])
    case, profile = scope.case, scope.profile
    classifier = case.model.gives not in ("values", "units")
    for name, given in profile.explainers.items():
        layout.add("explain", name, "", given)
    for name in scope.references:
        layout.add("explain", name, "", {})
    explained = [step.method for step in layout.steps]
    for name in [name for name in RUNNER_UP_METHODS if name in explained] if classifier else []:
        layout.explain_runner_up(name)
    for name, given in profile.scores.items():
        for subject in explained:
            layout.score(name, subject, given)
    layout.test_scores(explained)
    layout.vary_settings(explained)
    for name, given in profile.attacks.items():
        layout.attack(name, given, explained)
    for name, given in profile.certificates.items():
        layout.certificate(name, given, explained)
    for name, given in profile.views.items() if is_selected("") else ():
        layout.view(name, given)
    chosen = tuple(step for step in diagnoses if any(map(is_selected, step.codes)))
    clean = Cost(2 * len(case) * case.model.passes_per_row)
    return Plan(clean, (*layout.steps, *chosen), tuple(layout.skipped))


@dataclass(frozen=True)
class _Layout:
    scope: AuditScope
    is_selected: Selection
    steps: list[Step]
    skipped: list[NotRun]

    def add(self, verb: Verb, name: str, subject: str, given: Mapping[str, Any]) -> None:
        """One more step, unless the case lacks what it needs or none of the checks it answers is selected."""
        method, scope = find(verb, name), self.scope
        codes = [check.code for check in method.checks] or ([""] if verb != "explain" else [])
        if codes and not any(map(self.is_selected, codes)):
            return
        options = fill_options(method, given, scope)
        if subject == VIEW and "background" in options and "background" not in given:
            options["background"] = view_background(name, scope)
        if scope.case.rows.text is not None and "background" in _unfilled(method, options):
            reason = "it fills absent features from background rows, which texts do not have"
            self.leave_out(f"{verb}.{name}", reason, "a table or images")
            return
        unfilled = _unfilled(method, options)
        if unfilled:
            raise InputError(_unfilled_message(method, unfilled))
        again = _cost_of_explaining(subject, scope) if subject not in ("", RUNNER_UP, VIEW) else None
        case = view_case(name, scope) if subject == VIEW else scope.case
        try:
            require_capabilities(method, case)
            cost = cost_of(method, case, options, again)
        except (CapabilityError, MissingExtra) as error:
            self.leave_out(f"{verb}.{name}", str(error), "a model or data with this property")
            return
        if subject == RUNNER_UP:
            cost = cost_of_explaining_again(scope.case, cost)
        self.steps.append(Step(verb, name, subject, options, cost, method.has_exact_cost))

    def view(self, name: str, given: Mapping[str, Any]) -> None:
        """An explanation that is shown and not judged, or why it is left out."""
        options, reason, enable = view_options(name, self.scope, given)
        if reason:
            self.leave_out(f"explain.{name} of {VIEW}", reason, enable)
        else:
            self.add("explain", name, VIEW, options)

    def explain_runner_up(self, name: str) -> None:
        """The explanation of the runner-up class, where it is not the mirror image of the first."""
        if _is_mirrored(self.scope):
            reason = "with two classes, the runner-up has the same values with the opposite sign"
            self.leave_out(f"explain.{name} of {RUNNER_UP}", reason, "three classes or more")
        else:
            self.add("explain", name, RUNNER_UP, self.scope.profile.explainers[name])

    def score(self, name: str, subject: str, given: Mapping[str, Any]) -> None:
        """One score of one explanation, or why it is left out."""
        reason, enable = _why_not(name, subject, self.scope)
        if not reason:
            self.add("evaluate", name, subject, given)
        elif subject not in self.scope.references:
            self.leave_out(f"evaluate.{name} of {subject}", reason, enable)

    def attack(self, name: str, given: Mapping[str, Any], explained: Sequence[str]) -> None:
        """An attack on the predictions, or on each explanation that is cheap enough to be explained again."""
        scope = self.scope
        if scope.ball is None or "explanation" not in find("attack", name).arguments:
            self.on_predictions("attack", name, given)
            return
        for subject in [subject for subject in explained if subject in scope.profile.attacked]:
            self.add("attack", name, subject, given)

    def certificate(self, name: str, given: Mapping[str, Any], explained: Sequence[str]) -> None:
        """A certificate of the predictions, or of the explanation that it is about, or why it is left out."""
        method, scope = find("certify", name), self.scope
        options = with_noise(method, given, scope)
        reason, enable = why_not_certified(method, options, scope)
        subjects = explanations_certified(name, explained)
        if reason:
            self.leave_out(f"certify.{name}", reason, enable)
        elif not {"explanation", "parts"} & set(method.arguments):
            self.on_predictions("certify", name, options)
        elif "ball" in method.arguments and scope.ball is None:
            self.leave_out(f"certify.{name}", f"it needs {INPUTS['ball'].description}", INPUTS["ball"].argument)
        elif not subjects:
            known = CERTIFIED_BY.get(name, CERTIFIED_METHODS)
            self.leave_out(f"certify.{name}", f"it is about {' or '.join(known)}", f"methods=({known[-1]!r},)")
        else:
            self.add("certify", name, subjects[0], options)

    def on_predictions(self, verb: Verb, name: str, given: Mapping[str, Any]) -> None:
        """An attack on the predictions, or a certificate of them, or why it is left out."""
        if self.scope.ball is None and "ball" in find(verb, name).arguments:
            self.leave_out(f"{verb}.{name}", f"it needs {INPUTS['ball'].description}", INPUTS["ball"].argument)
        else:
            self.add(verb, name, "", given)

    def test_scores(self, explained: Sequence[str]) -> None:
        """Whether the scores that verdicts use are reliable here, tested on the reference method."""
        scope = self.scope
        best = next((name for name in REFERENCE_METHODS if name in explained), None)
        faithful = [c.score for c in criteria() if c.kind == "faithful" and c.score in scope.profile.scores]
        deciding = {name: scope.profile.scores[name] for name in faithful}
        if best is None or not deciding or not scope.profile.reliability:
            return
        options = {name: fill_options(find("evaluate", name), given, scope) for name, given in deciding.items()}
        self.add("diagnose", "score_reliability", best, {**scope.profile.reliability, "scores": options})
        self.test_reference(best, options)

    def test_reference(self, best: str, options: Mapping[str, Mapping[str, Any]]) -> None:
        """Whether the reference method ranks better than chance under a removal that it was not computed with."""
        others = [remove for remove in settings_grid.removals(self.scope).values() if remove is not self.scope.remove]
        ordered = next((name for name in ("deletion", "insertion") if name in options), "")
        if not others or not ordered:
            lacking = "a second way to fill removed features" if ordered else "deletion or insertion"
            self.leave_out("diagnose.second_removal", f"it needs {lacking}", lacking)
            return
        given = {name: value for name, value in options[ordered].items() if name != "remove"}
        self.add("diagnose", "second_removal", best, {"second": others[0], "score": ordered, "options": given})

    def vary_settings(self, explained: Sequence[str]) -> None:
        """The ranking of the explanations under other settings of the score, where it is requested."""
        scope = self.scope
        score = settings_grid.ranking_score(scope.profile.scores)
        if not scope.profile.settings_grid or not self.is_selected(settings_grid.CHECK.code):
            return
        methods = [name for name in explained if name not in scope.references]
        if not score or len(methods) < 2:
            lacking = "two explanations or more" if score else "a score of faithfulness, such as deletion"
            self.leave_out(f"diagnose.{settings_grid.NAME}", f"it needs {lacking}", lacking)
            return
        options = settings_grid.grid_options(scope, score)
        count = len(settings_grid.ranked_names(explained, scope.references))
        cost = settings_grid.grid_cost(scope, options, score, count)
        self.steps.append(Step("diagnose", settings_grid.NAME, score, options, cost))

    def leave_out(self, what: str, why: str, enable: str) -> None:
        """Record what is left out, once."""
        if not any(known.what == what for known in self.skipped):
            self.skipped.append(NotRun(what, why, enable))


def _cost_of_explaining(name: str, scope: AuditScope) -> Cost:
    """The cost of computing this explanation once more."""
    method = find("explain", name)
    return cost_of(method, scope.case, fill_options(method, scope.profile.explainers.get(name, {}), scope))


def _is_mirrored(scope: AuditScope) -> bool:
    """Whether the target of one class is that of the other with the opposite sign, up to a constant."""
    return len(scope.case.model.classes) == 2 and scope.case.target.name in ("probability", "margin", "log_odds")


def _why_not(score: str, subject: str, scope: AuditScope) -> tuple[str, str]:
    """Why this explanation does not get this score, and what would enable it; two empty texts where it does."""
    explainer, scorer = find("explain", subject), find("evaluate", score)
    given = fill_options(scorer, scope.profile.scores[score], scope)
    unfilled = _unfilled(scorer, given)
    if score == "completeness" and "complete" not in explainer.claims:
        return "the values of this method need not add up to the output", "a method with the property completeness"
    if "net" in scorer.needs and scope.case.model.net is None:
        lacking = "first layer to change" if "shift" in scorer.needs else "weights to randomise"
        return f"the model has no {lacking}", "a PyTorch network"
    if "ball" in unfilled:
        return f"it needs {INPUTS['ball'].description}", INPUTS["ball"].argument
    if "reference" in scorer.options and holds_words(scope.case):
        return "words of raw texts have no distance to those of other texts", "a net that reads text"
    if unfilled == ["reference"]:
        return f"it needs {INPUTS['train'].description}", INPUTS["train"].argument
    if unfilled:
        return f"it needs {', '.join(unfilled)}", f"scores={{{score!r}: {{{unfilled[0]!r}: …}}}}"
    if score == "runner_up_logit" and _is_mirrored(scope):
        return "with two classes, the runner-up has the same values with the opposite sign", "three classes or more"
    cheap = scope.profile.randomised if score == "parameter_randomisation" else scope.profile.moved
    if (
        subject not in cheap
        and "reference" not in explainer.claims
        and recomputes_explanations(scorer, scope.case, given)
    ):
        return "recomputing explanations by removal needs too many model evaluations", f"scores=({score!r},)"
    return "", ""


def _unfilled(method: Method, given: Mapping[str, Any]) -> list[str]:
    """Options without a default that are not given."""
    return [name for name, option in method.options.items() if option.default is option.empty and name not in given]


def _takes_scales(method: Method) -> bool:
    """Whether the option ``scale`` holds one number a column."""
    option = method.options.get("scale")
    return option is not None and "tuple" in str(option.annotation)


def _unfilled_message(method: Method, unfilled: Sequence[str]) -> str:
    """What a requested method needs, and how to give it."""
    known = [INPUTS[name].flag for name in unfilled if name in INPUTS and INPUTS[name].flag]
    flags = f" {', '.join(known)}, or" if known else ""
    return (
        f"{method.verb}.{method.name} needs {', '.join(unfilled)}, which the audit does not know. Give{flags} in "
        f"Python methods={{{method.name!r}: {{{unfilled[0]!r}: …}}}}, or leave the method out."
    )


def fill_options(method: Method, given: Mapping[str, Any], scope: AuditScope) -> dict[str, Any]:
    """The options of one call: the profile's or the caller's, and what all steps share where nothing is given."""
    shared = {
        "remove": scope.remove,
        "background": scope.background,
        "comparison": scope.background,
        "ball": scope.ball,
        "reference": scope.reference,
        "start": scope.start,
        "scale": shift_scale(scope) if _takes_scales(method) else None,
    }
    if given.get("neighbourhood") is not None:  # points around the row: nothing is removed
        del shared["remove"]
    wanted = {name: value for name, value in shared.items() if name in method.options and value is not None}
    return dict(given) | {name: value for name, value in wanted.items() if name not in given}
