# SPDX-License-Identifier: Apache-2.0
"""Decorators that turn a function into a method: one for each verb.

The body of a method is a plain function of a case. The decorator checks that the case offers what the method needs,
counts the model evaluations, and packs the answer into a result with its provenance. The body stays reachable as
``method.body``, so that an attack can differentiate through an explanation.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, ParamSpec, Protocol, TypeVar, cast

import numpy as np

from assay.basics.errors import InputError
from assay.basics.types import Floats
from assay.cases.case import Case
from assay.engine.argument_types import require_types
from assay.engine.arguments import bind_arguments, choose_removals, named_as_declared
from assay.engine.audit_inputs import INPUTS, AuditInputs, Call
from assay.engine.capabilities import NEEDS, require_capabilities
from assay.engine.infinite_targets import (
    advice_on_infinite,
    may_be_infinite,
    nan_where_infinite,
    without_warnings,
)
from assay.engine.provenance import provenance_of
from assay.model.pass_locks import hold_locks
from assay.nouns.catalogue import Check, Cost, Method, Verb, enter, owned
from assay.nouns.inputs.features import Features
from assay.nouns.inputs.frames import list_first
from assay.nouns.inputs.rows import to_floats, to_numpy
from assay.nouns.results.finding import Finding
from assay.nouns.results.result import AttackResult, Certificate, Estimate, Explanation, Note, Provenance, Repair, Score

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)


class Declared(Protocol[P, R_co]):
    """A declared method: call it, or read its record."""

    method: Method

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Call the method."""


def explainer(
    *,
    source: str,
    needs: set[str] | None = None,
    claims: set[str] | None = None,
    status: Literal["stable", "provisional"] = "provisional",
    cost: Callable[..., Cost] | None = None,
    has_exact_cost: bool = True,
) -> Callable[[Callable[P, Any]], Declared[P, Explanation]]:
    """Declare an explanation: body (case, *, options) → array (row, part) or (row, *shape), or an ``Estimate``.

    Where not ``has_exact_cost``, ``cost`` is the most it can be.
    """

    def pack(
        method: Method, provenance: Provenance, case: Case, answer: Any, explanation: Explanation | None
    ) -> Explanation:
        estimate = answer if isinstance(answer, Estimate) else Estimate(answer)
        features = case.features if estimate.features is None else estimate.features
        values, dense = _pooled(features, nan_where_infinite(case, to_floats(estimate.values)), method)
        base = np.full(len(case), np.nan) if estimate.base is None else to_floats(estimate.base)
        return Explanation(
            provenance=provenance,
            notes=(*case.notes, *estimate.notes, *_undefined(values, case, "values")),
            values=values,
            stderr=None if estimate.stderr is None else to_floats(estimate.stderr),
            base=base,
            output=case.output if estimate.output is None else to_floats(estimate.output),
            description=estimate.description,
            features=features,
            ids=case.rows.ids,
            x=_readonly(to_numpy(case.rows.x if estimate.x is None else estimate.x)),
            labels=case.classes if case.model.kind.is_classifier or case.model.output_names else (),
            dense=dense,
            part_texts=case.part_texts() if estimate.features is None else (),
            extra={name: to_floats(array) for name, array in estimate.extra.items()},
            meaning=method.meaning,
            backend=case.rows.table.backend if case.rows.table is not None else "",
        )

    return _declare(
        pack,
        verb="explain",
        source=source,
        needs=needs,
        claims=claims,
        status=status,
        cost=cost,
        has_exact_cost=has_exact_cost,
    )


def scorer(
    *,
    source: str,
    better: Literal["higher", "lower", "neither"],
    needs: set[str] | None = None,
    claims: set[str] | None = None,
    status: Literal["stable", "provisional"] = "provisional",
    cost: Callable[..., Cost] | None = None,
    checks: tuple[Check, ...] = (),
) -> Callable[[Callable[P, Any]], Declared[P, Score]]:
    """Declare a score: body (explanation, case, *, options) → array (row,), or an ``Estimate``."""

    def pack(method: Method, provenance: Provenance, case: Case, answer: Any, explanation: Explanation | None) -> Score:
        estimate = answer if isinstance(answer, Estimate) else Estimate(answer)
        values = nan_where_infinite(case, to_floats(estimate.values))
        return Score(
            provenance=provenance,
            notes=(*case.notes, *estimate.notes, *_undefined(values[:, None], case, "the score")),
            values=values,
            ids=case.rows.ids,
            better=better,
            of=explanation.provenance.method if explanation is not None else "",
            stderr=None if estimate.stderr is None else to_floats(estimate.stderr),
            extra={name: to_floats(array) for name, array in estimate.extra.items()},
            meaning=method.meaning,
        )

    return _declare(
        pack,
        verb="evaluate",
        source=source,
        needs=needs,
        claims=claims,
        better=better,
        status=status,
        cost=cost,
        checks=checks,
    )


def attacker(
    *,
    source: str,
    needs: set[str] | None = None,
    claims: set[str] | None = None,
    cost: Callable[..., Cost] | None = None,
    checks: tuple[Check, ...] = (),
    has_exact_cost: bool = True,
) -> Callable[[Callable[P, Any]], Declared[P, AttackResult]]:
    """Declare an attack: body ([explanation,] case, ball, *, options) → the fields of a ``AttackResult`` by name.

    Where not ``has_exact_cost``, ``cost`` is the most it can be.
    """

    def pack(
        method: Method, provenance: Provenance, case: Case, answer: Any, explanation: Explanation | None
    ) -> AttackResult:
        fields = dict(answer)
        notes = (*case.notes, *fields.pop("notes", ()))
        x = _readonly(to_numpy(fields.pop("x")))
        return AttackResult(
            provenance=provenance, notes=notes, x=x, ids=case.rows.ids, meaning=method.meaning, **fields
        )

    return _declare(
        pack,
        verb="attack",
        source=source,
        needs=needs,
        claims=claims,
        cost=cost,
        checks=checks,
        has_exact_cost=has_exact_cost,
    )


def certifier(
    *,
    source: str,
    needs: set[str] | None = None,
    claims: set[str] | None = None,
    cost: Callable[..., Cost] | None = None,
    checks: tuple[Check, ...] = (),
) -> Callable[[Callable[P, Any]], Declared[P, Certificate]]:
    """Declare a certificate: body (case, parts, *, options) → the fields of a ``Certificate`` by name."""

    def pack(
        method: Method, provenance: Provenance, case: Case, answer: Any, explanation: Explanation | None
    ) -> Certificate:
        fields = dict(answer)
        notes = (*case.notes, *fields.pop("notes", ()))
        return Certificate(provenance=provenance, notes=notes, ids=case.rows.ids, meaning=method.meaning, **fields)

    return _declare(pack, verb="certify", source=source, needs=needs, claims=claims, cost=cost, checks=checks)


def diagnostic(
    *,
    source: str,
    needs: set[str] | None = None,
    claims: set[str] | None = None,
    cost: Callable[..., Cost] | None = None,
    checks: tuple[Check, ...] = (),
    optional: set[str] | None = None,
    calls: Callable[[Method, AuditInputs], Sequence[Call]] | None = None,
    audit_cost: Callable[[AuditInputs], Cost] | None = None,
    has_exact_cost: bool = True,
) -> Callable[[Callable[P, Any]], Declared[P, list[Finding]]]:
    """Declare a diagnosis: body (case, …, *, options) → findings; estimates come with intervals.

    ``needs`` and ``optional`` also name ``INPUTS``: what must, and what may, be known about the model under audit.
    ``calls`` says how an audit and the command line call the body; by default its arguments are the inputs of the same
    names. ``audit_cost`` counts the model evaluations from the inputs (default: one a row), the most there can be
    where not ``has_exact_cost``.
    """

    def pack(
        method: Method, provenance: Provenance, case: Case, answer: Any, explanation: Explanation | None
    ) -> list[Finding]:
        return list(answer)

    return _declare(
        pack,
        verb="diagnose",
        source=source,
        needs=needs,
        claims=claims,
        cost=cost,
        checks=checks,
        optional=frozenset(optional or ()),
        audit_calls=calls,
        audit_cost=audit_cost,
        has_exact_cost=has_exact_cost,
    )


def repairer(
    *,
    source: str,
    needs: set[str] | None = None,
    claims: set[str] | None = None,
    cost: Callable[..., Cost] | None = None,
    answers: tuple[str, ...] = (),
    side_effects: str = "",
    proposals: Callable[[AuditInputs, Sequence[Finding]], Sequence[Mapping[str, Any]]] | None = None,
    audit_cost: Callable[[AuditInputs], Cost] | None = None,
) -> Callable[[Callable[P, Any]], Declared[P, Repair]]:
    """Declare a repair: body (case, …, *, options) → the fields of a ``Repair`` by name, the new model among them.

    ``answers`` are the codes of the checks it is meant to fix: an audit tries the repair where one of them fails and
    its ``needs`` are known. ``side_effects`` says in a sentence what else the repair may change, for better or worse;
    every finding that suggests the repair shows it. ``proposals`` gives the options of each attempt from the failed
    findings (default: one attempt with the defaults). ``audit_cost``: the most of an attempt by itself.
    """

    def pack(
        method: Method, provenance: Provenance, case: Case, answer: Any, explanation: Explanation | None
    ) -> Repair:
        fields = dict(answer)
        notes = (*case.notes, *fields.pop("notes", ()))
        return Repair(provenance=provenance, notes=notes, meaning=method.meaning, **fields)

    return _declare(
        pack,
        verb="repair",
        source=source,
        needs=needs,
        claims=claims,
        cost=cost,
        answers=frozenset(answers),
        side_effects=side_effects,
        proposals=proposals,
        audit_cost=audit_cost,
        has_exact_cost=False,
    )


def _declare(
    pack: Callable[[Method, Provenance, Case, Any, Explanation | None], Any],
    *,
    verb: Verb,
    source: str,
    needs: set[str] | None,
    claims: set[str] | None,
    cost: Callable[..., Cost] | None,
    checks: tuple[Check, ...] = (),
    **record: Any,
) -> Callable[[Callable[P, Any]], Declared[P, Any]]:
    unknown = (needs or set()) - set(NEEDS) - set(INPUTS)
    if unknown:
        raise InputError(f"unknown needs {sorted(unknown)}; there are {sorted([*NEEDS, *INPUTS])}.")

    def decorate(body: Callable[P, Any]) -> Declared[P, Any]:
        meaning = (inspect.getdoc(body) or "").partition("\n\n")[0].replace("\n", " ")
        if not meaning:
            raise InputError(f"{body.__name__} has no docstring; its first paragraph must say what the number means.")

        @functools.wraps(body)
        def call(*args: P.args, **kwargs: P.kwargs) -> Any:
            options = named_as_declared(method, kwargs)
            given = bind_arguments(method, args, options)
            with hold_locks(given.values()):
                case, explanation = _subjects(method, given)
                note = choose_removals(method, case, given, options)
                require_types(method, given)
                meter = case.model.meter
                before = meter.forwards, meter.backwards
                with without_warnings(case):
                    answer = body(*args, **cast(Any, options))
                    spent = {"forwards": meter.forwards - before[0], "backwards": meter.backwards - before[1]}
                    used = {name: given[name] for name in method.options}
                    result = pack(method, provenance_of(method, case, used, spent), case, answer, explanation)
            return result if note is None or isinstance(result, list) else replace(result, notes=(*result.notes, note))

        method = Method(
            name=body.__name__,
            verb=verb,
            source=source,
            meaning=meaning,
            needs=frozenset(needs or ()),
            claims=frozenset(claims or ()),
            checks=tuple(owned(check, f"{verb}.{body.__name__}") for check in checks),
            cost=cost,
            body=body,
            call=call,
            **record,
        )
        enter(method)
        declared = cast(Declared[P, Any], call)
        declared.method = method
        return declared

    return decorate


def _subjects(method: Method, given: Mapping[str, Any]) -> tuple[Case, Explanation | None]:
    """The case among the arguments, and the explanation if there is one; both are checked."""
    case = next((value for value in given.values() if isinstance(value, Case)), None)
    if case is None:
        raise InputError(f"{method.verb}.{method.name} needs a case; make one with assay.case(model, x).")
    explanation = next((value for value in given.values() if isinstance(value, Explanation)), None)
    _fitting(explanation, case, None if method.verb == "evaluate" and "train" in method.needs else len(case.features))
    require_capabilities(method, case)
    return case, explanation


def _fitting(explanation: Explanation | None, case: Case, parts: int | None) -> None:
    """Refuse an explanation of other rows, or of other parts; parts that are training rows are not the case's."""
    if explanation is None:
        return
    if explanation.ids != case.rows.ids or parts not in (None, len(explanation.features)):
        raise InputError(
            f"the explanation has {len(explanation.ids)} rows of {len(explanation.features)} parts, the case "
            f"{len(case)} rows of {len(case.features)} parts; both must have the same rows, in the same "
            f"order, and the same parts."
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
    _ = case.prediction  # refuses NaN of the model itself
    ids = tuple(case.rows.ids[i] for i in rows)
    text = f"{what} is undefined (NaN) for {len(rows)} of {len(values)} rows: {list_first(rows)}"
    return (Note("undefined", f"{text}. {advice_on_infinite(case)}" if may_be_infinite(case) else text, ids),)


def _readonly(array: Any) -> Any:
    copy = np.array(array)
    copy.flags.writeable = False
    return copy
