# SPDX-License-Identifier: Apache-2.0
"""The types of a method's arguments, checked against its annotations before anything is evaluated."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.cases.case import Case
from assay.cases.removals import Removal
from assay.engine.gradients.distributions import Distribution
from assay.engine.search.ball import Ball
from assay.model.diffusion.denoiser import Denoiser
from assay.nouns.catalogue import Method
from assay.nouns.inputs.number_checks import is_number, is_whole_number
from assay.nouns.inputs.recipe import Recipe
from assay.nouns.results.finding import Finding
from assay.nouns.results.result import AttackResult, Explanation, Score

LEVELS = ("level", "confidence")
"""Options that are confidence levels."""


def require_types(method: Method, given: Mapping[str, Any]) -> None:
    """Raise ``InputError`` for the first argument that is not of the type that the method declares.

    A number is finite and no truth value, a count is whole, and a choice is one of its words. Arguments of any other
    type (rows, labels) are checked where they are read.
    """
    for name, parameter in inspect.signature(method.body).parameters.items():
        value, kind = given[name], _kind(parameter.annotation)
        if value is parameter.default or (value is None and "None" in kind):
            continue
        if name in LEVELS and not (_is_finite(value) and 0 < value < 1):
            raise InputError(f"{method.verb}.{method.name}: {name}={_short(value)} is no level between 0 and 1.")
        needed = _needed(kind.removesuffix(" | None"), value)
        if needed:
            raise InputError(
                f"{method.verb}.{method.name}: {name}={_short(value)} is {_found(value, needed)}not {needed}."
            )


def _kind(annotation: Any) -> str:
    """An annotation as text without the names of modules."""
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    text = re.sub(r"\b(?:\w+\.)+(?=[A-Za-z])", "", text)
    return re.sub(r"Optional\[(.*)\]$", r"\1 | None", text)


def _needed(kind: str, value: Any) -> str:
    """What is needed instead of the value; empty where it fits."""
    if kind.startswith("Literal["):
        words = re.findall(r"'([^']*)'", kind)
        return "" if isinstance(value, str) and value in words else f"one of {', '.join(map(repr, words))}"
    fits, needed = _TYPES.get(kind, (_anything, ""))
    return "" if fits(value) else needed


def _anything(value: Any) -> bool:
    return True


def _is_finite(value: Any) -> bool:
    return is_number(value) and math.isfinite(value)


def _are(values: Any, fits: Callable[[Any], bool]) -> bool:
    """Whether values are a list or a tuple of such entries."""
    return isinstance(values, Sequence) and not isinstance(values, str | bytes) and all(map(fits, values))


def _are_numbers(values: Any) -> bool:
    return _are(values.tolist() if isinstance(values, np.ndarray) else values, _is_finite)


def _maps(value: Any, fits: Callable[[Any], bool], kind: type) -> bool:
    """Whether a value is a mapping with such keys and entries of this type."""
    return isinstance(value, Mapping) and all(fits(key) and isinstance(one, kind) for key, one in value.items())


def _is_word(value: Any) -> bool:
    return isinstance(value, str)


def _is_pair(value: Any) -> bool:
    return _are(value, _is_word) and len(value) == 2


def _found(value: Any, needed: str) -> str:
    """What a text is that is given for a list of texts."""
    return "a single text, " if isinstance(value, str) and needed.startswith("a list") else ""


def _short(value: Any) -> str:
    return repr(value)[:60] if np.ndim(value) == 0 else f"<{type(value).__name__} of shape {np.shape(value)}>"


_TYPES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "int": (is_whole_number, "a whole number"),
    "float": (_is_finite, "a finite number"),
    "float | Fraction": (lambda value: isinstance(value, Fraction) or _is_finite(value), "a number or a fraction"),
    "bool": (lambda value: isinstance(value, bool | np.bool_), "True or False"),
    "str": (_is_word, "a word"),
    "tuple[float, ...]": (_are_numbers, "a sequence of finite numbers"),
    "tuple[int, ...]": (lambda value: _are(value, is_whole_number), "a sequence of whole numbers"),
    "tuple[str, ...]": (lambda value: _are(value, _is_word), "a list of names"),
    "Sequence[str]": (lambda value: _are(value, _is_word), "a list of names"),
    "Sequence[tuple[str, str]]": (lambda value: _are(value, _is_pair), "a list of pairs of names"),
    "Pairs": (lambda value: _are(value, _is_pair), "a list of pairs of names"),
    "Sequence[Any]": (lambda value: isinstance(value, Sequence | Explanation), "a list"),
    "Sequence[Finding]": (lambda value: _are(value, lambda one: isinstance(one, Finding)), "a list of findings"),
    "Mapping[str, float]": (
        lambda value: isinstance(value, Mapping) and all(map(_is_word, value)) and all(map(_is_finite, value.values())),
        "a mapping from name to number",
    ),
    "Mapping[str, Mapping[str, Any]]": (
        lambda value: _maps(value, _is_word, Mapping),
        "a mapping from name to options",
    ),
    "Mapping[str, Sequence[Any]]": (
        lambda value: _maps(value, _is_word, Sequence),
        "a mapping from name to a list",
    ),
    "Mapping[str, AttackResult]": (
        lambda value: _maps(value, _is_word, AttackResult),
        "a mapping from name to the result of an attack",
    ),
    "Mapping[str, Explanation]": (
        lambda value: _maps(value, _is_word, Explanation),
        "a mapping from name to explanation",
    ),
    "Scores": (lambda value: _maps(value, _is_pair, Score), "a mapping from (explainer, score) to a score"),
    "tuple[float | int, float | int]": (
        lambda value: _are(value, _is_finite) and len(value) == 2,
        "a pair of finite numbers",
    ),
    "Removal": (
        lambda value: isinstance(value, Removal) and not isinstance(value, type),
        "a removal. Give assay.Constant(0.0), Mean, Blur, Marginal or Conditional",
    ),
    "Distribution": (
        lambda value: isinstance(value, Distribution) and not isinstance(value, type),
        "a distribution of points, such as Point(), Line(…) or Gaussian(…)",
    ),
    "Ball": (lambda value: isinstance(value, Ball), "a ball, such as assay.Ball('linf', 0.03)"),
    "Denoiser": (
        lambda value: isinstance(value, Denoiser),
        "a denoiser: train_denoiser, load_denoiser, net_denoiser or diffusers_denoiser of assay.model.diffusion",
    ),
    "Recipe": (lambda value: isinstance(value, Recipe), "an assay.Recipe(fit, x, y)"),
    "Explanation": (lambda value: isinstance(value, Explanation), "an explanation"),
    "Case": (lambda value: isinstance(value, Case), "a case; make one with assay.case(model, x)"),
}
"""Whether a value fits, and what is needed, by the annotation."""
