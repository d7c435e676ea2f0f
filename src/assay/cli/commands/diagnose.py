# SPDX-License-Identifier: Apache-2.0
"""``assay diagnose``."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.basics.errors import InputError
from assay.cli.request import Wanted

if TYPE_CHECKING:
    from assay.cases.case import Case
    from assay.cli.read_rows import Table
    from assay.model.model import Model
    from assay.nouns.catalogue import Method
    from assay.nouns.results.result import Finding


def diagnose(
    model: str,
    method: str,
    /,
    *,
    wanted: Wanted,
    train: Path | None = None,
    sensitive: tuple[str, ...] = (),
    favourable: str = "",
    suspects: tuple[str, ...] = (),
    other: tuple[str, ...] = (),
    recipe: str = "",
    explanation: Path | None = None,
    of: str = "",
    of_option: tuple[str, ...] = (),
    clusters: str = "",
) -> int:
    """Look for one kind of fault. membership, shortcut and data need --train, explanation_shift --other and --recipe.

    Parameters
    ----------
    model
        A model file, or FILE.py:FUNCTION that returns the trained model.
    method
        membership, disparity, shortcut, data or explanation_shift.
    train
        File of rows the model was trained on, with their labels.
    sensitive
        Columns whose groups are compared (disparity).
    favourable
        The class that is good to get (disparity); by default the last one.
    suspects
        Columns that should not sway a decision (shortcut).
    other
        The model trained on shifted data, read as the model is (explanation_shift); may be repeated.
    recipe
        FILE.py:FUNCTION that returns an assay.Recipe: how the model was trained before the shift (explanation_shift).
    explanation
        A saved explanation of the same rows (explanation_shift).
    of
        The method that makes the explanation now, instead of a saved one (explanation_shift).
    of_option
        NAME=VALUE, an option of that method; may be repeated.
    clusters
        Column that names the rows that belong together; the models do not see it (explanation_shift).
    """
    from assay.cli.options import split
    from assay.cli.printing import findings_shown
    from assay.cli.request import method_of
    from assay.nouns.records.store import to_jsonable

    chosen = method_of("diagnose", method)
    if method not in SUBJECTS:
        raise InputError(f"diagnose {method} judges an audit's scores; run assay audit. Here: {', '.join(SUBJECTS)}.")
    shift = _Shift(other, recipe, explanation, of, of_option, clusters)
    if method == "explanation_shift":
        _needless(method, {"train": train, "favourable": favourable, "suspects": suspects})
    else:
        _needless(method, vars(shift))
    asked = wanted.model(model)
    wanted = replace(wanted, unseen=_unseen(asked, wanted.ids, split(sensitive), clusters))
    findings = SUBJECTS[method](
        _Told(chosen, wanted, asked, train, split(sensitive), favourable, split(suspects), shift)
    )
    if wanted.format == "json":
        plain = [to_jsonable(replace(finding, basis=None)) for finding in findings]
        sys.stdout.write(dumps(plain, indent=1, allow_nan=False) + "\n")
    else:
        findings_shown(findings)
    return 1 if any(finding.verdict == "fail" for finding in findings) else 0


def _needless(method: str, given: Mapping[str, Any]) -> None:
    """Refuse what the diagnosis does not read, rather than pass it by."""
    found = [f"--{name.replace('_', '-')}" for name, value in given.items() if value not in (None, "", ())]
    if found:
        raise InputError(f"diagnose {method} does not read {', '.join(found)}; leave it out.")


def _unseen(model: Model, ids: str, sensitive: Sequence[str], clusters: str) -> tuple[str, ...]:
    """Columns that the model must not meet: sensitive ones that it does not know, names of rows and of clusters."""
    strange = [name for name in sensitive if model.columns is not None and name not in model.columns]
    return (*strange, *filter(None, (ids, clusters)))


@dataclass(frozen=True, eq=False)
class _Shift:
    """What explanation_shift alone reads: the models after the shift, how to train, which explanation, clusters."""

    other: tuple[str, ...]
    recipe: str
    explanation: Path | None
    of: str
    of_option: tuple[str, ...]
    clusters: str


@dataclass(frozen=True, eq=False)
class _Told:
    """What the command was given."""

    method: Method
    wanted: Wanted
    model: Model
    train: Path | None
    sensitive: tuple[str, ...]
    favourable: str
    suspects: tuple[str, ...]
    shift: _Shift

    def table(self) -> Table:
        return self.wanted.table().without(self.wanted.unseen)

    def labelled(self) -> Table:
        if not self.wanted.target:
            raise InputError(f"diagnose {self.method.name} needs the true labels: --target COLUMN.")
        return self.table()

    def trained(self) -> Table:
        """The training rows with their labels."""
        from assay.cli.read_rows import rows_from

        if self.train is None:
            raise InputError(f"diagnose {self.method.name} needs the rows the model was trained on: --train FILE.")
        return rows_from(self.train, self.wanted.target).without(self.wanted.unseen)

    def options(self, other: Any = None) -> dict[str, Any]:
        """The options; absent columns are filled from the background, else from ``other``."""
        from assay.cases.removals import Marginal

        options = self.wanted.options(self.method)
        if "remove" in self.method.options and other is not None:
            options.setdefault("remove", Marginal(other))
        return options

    def asked(self, table: Table, label: Any = None) -> Case:
        return self.wanted.case(self.model, table, label)


def _membership(told: _Told) -> list[Finding]:
    from assay.cases.case import case

    outside, inside = told.labelled(), told.trained()
    asked = case(told.model, inside.rows, target="loss", label=inside.labels, seed=told.wanted.seed)
    found: list[Finding] = told.method.call(asked, inside.labels, outside.rows, outside.labels, **told.options())
    return found


def _data(told: _Told) -> list[Finding]:
    table, inside = told.labelled(), told.trained()
    asked = told.asked(table)
    found: list[Finding] = told.method.call(asked, table.labels, inside.rows, inside.labels, **told.options())
    return found


def _shortcut(told: _Told) -> list[Finding]:
    table, inside = told.labelled(), told.trained()
    options = told.options(inside.rows) | {"suspects": told.suspects}
    found: list[Finding] = told.method.call(told.asked(table), list(table.labels), **options)
    return found


def _disparity(told: _Told) -> list[Finding]:
    whole, table = told.wanted.table(), told.table()
    if not told.sensitive:
        raise InputError("diagnose disparity compares groups: --sensitive COLUMN.")
    if not (told.favourable or told.model.classes):
        raise InputError("diagnose disparity needs the class that is good to get: --favourable CLASS.")
    good = told.favourable or told.model.classes[-1]
    options = told.options(told.trained().rows if told.train is not None else table.rows)
    known = () if table.labels is None else tuple(table.labels)
    found: list[Finding] = []
    for name in told.sensitive:
        groups = [str(value) for value in whole.column(name)]
        asked = told.asked(table, good)
        for finding in told.method.call(asked, groups, favourable=good, labels=known, **options):
            found.append(replace(finding, subject=name, claim=f"{name}: {finding.claim}"))
    return found


def _explanation_shift(told: _Told) -> list[Finding]:
    from assay.cli.request import explanation_of, recipe_of

    given, wanted = told.shift, told.wanted
    if not given.other:
        raise InputError(
            "diagnose explanation_shift compares with the model trained on shifted data: --other FILE, or "
            "--other FILE.py:FUNCTION; may be repeated."
        )
    options = wanted.options(told.method) | {"recipe": recipe_of(told.method, given.recipe)}
    table = told.table()
    if table.labels is not None:
        options["labels"] = list(table.labels)
    if given.clusters:
        options["clusters"] = _clusters(wanted.table(), given.clusters)
    options["other"] = [wanted.model(place) for place in given.other]
    asked = wanted.case(told.model, table)
    judged = explanation_of(wanted, asked, given.explanation, given.of, given.of_option)
    found: list[Finding] = told.method.call(asked, judged, **options)
    return found


def _clusters(table: Table, name: str) -> list[str]:
    """The cluster of each row; a row without one is refused, since all such rows would make a cluster."""
    given = table.column(name)
    gaps = [place for place, value in enumerate(given) if _gap(value)]
    if gaps:
        told = ", ".join(map(str, gaps[:5]))
        raise InputError(
            f"{table.path}: column {name!r} is empty in {len(gaps)} row(s), such as {told}; name them all."
        )
    return list(map(str, given))


def _gap(value: Any) -> bool:
    return value is None or type(value).__name__ in ("NAType", "NaTType") or bool(value != value)


SUBJECTS = {
    "membership": _membership,
    "disparity": _disparity,
    "shortcut": _shortcut,
    "data": _data,
    "explanation_shift": _explanation_shift,
}
