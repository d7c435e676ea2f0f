# SPDX-License-Identifier: Apache-2.0
"""``assay repair``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.basics.errors import InputError
from assay.cli.request import Request

if TYPE_CHECKING:
    from assay.cases.case import Case
    from assay.cli.read_rows import DataTable
    from assay.nouns.catalogue import Method
    from assay.nouns.results.result import Repair


def repair(
    model: str,
    method: str,
    /,
    *,
    request: Request,
    recipe: str = "",
    train: Path | None = None,
    ball: str = "",
    sensitive: tuple[str, ...] = (),
) -> int:
    """Repair a model, and measure what that costs on the given rows. The new model is not saved.

    ``assay repair MODEL refit --recipe FILE.py:FUNCTION --option without=branch_code --data … --target …`` retrains
    without a column; ``--option strength=1`` regularises more. ``assay repair MODEL smoothing --option sigma=0.1``
    averages over noise. ``assay repair MODEL curvature_penalty --train FILE --data FILE --target …
    --ball linf:0.1:0:1`` fine-tunes a net and attacks it. ``assay repair MODEL PRV101 --recipe …`` tries each repair
    that answers this check, as an audit would, and names those that lack something. To keep the new model, call
    assay.repair in Python; an audit makes all checks again before and after.

    Parameters
    ----------
    model
        A model file, or FILE.py:FUNCTION that returns the trained model.
    method
        The repair (see: assay list repair), or the code of a check.
    recipe
        FILE.py:FUNCTION that returns an assay.Recipe: how the model was trained.
    train
        File of rows to train on, with their labels; the rows of --data are held out.
    ball
        How far attacks on the new model may move inputs, in the units of the rows: linf:0.03, with bounds
        linf:0.03:0:1.
    sensitive
        Columns of --data whose groups a proxy stands in for.
    """
    from assay.auditing.check_catalogue import all_checks
    from assay.cli.request import method_of

    code = method.upper() if any(check.code == method.upper() for check in all_checks()) else ""
    chosen = _answering(code) if code else (method_of("repair", method),)
    if code and request.option:
        raise InputError(f"--option is for one repair; name one of: {', '.join(one.name for one in chosen)}.")
    loaded, request = request.open(model, train)
    whole = request.table()
    groups = {name: whole.column(name) for name in sensitive}
    seen = () if loaded.encode is not None else loaded.columns
    table = whole.without([name for name in sensitive if seen is not None and name not in seen])
    case = request.case(loaded, table)
    if not code:
        given = _inputs(chosen[0], request, table, recipe, train, ball, groups)
        return _repair(chosen[0], case, request.options(chosen[0]) | given, request)
    tried = 0
    for one in chosen:
        read = [name in one.options for name in ("recipe", "train", "ball", "groups")]
        read[1] = read[1] or "data" in one.options
        flags = (recipe * read[0], train if read[1] else None, ball * read[2], groups if read[3] else {})
        tried += _try(code, one, case, partial(_inputs, one, request, table, *flags), request)
    return 0 if tried else 3


def _answering(code: str) -> tuple[Method, ...]:
    """The repairs that answer a check; raises ``InputError`` where there is none."""
    from assay.auditing.check_catalogue import suggested_repairs
    from assay.nouns.catalogue import find

    found = tuple(find("repair", one.method) for one in suggested_repairs(code))
    if not found:
        raise InputError(f"no repair answers {code}; what to do when it fails: assay show {code}")
    return found


def _repair(chosen: Method, case: Case, options: Mapping[str, Any], request: Request) -> int:
    with request.progress(chosen, case, options):
        found = chosen.call(case, **options)
    _print(found, request.format)
    return 0


def _try(code: str, chosen: Method, case: Case, given: Callable[[], dict[str, Any]], request: Request) -> int:
    """Try each proposal of one repair as if the check had failed; what it lacks is said. Returns how many were made."""
    from assay.auditing.steps.repairs import proposals_of
    from assay.basics.errors import AssayError
    from assay.cli.printing import printable
    from assay.engine.audit_inputs import AuditInputs
    from assay.nouns.results.finding import Finding

    try:
        inputs = given()
        held_out = inputs.get("held_out", (case.rows.x, None))
        known = AuditInputs(case.model, held_out[0], held_out[1], recipe=inputs.get("recipe"), explained=case)
        proposals = proposals_of(chosen, known, [Finding(code, "fail", "", case.model.name)])
        if not proposals:
            raise InputError(f"it needs an option: assay show repair.{chosen.name}")
        for options in proposals:
            _repair(chosen, case, {**inputs, **options}, request)
    except AssayError as error:
        sys.stderr.write(f"repair.{chosen.name} was not tried: {printable(str(error))}\n")
        return 0
    return len(proposals)


def _inputs(
    chosen: Method,
    request: Request,
    table: DataTable,
    recipe: str,
    train: Path | None,
    ball: str,
    groups: dict[str, Any],
) -> dict[str, Any]:
    """The options of a repair that flags give; ``InputError`` for a flag that is missing, or that it does not read."""
    from assay.cli.options import ball as ball_of
    from assay.cli.request import recipe_of

    known: dict[str, tuple[str, Any]]
    known = {"--recipe": ("recipe", recipe), "--train": ("train", train), "--ball": ("ball", ball)}
    known["--sensitive"] = ("groups", groups)
    if "data" in chosen.options:
        known["--train"] = ("data", train)
    for flag, (name, value) in known.items():
        if value and name not in chosen.options:
            raise InputError(f"repair {chosen.name} does not read {flag}; leave it out.")
        needed = name in chosen.options and chosen.options[name].default is chosen.options[name].empty
        if needed and not value and name not in ("recipe", "data"):
            raise InputError(f"repair {chosen.name} needs {flag}. See: assay repair --help.")
    found: dict[str, Any] = {}
    if "held_out" in chosen.options:
        if table.labels is None:
            raise InputError(f"repair {chosen.name} is measured on held-out rows with their labels: --target COLUMN.")
        found["held_out"] = request.model_rows(table), table.labels
    if "recipe" in chosen.options and (recipe or chosen.options["recipe"].default is not None):
        found["recipe"] = recipe_of(chosen, recipe)
    if "groups" in chosen.options:
        found["groups"] = groups
    other = None if train is None else request.files.read(train, request.target)
    if "data" in chosen.options:
        found["data"] = request.model_rows(table if other is None else other)
    elif other is not None:
        found["train"] = request.model_rows(other), other.labels
    return found | ({"ball": ball_of(ball)} if ball else {})


def _print(found: Repair, format: str) -> None:
    from assay.cli.printing import printable, terminal
    from assay.nouns.records.jsonable import to_jsonable

    if format == "json":
        plain = {"method": found.method, "change": found.change, "before": found.before, "after": found.after}
        plain |= {"meaning": found.meaning, "notes": [note.text for note in found.notes]}
        sys.stdout.write(dumps(to_jsonable(plain), indent=1, allow_nan=False) + "\n")
        return
    console = terminal()
    console.print(printable(found.change), soft_wrap=True)
    for name in found.after:
        console.print(f"  {name}: {found.before.get(name, float('nan')):.4g} → {found.after[name]:.4g}", soft_wrap=True)
    for note in found.notes:
        console.print(printable(f"note: {note.text}"), soft_wrap=True)
