# SPDX-License-Identifier: Apache-2.0
"""How a function becomes a method: one decorator a verb checks, meters and packs.

The body of a method is a plain function of a case. The decorator asks whether the case offers what the method needs,
counts what it costs, and packs what it returns into a result that knows how it came to be. The body stays reachable as
``method.body``, so that an attack can differentiate through an explanation.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import platform
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal, ParamSpec, Protocol, TypeVar, cast

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.types import Floats
from assay.cases.case import Case
from assay.cases.removals import Blur, Constant, NoisyLinear
from assay.engine.gradients.distributions import Gaussian, Line, Point, Uniform
from assay.engine.search.ball import Ball
from assay.model.attention import may_attend
from assay.model.layer_outline import ends_pooled
from assay.nouns.catalogue import Cost, Method, Verb, enter, find
from assay.nouns.inputs.features import Features
from assay.nouns.inputs.frames import some
from assay.nouns.inputs.rows import to_floats, to_numpy
from assay.nouns.results.result import (
    AttackResult,
    Certificate,
    Estimate,
    Explanation,
    Finding,
    Note,
    Provenance,
    Repair,
    Score,
)

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)


class Declared(Protocol[P, R_co]):
    """A declared method: call it, or read its record."""

    method: Method

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Do it."""


NEEDS: dict[str, tuple[Callable[[Case], bool], str]] = {
    "gradient": (
        lambda case: case.model.has_gradient,
        "needs gradients; {name} gives none. Use shapley or occlusion, or a differentiable surrogate.",
    ),
    "net": (lambda case: case.model.net is not None, "needs a torch net's weights; {name} has none to show."),
    "classes": (
        lambda case: case.model.gives not in ("values", "units"),
        "needs a classifier; {name} gives {gives}.",
    ),
    "loss": (
        lambda case: case.target.name == "loss",
        "needs target 'loss'; the case asks for {case.target.name!r}. Give case.with_target('loss', truth), a label a row.",
    ),
    "image": (
        lambda case: len(case.rows.shape) == 3,
        "needs images (channel, height, width); the rows of {name} have shape {shape}.",
    ),
    "numbers": (
        lambda case: case.rows.table is None or not case.rows.table.coded.any(),
        "needs numeric inputs; the table explained has columns of text or categories.",
    ),
    "table": (
        lambda case: len(case.rows.shape) == 1,
        "needs a table; the rows of {name} have shape {shape}.",
    ),
    "trees": (
        lambda case: case.model.forest is not None,
        "needs a model of trees; {name} shows none. Use shapley with Marginal(background).",
    ),
    "attention": (
        lambda case: may_attend(case.model),
        "needs a net with attention between tokens; {name} shows none. Use integrated_gradients or shapley.",
    ),
    "pooled": (
        lambda case: ends_pooled(case.model.net),
        "needs a net that ends in global average pooling and one linear layer; {name} does not. Use grad_cam.",
    ),
}

PLAIN: dict[str, Callable[..., Any]] = {
    kind.__name__: kind for kind in (Ball, Blur, Constant, Gaussian, Line, NoisyLinear, Point, Uniform)
}
"""Nouns that are numbers and text alone: a stored result has them whole."""


def explainer(
    *,
    source: str,
    needs: set[str] | None = None,
    claims: set[str] | None = None,
    status: Literal["stable", "provisional"] = "provisional",
    cost: Callable[..., Cost] | None = None,
) -> Callable[[Callable[P, Any]], Declared[P, Explanation]]:
    """Declare an explanation: body (case, *, options) → array (row, part) or (row, *shape), or an ``Estimate``."""

    def pack(method: Method, made: Provenance, case: Case, answer: Any, explanation: Explanation | None) -> Explanation:
        estimate = answer if isinstance(answer, Estimate) else Estimate(answer)
        features = case.features if estimate.features is None else estimate.features
        values, dense = _pooled(features, to_floats(estimate.values), method)
        base = np.full(len(case), np.nan) if estimate.base is None else to_floats(estimate.base)
        return Explanation(
            provenance=made,
            notes=(*case.notes, *estimate.notes, *_undefined(values, case, "values")),
            values=values,
            stderr=None if estimate.stderr is None else to_floats(estimate.stderr),
            base=base,
            output=case.output if estimate.output is None else to_floats(estimate.output),
            told=estimate.told,
            features=features,
            ids=case.rows.ids,
            x=_readonly(to_numpy(case.rows.x if estimate.x is None else estimate.x)),
            labels=case.classes if case.model.gives not in ("values", "units") else (),
            dense=dense,
            shown=case.shown() if estimate.features is None else (),
            extra={name: to_floats(array) for name, array in estimate.extra.items()},
            meaning=method.meaning,
            backend=case.rows.table.backend if case.rows.table is not None else "",
        )

    return _declare("explain", pack, source, needs, claims, "neither", status, cost)


def scorer(
    *,
    source: str,
    better: Literal["higher", "lower", "neither"],
    needs: set[str] | None = None,
    claims: set[str] | None = None,
    status: Literal["stable", "provisional"] = "provisional",
    cost: Callable[..., Cost] | None = None,
) -> Callable[[Callable[P, Any]], Declared[P, Score]]:
    """Declare a score: body (explanation, case, *, options) → array (row,), or an ``Estimate``."""

    def pack(method: Method, made: Provenance, case: Case, answer: Any, explanation: Explanation | None) -> Score:
        estimate = answer if isinstance(answer, Estimate) else Estimate(answer)
        values = to_floats(estimate.values)
        return Score(
            provenance=made,
            notes=(*case.notes, *estimate.notes, *_undefined(values[:, None], case, "the score")),
            values=values,
            ids=case.rows.ids,
            better=better,
            of=explanation.provenance.method if explanation is not None else "",
            stderr=None if estimate.stderr is None else to_floats(estimate.stderr),
            extra={name: to_floats(array) for name, array in estimate.extra.items()},
            meaning=method.meaning,
        )

    return _declare("evaluate", pack, source, needs, claims, better, status, cost)


def attacker(
    *,
    source: str,
    needs: set[str] | None = None,
    claims: set[str] | None = None,
    cost: Callable[..., Cost] | None = None,
) -> Callable[[Callable[P, Any]], Declared[P, AttackResult]]:
    """Declare an attack: body ([explanation,] case, ball, *, options) → the fields of a ``AttackResult`` by name."""

    def pack(
        method: Method, made: Provenance, case: Case, answer: Any, explanation: Explanation | None
    ) -> AttackResult:
        fields = dict(answer)
        notes = (*case.notes, *fields.pop("notes", ()))
        x = _readonly(to_numpy(fields.pop("x")))
        return AttackResult(provenance=made, notes=notes, x=x, ids=case.rows.ids, meaning=method.meaning, **fields)

    return _declare("attack", pack, source, needs, claims, "neither", "provisional", cost)


def certifier(
    *,
    source: str,
    needs: set[str] | None = None,
    claims: set[str] | None = None,
    cost: Callable[..., Cost] | None = None,
) -> Callable[[Callable[P, Any]], Declared[P, Certificate]]:
    """Declare a certificate: body (case, parts, *, options) → the fields of a ``Certificate`` by name."""

    def pack(method: Method, made: Provenance, case: Case, answer: Any, explanation: Explanation | None) -> Certificate:
        fields = dict(answer)
        notes = (*case.notes, *fields.pop("notes", ()))
        return Certificate(provenance=made, notes=notes, ids=case.rows.ids, meaning=method.meaning, **fields)

    return _declare("certify", pack, source, needs, claims, "neither", "provisional", cost)


def diagnostic(
    *,
    source: str,
    needs: set[str] | None = None,
    claims: set[str] | None = None,
    cost: Callable[..., Cost] | None = None,
) -> Callable[[Callable[P, Any]], Declared[P, list[Finding]]]:
    """Declare a diagnosis: body (case, …, *, options) → findings; estimates come with intervals."""

    def pack(
        method: Method, made: Provenance, case: Case, answer: Any, explanation: Explanation | None
    ) -> list[Finding]:
        return list(answer)

    return _declare("diagnose", pack, source, needs, claims, "neither", "provisional", cost)


def repairer(
    *,
    source: str,
    needs: set[str] | None = None,
    claims: set[str] | None = None,
    cost: Callable[..., Cost] | None = None,
) -> Callable[[Callable[P, Any]], Declared[P, Repair]]:
    """Declare a repair: body (case, …, *, options) → the fields of a ``Repair`` by name, the new model among them."""

    def pack(method: Method, made: Provenance, case: Case, answer: Any, explanation: Explanation | None) -> Repair:
        fields = dict(answer)
        notes = (*case.notes, *fields.pop("notes", ()))
        return Repair(provenance=made, notes=notes, meaning=method.meaning, **fields)

    return _declare("repair", pack, source, needs, claims, "neither", "provisional", cost)


def recompute(explanation: Explanation, case: Case) -> Explanation:
    """The same method with the same options on another case (other model, other rows, other label).

    A result read back from disk remembers options that hold data (a background) only by their marks and cannot be
    remade: ``InputError``. Plain ones (``Constant(0.0)``, ``Blur(10.0)``) come back whole.
    """
    method = find("explain", explanation.provenance.method)
    options = {name: _restored(value) for name, value in explanation.provenance.options.items()}
    lost = [name for name, value in options.items() if isinstance(value, Mapping) and "fingerprint" in value]
    if lost:
        raise InputError(
            f"{method.name} was read from disk and {', '.join(lost)} held data that is not stored; call "
            f"explain.{method.name} again."
        )
    return cast(Explanation, method.call(case, **options))


def _restored(option: Any) -> Any:
    """A small noun that a file holds by its kind and numbers, made again; anything else as it is."""
    if isinstance(option, Mapping) and option.get("kind") in PLAIN:
        return PLAIN[option["kind"]](**{name: value for name, value in option.items() if name != "kind"})
    return option


def check(method: Method, case: Case) -> None:
    """Raise ``CapabilityError`` if the case lacks what the method needs."""
    for need in sorted(method.needs):
        has, message = NEEDS[need]
        if not has(case):
            told = message.format(name=case.model.name, gives=case.model.gives, shape=case.rows.shape, case=case)
            raise CapabilityError(f"{method.verb}.{method.name} {told}")


def _declare(
    verb: Verb,
    pack: Callable[[Method, Provenance, Case, Any, Explanation | None], Any],
    source: str,
    needs: set[str] | None,
    claims: set[str] | None,
    better: Literal["higher", "lower", "neither"],
    status: Literal["stable", "provisional"],
    cost: Callable[..., Cost] | None,
) -> Callable[[Callable[P, Any]], Declared[P, Any]]:
    unknown = (needs or set()) - set(NEEDS)
    if unknown:
        raise InputError(f"unknown needs {sorted(unknown)}; there are {sorted(NEEDS)}.")

    def decorate(body: Callable[P, Any]) -> Declared[P, Any]:
        meaning = (inspect.getdoc(body) or "").partition("\n\n")[0].replace("\n", " ")
        if not meaning:
            raise InputError(f"{body.__name__} says nothing about what its number means; give it a docstring.")

        @functools.wraps(body)
        def call(*args: P.args, **kwargs: P.kwargs) -> Any:
            given = _bound(method, args, kwargs)
            case = next((value for value in given.values() if isinstance(value, Case)), None)
            if case is None:
                raise InputError(f"{verb}.{body.__name__} needs a case; make one with assay.case(model, x).")
            explanation = next((value for value in given.values() if isinstance(value, Explanation)), None)
            _fitting(explanation, case)
            check(method, case)
            options = {name: given[name] for name in method.options}
            meter = case.model.meter
            before = meter.forwards, meter.backwards
            answer = body(*args, **kwargs)
            cost = {"forwards": meter.forwards - before[0], "backwards": meter.backwards - before[1]}
            made = Provenance(
                method=method.name,
                verb=verb,
                options=options,
                seed=case.seed,
                target=case.asked,
                model_fingerprint=case.model.fingerprint,
                rows_fingerprint=case.rows.fingerprint,
                features_fingerprint=case.features.fingerprint,
                versions=versions(),
                device=case.model.device,
                cost={what: count for what, count in cost.items() if count},
            )
            return pack(method, made, case, answer, explanation)

        method = Method(
            name=body.__name__,
            verb=verb,
            source=source,
            meaning=meaning,
            needs=frozenset(needs or ()),
            claims=frozenset(claims or ()),
            better=better,
            status=status,
            cost=cost,
            body=body,
            call=call,
        )
        enter(method)
        declared = cast(Declared[P, Any], call)
        declared.method = method
        return declared

    return decorate


@functools.cache
def versions() -> Mapping[str, str]:
    """Versions of what numbers depend on."""
    found = {"python": platform.python_version()}
    for package in ("assay", "numpy", "scipy", "scikit-learn", "torch"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _bound(method: Method, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Every argument by name, defaults filled in; a strange option raises ``InputError`` with the nearest name."""
    strange = [name for name in kwargs if name not in inspect.signature(method.body).parameters]
    if strange:
        near = difflib.get_close_matches(strange[0], method.options, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(method.options) or 'none'}."
        raise InputError(f"{method.verb}.{method.name} has no option {strange[0]!r}; {hint}")
    try:
        bound = inspect.signature(method.body).bind(*args, **kwargs)
    except TypeError as error:
        raise InputError(f"{method.verb}.{method.name}: {error}.") from error
    bound.apply_defaults()
    return dict(bound.arguments)


def _fitting(explanation: Explanation | None, case: Case) -> None:
    if explanation is None:
        return
    if explanation.ids != case.rows.ids or len(explanation.features) != len(case.features):
        raise InputError(
            f"the explanation has {len(explanation.ids)} rows of {len(explanation.features)} parts, the case "
            f"{len(case)} rows of {len(case.features)} parts; both must speak of the same rows, in order, and parts."
        )


def _pooled(features: Features, values: Floats, method: Method) -> tuple[Floats, Floats | None]:
    parts, shape = (len(values), len(features)), (len(values), *features.shape)
    if features.elementwise and values.shape == shape:
        return features.pool(values), None
    if values.shape == parts:
        return values, None
    if values.shape != shape:
        raise InputError(
            f"{method.name} returned shape {values.shape}; expected {parts} (row, part) or {shape} (row, *shape)."
        )
    return features.pool(values), values


def _undefined(values: Floats, case: Case, what: str) -> tuple[Note, ...]:
    rows = np.flatnonzero(np.isnan(values).any(axis=1))
    if not len(rows):
        return ()
    ids = tuple(case.rows.ids[i] for i in rows)
    return (Note("undefined", f"{what} undefined (NaN) for {len(rows)} of {len(values)} rows: {some(rows)}", ids),)


def _readonly(array: Any) -> Any:
    copy = np.array(array)
    copy.flags.writeable = False
    return copy
