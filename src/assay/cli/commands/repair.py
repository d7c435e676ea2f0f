# SPDX-License-Identifier: Apache-2.0
"""``assay repair``."""

from __future__ import annotations

import sys
from json import dumps
from typing import TYPE_CHECKING

from assay.basics.errors import InputError
from assay.cli.request import Request

if TYPE_CHECKING:
    from assay.nouns.results.result import Repair


def repair(model: str, method: str, /, *, request: Request, recipe: str = "") -> int:
    """Repair a model, and measure what that costs on the given rows. The new model is not saved.

    ``assay repair MODEL refit --recipe FILE.py:FUNCTION --option without=branch_code --data … --target …`` retrains
    without a column; ``--option strength=1`` regularises more. ``assay repair MODEL smoothing --option sigma=0.1``
    averages over noise. To keep the new model, call assay.repair in Python.

    Parameters
    ----------
    model
        A model file, or FILE.py:FUNCTION that returns the trained model.
    method
        The repair. See: assay list repair.
    recipe
        FILE.py:FUNCTION that returns an assay.Recipe: how the model was trained.
    """
    from assay.cli.request import method_of, recipe_of

    chosen = method_of("repair", method)
    loaded, request = request.open(model)
    table = request.table()
    case = request.case(loaded, table)
    options = request.options(chosen)
    if "recipe" in chosen.options:
        if table.labels is None:
            raise InputError(f"repair {method} is measured on held-out rows with their labels: --target COLUMN.")
        options |= {"recipe": recipe_of(chosen, recipe), "held_out": (request.model_rows(table), table.labels)}
    with request.progress(chosen, case, options):
        found = chosen.call(case, **options)
    _print(found, request.format)
    return 0


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
