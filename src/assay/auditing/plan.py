# SPDX-License-Identifier: Apache-2.0
"""What an audit is going to do, as a flat list with its price, before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assay.auditing import settings_grid as settings
from assay.auditing.setting import Setting
from assay.basics.errors import CapabilityError, MissingExtra
from assay.engine.comparison.criteria import CRITERIA, ORACLES
from assay.engine.comparison.meta_evaluation import explains_again
from assay.engine.cost import anew, cost_of
from assay.engine.declare import check
from assay.nouns.catalogue import Cost, Method, Verb, find
from assay.nouns.records.record import NotRun

RIVALS = ("integrated_gradients", "shapley")
"""Explanations that are also asked about the runner-up class."""

RIVAL = "the runner-up"
"""Subject of an explanation that is asked about each row's second class."""

LEADERS = ("integrated_gradients", "shapley")
"""Explanations whose leading parts are certified: the first that the case can have."""

CODES: dict[tuple[str, str], tuple[str, ...]] = {
    **{("evaluate", one.score): tuple(c.code for c in CRITERIA if c.score == one.score) for one in CRITERIA},
    ("attack", "top_k"): ("ATK401",),
    ("diagnose", "score_reliability"): ("SCO101", "SCO102"),
    ("diagnose", settings.NAME): (settings.CODE,),
    ("diagnose", "membership"): ("PRV101", "PRV102", "PRV103"),
    ("diagnose", "disparity"): ("FAI101", "FAI102", "FAI103", "FAI110"),
    ("diagnose", "shortcut"): ("SHC201", "SHC202"),
    ("diagnose", "data"): ("DAT101", "DAT102", "DAT103", "DAT104"),
    ("repair", "refit"): ("PRV101", "PRV102", "FAI101", "FAI102", "FAI103", "SHC201", "SHC202"),
}
"""The checks each step serves; of a repair, those it answers to."""


@dataclass(frozen=True)
class Step:
    """One call: a method, on whose explanation (if any), with which options, and what it asks of the model.

    ``exact`` is false where the data decide how much is asked; the price is then the most it can be.
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


@dataclass(frozen=True)
class Plan:
    """Steps in the order they run, and what is left out with the reason.

    ``clean`` is the model's own answer at the rows explained. Prices count rows asked for. Where a game remembers an
    answer the model is not asked again, so that it is asked at most as often, and how often is known only afterwards.
    """

    clean: Cost
    steps: tuple[Step, ...]
    skipped: tuple[NotRun, ...]

    @property
    def cost(self) -> Cost:
        """What all steps ask for that run whatever is found."""
        return sum((step.cost for step in self.steps if step.exact), self.clean)

    @property
    def at_most(self) -> Cost:
        """The most that steps ask for whose extent the data decide: drawing on small groups, mending what fails."""
        return sum((step.cost for step in self.steps if not step.exact), Cost())

    def paid(self, done: int) -> float:
        """Share of the price paid when ``done`` steps have run."""
        whole = _weight(self.cost + self.at_most)
        return _weight(sum((step.cost for step in self.steps[:done]), self.clean)) / max(whole, 1)


def _weight(cost: Cost) -> int:
    return cost.forwards + 2 * cost.backwards


Wanted = Callable[[str], bool]


def plan(setting: Setting, faults: Sequence[Step] = (), wanted: Wanted = lambda code: True) -> Plan:
    """Lay out explanations, rivals, scores, attacks and certificates that this case can have, then the faults."""
    layout = _Layout(setting, wanted, [], [])
    case, profile = setting.case, setting.profile
    classifier = case.model.gives not in ("values", "units")
    for name, given in profile.explainers.items():
        layout.add("explain", name, "", given)
    for name in setting.references:
        layout.add("explain", name, "", {})
    explained = [step.method for step in layout.steps]
    for name in [name for name in RIVALS if name in explained] if classifier else []:
        if _mirrored(setting):
            reason = "of two classes the runner-up's values are these with the sign turned"
            layout.leave_out(f"explain.{name} of {RIVAL}", reason, "three classes or more")
        else:
            layout.add("explain", name, RIVAL, profile.explainers[name])
    for name, given in profile.scores.items():
        for subject in explained:
            reason, enable = _why_not(name, subject, setting)
            if not reason:
                layout.add("evaluate", name, subject, given)
            elif subject not in setting.references:
                layout.leave_out(f"evaluate.{name} of {subject}", reason, enable)
    layout.test_scores(explained)
    layout.vary_settings(explained)
    for name, given in profile.attacks.items():
        for subject in explained:
            if subject in profile.attacked and setting.ball is not None:
                layout.add("attack", name, subject, given)
    for name, given in profile.certificates.items():
        for subject in [name for name in LEADERS if name in explained][:1] if classifier else []:
            layout.add("certify", name, subject, given)
    chosen = tuple(step for step in faults if any(map(wanted, CODES.get((step.verb, step.method), ("",)))))
    clean = Cost(2 * len(case) * case.model.passes)
    return Plan(clean, (*layout.steps, *chosen), tuple(layout.skipped))


@dataclass(frozen=True)
class _Layout:
    setting: Setting
    wanted: Wanted
    steps: list[Step]
    skipped: list[NotRun]

    def add(self, verb: Verb, name: str, subject: str, given: Mapping[str, Any]) -> None:
        """One more step, unless the case lacks what it needs or nobody asked for what it serves."""
        codes = CODES.get((verb, name), () if verb == "explain" else ("",))
        if codes and not any(map(self.wanted, codes)):
            return
        method, setting = find(verb, name), self.setting
        options = filled(method, given, setting)
        again = _explaining(subject, setting) if subject and subject != RIVAL else None
        try:
            check(method, setting.case)
            cost = cost_of(method, setting.case, options, again)
        except (CapabilityError, MissingExtra) as error:
            self.leave_out(f"{verb}.{name}", str(error), "a model or data that offers it")
            return
        if subject == RIVAL:
            cost = anew(setting.case, cost)
        self.steps.append(Step(verb, name, subject, options, cost))

    def test_scores(self, explained: Sequence[str]) -> None:
        """Whether the scores that verdicts rest on can be believed here, asked of the yardstick."""
        setting = self.setting
        best = next((name for name in ORACLES if name in explained), None)
        deciding = {c.score: setting.profile.scores[c.score] for c in CRITERIA
                    if c.kind == "faithful" and c.score in setting.profile.scores}  # fmt: skip
        if best is None or not deciding or not setting.profile.reliability:
            return
        filled_in = {name: filled(find("evaluate", name), given, setting) for name, given in deciding.items()}
        self.add("diagnose", "score_reliability", best, {**setting.profile.reliability, "scores": filled_in})

    def vary_settings(self, explained: Sequence[str]) -> None:
        """The ranking of the explanations under other settings of the score, where it is asked for."""
        setting = self.setting
        score = settings.ranked_by(setting.profile.scores)
        if not setting.profile.settings_grid or not self.wanted(settings.CODE):
            return
        methods = [name for name in explained if name not in setting.references]
        if not score or len(methods) < 2:
            lacking = "two explanations or more" if score else "a score of faithfulness, such as deletion"
            self.leave_out(f"diagnose.{settings.NAME}", f"a ranking needs {lacking}", lacking)
            return
        options = settings.axes(setting, score)
        cost = settings.cost(setting, options, score, len(settings.ranked(explained, setting.references)))
        self.steps.append(Step("diagnose", settings.NAME, score, options, cost))

    def leave_out(self, what: str, why: str, enable: str) -> None:
        """Remember what is left out, once."""
        if not any(known.what == what for known in self.skipped):
            self.skipped.append(NotRun(what, why, enable))


def _explaining(name: str, setting: Setting) -> Cost:
    """What making this explanation once more asks for."""
    method = find("explain", name)
    return cost_of(method, setting.case, filled(method, setting.profile.explainers.get(name, {}), setting))


def _mirrored(setting: Setting) -> bool:
    """Whether the target of one class is that of the other turned round: a chance or a margin of two classes."""
    return len(setting.case.model.classes) == 2 and setting.case.target.name in ("probability", "margin", "log_odds")


def _why_not(score: str, subject: str, setting: Setting) -> tuple[str, str]:
    """Why this explanation is not put to this score, and what would enable it; two empty texts where it is."""
    method, net, asked = find("explain", subject), setting.case.model.net, find("evaluate", score)
    given = filled(asked, setting.profile.scores[score], setting)
    open_ = [name for name, option in asked.options.items() if option.default is option.empty and name not in given]
    if score == "completeness" and "complete" not in method.claims:
        return "the method does not claim that its values add up", "a method that does"
    if score == "parameter_randomisation" and net is None:
        return "the model has no weights to draw afresh", "a torch net"
    if "ball" in open_:
        return "columns have units of their own, so there is no ball", "call it yourself with ball=…"
    if open_ == ["reference"]:
        return "no training rows were given", "train=(rows, labels)"
    if open_:
        return f"it needs {', '.join(open_)}", f"scores={{{score!r}: {{{open_[0]!r}: …}}}}"
    if score == "runner_up_logit" and _mirrored(setting):
        return "of two classes the runner-up's values are these with the sign turned", "three classes or more"
    again = setting.profile.randomised if score == "parameter_randomisation" else setting.profile.moved
    if subject not in again and "reference" not in method.claims and explains_again(asked, setting.case, given):
        return "re-explaining by removal costs too many forward passes", "call it yourself"
    return "", ""


def filled(method: Method, given: Mapping[str, Any], setting: Setting) -> dict[str, Any]:
    """The options of one call: the profile's, and what all steps share."""
    shared = {
        "remove": setting.remove,
        "background": setting.background,
        "ball": setting.ball,
        "reference": setting.reference,
    }
    return dict(given) | {name: value for name, value in shared.items() if name in method.options and value is not None}
