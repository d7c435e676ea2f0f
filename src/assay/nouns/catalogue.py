# SPDX-License-Identifier: Apache-2.0
"""Methods and checks: the declarative record of each, and the catalogue of all of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any, Literal

from assay.basics.errors import InputError

Verb = Literal["explain", "evaluate", "attack", "certify", "diagnose", "repair"]
VERBS: tuple[Verb, ...] = ("explain", "evaluate", "attack", "certify", "diagnose", "repair")


Direction = Literal["at most", "at least", ""]
Kind = Literal["faithful", "sane", "other"]

FAMILIES = {
    "PER": "performance",
    "TRU": "whether an explanation may be used",
    "EXP": "completeness and faithfulness of explanations",
    "SAN": "sanity of explanations",
    "STA": "stability of explanations",
    "SCO": "reliability of the scores that verdicts use",
    "ATK": "attacks",
    "CRT": "certificates",
    "PRV": "privacy",
    "FAI": "fairness",
    "ROB": "robustness",
    "SHC": "shortcuts",
    "CPT": "concepts",
    "SHF": "explanations under a shift of the data",
    "DAT": "data",
    "ITP": "interpretability",
    "RED": "red teaming",
    "RUN": "the audit itself",
}
"""What the first three letters of a check code stand for."""

ONLY_GIVEN = "none unless given"
"""The ``origin`` of a check that judges only by a threshold of the caller's; the declared one is never used."""


@dataclass(frozen=True)
class Check:
    """One question that an audit answers, declared in the file of the function that answers it.

    ``code`` is three letters (the family) and three digits, and is never used again for another question. ``question``
    ends with a question mark; ``remedy`` says what to do when the check fails. An estimate passes on the ``direction``
    side of ``threshold``; a check without a threshold informs and never fails. Where ``undecided_from`` is given, the
    check must be shown to pass: an interval that contains the threshold fails, and is undecided only if it also reaches
    this value.

    ``severe`` is the estimate from which a failure is of high severity (``assay.nouns.results.severity``).

    ``origin`` says where the threshold comes from, such as a law. ``assumes`` holds the codes of checks that must not
    fail: in an audit where one of them does, this check is not applicable.

    How a finding is read off a result, where the function returns no findings: ``claim`` is a template with ``name``,
    ``estimate`` and ``top`` (the reference method). ``reads`` names the field or extra that is averaged over rows
    instead of the values; ``bounds`` are its least and greatest possible value. Where ``over`` names an extra, the mean
    of what is read is divided by the mean of that extra over the same rows (a ratio of sums). Where ``is_normalised``
    holds, a score is normalised between the random explanation (0) and the reference method (1). ``kind`` says what a
    failure means: an explanation that is not ``faithful`` or not ``sane`` gets the verdict "do not use". ``method``
    (verb.name) is filled in by the decorator.
    """

    code: str
    question: str
    remedy: str
    threshold: float | None = None
    direction: Direction = ""
    undecided_from: float | None = None
    severe: float | None = None
    origin: str = "default"
    assumes: tuple[str, ...] = ()
    claim: str = ""
    reads: str = ""
    bounds: tuple[float, float] | None = None
    over: str = ""
    is_normalised: bool = False
    kind: Kind = "other"
    method: str = ""

    @property
    def family(self) -> str:
        """What the three letters of the code stand for."""
        return FAMILIES.get(self.code[:3], self.code[:3])

    @property
    def passes(self) -> str:
        """Which estimates pass, in words; "informs" without a threshold."""
        if self.threshold is None:
            return "informs"
        limit = "a threshold that you give" if self.origin == ONLY_GIVEN else f"{self.threshold:g}"
        return f"{self.direction} {limit}"

    @property
    def score(self) -> str:
        """The name of the method that answers the check."""
        return self.method.partition(".")[2]


@dataclass(frozen=True)
class Cost:
    """Rows through the model and back that are asked for."""

    forwards: int = 0
    backwards: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.forwards + other.forwards, self.backwards + other.backwards)

    def __mul__(self, times: int) -> Cost:
        return Cost(self.forwards * times, self.backwards * times)


@dataclass(frozen=True)
class Method:
    """What there is to know about a method: declared once, read by Python, command line, plan, page and tests.

    ``needs`` names what a case must offer (``gradient``, ``classes``, ``net``, ``image``, …) and what must be known
    about the model under audit (``labels``, ``train``, ``groups``, ``recipe``, …); ``optional`` names what is read
    where it is known. ``checks`` are the questions the method answers, ``answers`` the codes of the checks that a
    repair is meant to fix, ``side_effects`` says what else a repair may change. ``claims`` names laws that the
    contract suite tests. ``better`` is the direction of a score. ``options`` are the keyword-only parameters.
    ``cost`` (case, options, price of the explanation judged) says what is asked of the model, before it runs.
    """

    name: str
    verb: Verb
    source: str
    meaning: str
    needs: frozenset[str] = frozenset()
    claims: frozenset[str] = frozenset()
    better: Literal["higher", "lower", "neither"] = "neither"
    status: Literal["stable", "provisional"] = "provisional"
    checks: tuple[Check, ...] = ()
    answers: frozenset[str] = frozenset()
    side_effects: str = ""
    optional: frozenset[str] = frozenset()
    has_exact_cost: bool = True
    cost: Callable[..., Cost] | None = field(default=None, repr=False, compare=False)
    audit_cost: Callable[..., Cost] | None = field(default=None, repr=False, compare=False)
    audit_calls: Callable[..., Any] | None = field(default=None, repr=False, compare=False)
    proposals: Callable[..., Any] | None = field(default=None, repr=False, compare=False)
    body: Callable[..., Any] = field(default=lambda: None, repr=False, compare=False)
    call: Callable[..., Any] = field(default=lambda: None, repr=False, compare=False)

    @property
    def options(self) -> dict[str, inspect.Parameter]:
        """The method's options, with their types (as written) and defaults."""
        parameters = inspect.signature(self.body).parameters
        return {n: p for n, p in parameters.items() if p.kind is inspect.Parameter.KEYWORD_ONLY}

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of all arguments, options included."""
        return tuple(inspect.signature(self.body).parameters)

    @property
    def arguments(self) -> tuple[str, ...]:
        """The names of the arguments that are no options: what the method is about."""
        return tuple(name for name in self.parameters if name not in self.options)

    @property
    def doc(self) -> str:
        """The method's whole docstring."""
        return inspect.getdoc(self.body) or ""


_CHECKS: dict[str, Check] = {}
_CATALOGUE: dict[tuple[str, str], Method] = {}


def enter(method: Method) -> None:
    """Add a method to the catalogue; a name belongs to one method of a verb."""
    for check in method.checks:
        enter_check(check)
    _CATALOGUE[method.verb, method.name] = method


def enter_check(check: Check) -> Check:
    """Add a check to the catalogue; raises ``InputError`` where its code belongs to another method."""
    known_check = _CHECKS.get(check.code)
    if known_check is not None and known_check.method != check.method:
        raise InputError(
            f"check {check.code} of {check.method} is already declared by {known_check.method or 'audit'}."
        )
    if not (
        check.code[:3].isalpha() and check.code[:3].isupper() and check.code[3:].isdigit() and len(check.code) == 6
    ):
        raise InputError(f"check code {check.code!r}; a code is three capital letters and three digits.")
    if (check.threshold is None) != (check.direction == ""):
        raise InputError(f"check {check.code} needs both a threshold and a direction, or neither.")
    _CHECKS[check.code] = check
    return check


def leave(method: Method) -> None:
    """Take a method out of the catalogue again (tests of the catalogue itself)."""
    _CATALOGUE.pop((method.verb, method.name), None)
    for check in method.checks:
        _CHECKS.pop(check.code, None)


def known(verb: str | None = None) -> Iterator[Method]:
    """All methods whose verb package has been imported, by verb and name."""
    for method in sorted(_CATALOGUE.values(), key=lambda m: (VERBS.index(m.verb), m.name)):
        if verb in (None, method.verb):
            yield method


def find(verb: str, name: str) -> Method:
    """The method of this verb and name; raises ``InputError`` with the nearest names."""
    if (verb, name) not in _CATALOGUE and verb in VERBS:
        import_module(f"assay.{verb}")  # its methods enter the catalogue
    if (verb, name) in _CATALOGUE:
        return _CATALOGUE[verb, name]
    import difflib

    names = [method.name for method in known(verb)]
    near = difflib.get_close_matches(name, names, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(names)}."
    raise InputError(f"no method {verb}.{name}; {hint}")


def checks(start: str = "") -> tuple[Check, ...]:
    """All checks that begin with ``start``, by family and code; those of verb packages that have been imported."""
    families = list(FAMILIES)
    found = [check for check in _CHECKS.values() if check.code.startswith(start)]

    def key(check: Check) -> tuple[int, str]:
        letters = check.code[:3]
        return families.index(letters) if letters in families else len(families), check.code

    return tuple(sorted(found, key=key))


def check_named(code: str) -> Check | None:
    """The check of this code; ``None`` where there is none."""
    return _CHECKS.get(code)


def owned(check: Check, method: str) -> Check:
    """The check with the method that answers it."""
    return replace(check, method=method)
