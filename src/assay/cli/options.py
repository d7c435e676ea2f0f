# SPDX-License-Identifier: Apache-2.0
"""A method's options from the command line, by the types that the method declares."""

from __future__ import annotations

import difflib
import inspect
import math
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from assay.basics.errors import InputError

if TYPE_CHECKING:
    from assay.engine.search.ball import Ball
    from assay.nouns.catalogue import Method

REMOVALS = (
    "constant:0, mean, blur:10, noisy_linear:0.01, marginal or conditional:10 (need --background), or "
    "repaint:DENOISER or guided:DENOISER (a file of save_denoiser, or fashion)"
)
"""How a removal is written."""

FORMS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "bool | None": "true or false",
    "float | None": "a number",
    "int | None": "a whole number",
    "str": "a word",
    "str | None": "a word",
    "float | Fraction": "a number, or a fraction such as 1/8",
    "tuple[float, ...]": "numbers with commas between them",
    "tuple[int, ...]": "whole numbers with commas between them",
    "tuple[str, ...]": "words with commas between them",
    "Sequence[str]": "words with commas between them",
    "Sequence[str | Explanation]": "names of explainers with commas between them",
    "str | Explanation": "the name of an explainer",
    "Removal": REMOVALS,
    "Removal | None": REMOVALS,
    "Denoiser": "fashion, or a file of save_denoiser",
    "Ball": "linf:0.03, l2:1 or l1:5, with bounds linf:0.03:0:1, or l0:3:0:1",
    "Ball | None": "linf:0.03, l2:1 or l1:5, with bounds linf:0.03:0:1, or l0:3:0:1",
    "Labels | None": "the name of a class",
    "Mapping[str, Sequence[Any]] | None": 'a JSON file such as {"name": [entry, entry]}',
    "Mapping[str, float] | None": "NAME:NUMBER with commas between them",
    "Any": "a number",
    "ArtefactLike": "a PNG file with transparency, of the size of the rows",
    "MaskLike": "names of columns with commas between them",
}
"""How a value of each type is written."""

OTHER_FLAGS = {
    "other": "--other FILE",
    "held_out": "--data FILE and --target COLUMN",
    "background": "--background FILE",
    "comparison": "--background FILE",
    "reference": "--background FILE",
    "concepts": "--concept NAME=FILE",
    "controls": "--control NAME=FILE",
    "random_rows": "--random-rows FILE",
    "masks": "--masks NAME=FILE.npy",
}
"""Options of methods that are no input of an audit and have a flag of their own."""


def flag_of(method: Method, option: str) -> str:
    """The flag that gives an option of a method; empty where it is given by ``--option``."""
    from assay.engine.audit_inputs import INPUTS

    if option == "labels" and method.verb == "explain":
        return "--target COLUMN"
    is_number = option in method.options and kind_of(method.options[option].annotation) in ("float", "int")
    if option in OTHER_FLAGS and not is_number:
        return OTHER_FLAGS[option]
    is_input = option in method.needs | method.optional or option == "recipe"
    flag = INPUTS[option].flag if option in INPUTS and is_input else ""
    return "" if flag.startswith("--option") else flag


def form_of(method: Method, option: str) -> str:
    """How ``--option`` gives an option of a method; that it cannot, where its type is not written on a command line."""
    form = FORMS.get(kind_of(method.options[option].annotation)) if option in method.options else None
    if form is None or option not in method.options or kind_of(method.options[option].annotation) == "Any":
        return f"give {option} in Python, as assay.{method.verb}.{method.name}(…, {option}=…)"
    return f"--option {option}=VALUE ({form})"


def kind_of(annotation: Any) -> str:
    """A type as one would write it."""
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return re.sub(r"\b(?:assay|typing|collections|numpy|fractions)\.(?:\w+\.)*(?=\w)", "", text)


def parse_thresholds(words: Sequence[str]) -> dict[str, float]:
    """``CODE=NUMBER`` words as thresholds by code."""
    found: dict[str, float] = {}
    for word in words:
        code, equals, value = word.partition("=")
        try:
            found[code.strip()] = float(value)
        except ValueError:
            equals = ""
        if not equals:
            raise InputError(f"--threshold {word!r}; a code and a number are needed, such as --threshold FAI101=0.2.")
    return found


def parsed(method: Method, words: Sequence[str], background: Any = None) -> dict[str, Any]:
    """``NAME=VALUE`` words as the options of a method."""
    options: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise InputError(f"--option {word}: write NAME=VALUE, such as {next(iter(method.options), 'budget')}=512.")
        if name not in method.options:
            near = difflib.get_close_matches(name, method.options, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(method.options) or 'none'}."
            raise InputError(f"{method.verb}.{method.name} has no option {name!r}; {hint}")
        if flag_of(method, name):
            raise InputError(f"--option {word}: {name} is given by {flag_of(method, name)}.")
        options[name] = _value(f"{name}={value}", kind_of(method.options[name].annotation), value, background)
    return options


def _value(word: str, kind: str, text: str, background: Any) -> Any:
    if kind.startswith("Literal["):
        names = re.findall(r"'([^']*)'", kind)
        if text not in names:
            raise InputError(f"--option {word}: there are {', '.join(names)}.")
        return text
    if kind not in FORMS:
        raise InputError(f"--option {word}: a {kind} cannot be written on the command line; call it in Python.")
    try:
        if kind in ("Removal", "Removal | None"):
            return removal(text, background)
        return ball(text) if kind in ("Ball", "Ball | None") else PARSERS[kind](text)
    except (ValueError, ZeroDivisionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"--option {word}: {text!r} is not {FORMS[kind]}.") from error


def _truth(text: str) -> bool:
    known = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if text.lower() not in known:
        raise ValueError(text)
    return known[text.lower()]


def _fraction(text: str) -> Any:
    from fractions import Fraction

    return Fraction(text) if "/" in text else float(text)


def _lists(path: str) -> dict[str, list[Any]]:
    """The lists by name in a JSON file."""
    import json
    from pathlib import Path

    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"there is no file {path!r} to read: {error.strerror}.") from error
    if not isinstance(found, dict) or not all(isinstance(one, list) for one in found.values()):
        raise InputError(f'{path} holds no lists by name, such as {{"good": ["fine", "nice"]}}.')
    return found


def _numbers(text: str) -> dict[str, float]:
    """``age:2,income:0.5`` as numbers by name; a name may hold colons."""
    return {name: float(number) for name, _, number in (word.rpartition(":") for word in _words(text))}


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


PARSERS: dict[str, Callable[[str], Any]] = {
    "int": int,
    "float": float,
    "bool": _truth,
    "bool | None": _truth,
    "float | None": float,
    "int | None": int,
    "str": str,
    "str | None": str,
    "float | Fraction": _fraction,
    "tuple[float, ...]": lambda text: tuple(map(float, _words(text))),
    "tuple[int, ...]": lambda text: tuple(map(int, _words(text))),
    "tuple[str, ...]": _words,
    "Sequence[str]": _words,
    "Sequence[str | Explanation]": _words,
    "str | Explanation": str,
    "Labels | None": lambda text: int(text) if text.isdigit() else text,
    "Mapping[str, Sequence[Any]] | None": lambda text: _lists(text),
    "Mapping[str, float] | None": lambda text: _numbers(text),
    "Any": float,
    "ArtefactLike": str,
    "MaskLike": str,
    "Denoiser": lambda text: denoiser(text),
}


def ball(text: str) -> Ball:
    """``linf:0.03`` or ``l2:1.5:0:255`` as a ball."""
    from assay.engine.search.ball import NORMS, Ball

    norm, *numbers = text.split(":")
    if norm not in NORMS or len(numbers) not in (1, 3):
        raise InputError(f"{text!r} is not a ball; write {FORMS['Ball']}.")
    try:
        radius, low, high = (*map(float, numbers), -math.inf, math.inf)[:3]
        return Ball(NORMS[norm], radius, low, high)
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{text!r} is not a ball; write {FORMS['Ball']}.") from error


def removal(text: str, background: Any) -> Any:
    """``constant:0``, ``mean``, ``blur:10``, ``marginal`` or ``repaint:fashion`` as a removal."""
    from assay.cases.removals import Blur, Conditional, Constant, Marginal, Mean, NoisyLinear

    name, _, number = text.partition(":")
    if name in ("repaint", "guided"):
        from assay.cases.generative.removal import Generative

        return Generative(denoiser(number), "repaint" if name == "repaint" else "guided")
    if name in ("marginal", "mean", "conditional") and background is None:
        raise InputError(f"remove={text} fills from other rows; give them with --background FILE.")
    if name == "marginal":
        return Marginal(background)
    if name == "mean":
        return Mean(background)
    if name == "conditional":
        return Conditional(background, int(number or 10))
    if name in ("constant", "blur"):
        return Constant(float(number or 0)) if name == "constant" else Blur(float(number))
    if name == "noisy_linear":
        return NoisyLinear(float(number or 0.01))
    raise InputError(f"remove={text!r} is not a removal; write {FORMS['Removal']}.")


def denoiser(text: str) -> Any:
    """The denoiser of a file, or the one that comes with the package (``fashion``)."""
    from assay.model.diffusion.denoiser_files import fashion_denoiser, load_denoiser

    if not text:
        raise InputError("which denoiser? Write a file of save_denoiser, or fashion, the one of clothing pictures.")
    return fashion_denoiser() if text == "fashion" else load_denoiser(text)


def split(words: Sequence[str]) -> tuple[str, ...]:
    """Words given one by one or with commas between them."""
    return tuple(part.strip() for word in words for part in word.split(",") if part.strip())
