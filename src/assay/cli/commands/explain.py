# SPDX-License-Identifier: Apache-2.0
"""``assay explain``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.basics.errors import InputError
from assay.cli.concept_files import NO_CONCEPT_FLAGS, ConceptFlags
from assay.cli.request import Request

if TYPE_CHECKING:
    from assay.nouns.catalogue import Method


def explain(
    model: str,
    method: str,
    /,
    *,
    request: Request,
    concepts: ConceptFlags = NO_CONCEPT_FLAGS,
    train: Path | None = None,
    recipe: str = "",
    save: Path | None = None,
) -> int:
    """Explain rows with one method.

    Parameters
    ----------
    model
        A model file, or FILE.py:FUNCTION that returns the trained model.
    method
        The method: shapley, integrated_gradients, … See: assay list explain.
    train
        File of rows the model was trained on, with their labels, for training_influence and prototypes.
    recipe
        FILE.py:FUNCTION that returns an assay.Recipe, for explanations that train again (training_influence).
    save
        File for the result, such as shapley.assay.
    """
    from assay.cli.printing import print_result
    from assay.cli.request import method_of

    chosen = method_of("explain", method)
    loaded, request = request.open(model, train, *concepts.paths)
    table = request.table()
    case = request.case(loaded, table)
    options = request.options(chosen) | _training(chosen, request, train, recipe) | concepts.options(chosen, request)
    if "labels" in chosen.options and table.labels is not None:
        options["labels"] = table.labels
    with request.progress(chosen, case, options):
        found = chosen.call(case, **options)
    print_result(found, request.format, save)
    return 0


def _training(chosen: Method, request: Request, train: Path | None, recipe: str) -> dict[str, Any]:
    """The options about the training that flags give; ``InputError`` for a flag that is missing, or not read."""
    from assay.cli.request import recipe_of

    for flag, given in (("train", train), ("recipe", recipe)):
        if given and flag not in chosen.options:
            raise InputError(f"explain {chosen.name} does not read --{flag}; leave it out.")
    if "train" not in chosen.options:
        return {}
    if train is None or not request.target:
        raise InputError(
            f"explain {chosen.name} needs the training rows and their labels: --train FILE --target COLUMN."
        )
    table = request.files.read(train, request.target, request.ids)
    found: dict[str, Any] = {"train": (request.model_rows(table), table.labels)}
    if table.ids is not None:
        found["ids"] = list(map(str, table.ids))
    return found | ({"recipe": recipe_of(chosen, recipe)} if recipe else {})
