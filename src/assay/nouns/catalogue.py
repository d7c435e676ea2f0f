# SPDX-License-Identifier: Apache-2.0
"""The declarative record of a method, and the catalogue of all of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from assay.basics.errors import InputError

Verb = Literal["explain", "evaluate", "attack", "certify", "diagnose", "repair"]
VERBS: tuple[Verb, ...] = ("explain", "evaluate", "attack", "certify", "diagnose", "repair")


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

    ``needs`` names what a case must offer (``gradient``, ``classes``, ``net``, ``image``, …). ``claims`` names laws
    the contract suite then tests. ``better`` is the direction of a score. ``options`` are the keyword-only parameters.
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
    cost: Callable[..., Cost] | None = field(default=None, repr=False, compare=False)
    body: Callable[..., Any] = field(default=lambda: None, repr=False, compare=False)
    call: Callable[..., Any] = field(default=lambda: None, repr=False, compare=False)

    @property
    def options(self) -> dict[str, inspect.Parameter]:
        """The method's options, with their types (as written) and defaults."""
        parameters = inspect.signature(self.body).parameters
        return {n: p for n, p in parameters.items() if p.kind is inspect.Parameter.KEYWORD_ONLY}

    @property
    def doc(self) -> str:
        """The method's whole docstring."""
        return inspect.getdoc(self.body) or ""


_CATALOGUE: dict[tuple[str, str], Method] = {}


def enter(method: Method) -> None:
    """Add a method to the catalogue; a name belongs to one method of a verb."""
    _CATALOGUE[method.verb, method.name] = method


def leave(method: Method) -> None:
    """Take a method out of the catalogue again (tests of the catalogue itself)."""
    _CATALOGUE.pop((method.verb, method.name), None)


def known(verb: str | None = None) -> Iterator[Method]:
    """All methods whose verb package has been imported, by verb and name."""
    for method in sorted(_CATALOGUE.values(), key=lambda m: (VERBS.index(m.verb), m.name)):
        if verb in (None, method.verb):
            yield method


def find(verb: str, name: str) -> Method:
    """The method of this verb and name; raises ``InputError`` with the nearest names."""
    if (verb, name) in _CATALOGUE:
        return _CATALOGUE[verb, name]
    import difflib

    names = [method.name for method in known(verb)]
    near = difflib.get_close_matches(name, names, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(names)}."
    raise InputError(f"no method {verb}.{name}; {hint}")
