# SPDX-License-Identifier: Apache-2.0
"""``assay diagnose``."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.cli.wanted import Wanted
from assay.words.errors import InputError

if TYPE_CHECKING:
    from assay.cases.case import Case
    from assay.cli.reading import Table
    from assay.model.model import Model
    from assay.nouns.method import Method
    from assay.nouns.result import Finding


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
) -> int:
    """Look for one kind of fault: membership, disparity, shortcut or data. All but disparity need --train.

    Parameters
    ----------
    model
        A model file, or FILE.py:FUNCTION that returns the trained model.
    method
        membership, disparity, shortcut or data.
    train
        File of rows the model was trained on, with their labels.
    sensitive
        Columns whose groups are compared (disparity).
    favourable
        The class that is good to get (disparity); by default the last one.
    suspects
        Columns that should not sway a decision (shortcut).
    """
    from assay.cli.options import split
    from assay.cli.printing import findings_shown
    from assay.cli.wanted import method_of
    from assay.nouns.store import to_jsonable

    chosen = method_of("diagnose", method)
    if method == "explanation_shift":
        raise InputError("diagnose explanation_shift needs a second model and a recipe; call it from Python.")
    if method not in SUBJECTS:
        raise InputError(f"diagnose {method} judges an audit's scores; run assay audit. Here: {', '.join(SUBJECTS)}.")
    told = _Told(chosen, wanted, wanted.model(model), train, split(sensitive), favourable, split(suspects))
    findings = SUBJECTS[method](told)
    if wanted.format == "json":
        plain = [to_jsonable(replace(finding, basis=None)) for finding in findings]
        sys.stdout.write(dumps(plain, indent=1, allow_nan=False) + "\n")
    else:
        findings_shown(findings)
    return 1 if any(finding.verdict == "fail" for finding in findings) else 0


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

    @property
    def strange(self) -> list[str]:
        """Sensitive columns that the model does not know, and the column of names."""
        known = self.model.columns
        ids = [self.wanted.ids] if self.wanted.ids else []
        return [*(name for name in self.sensitive if known is not None and name not in known), *ids]

    def table(self) -> Table:
        return self.wanted.table().without(self.strange)

    def labelled(self) -> Table:
        if not self.wanted.target:
            raise InputError(f"diagnose {self.method.name} needs the true labels: --target COLUMN.")
        return self.table()

    def trained(self) -> Table:
        """The training rows with their labels."""
        from assay.cli.reading import rows_from

        if self.train is None:
            raise InputError(f"diagnose {self.method.name} needs the rows the model was trained on: --train FILE.")
        return rows_from(self.train, self.wanted.target).without(self.strange)

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


SUBJECTS = {"membership": _membership, "disparity": _disparity, "shortcut": _shortcut, "data": _data}
