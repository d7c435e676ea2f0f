# SPDX-License-Identifier: Apache-2.0
"""``assay explain``."""

from __future__ import annotations

from pathlib import Path

from assay.cli.concept_files import NO_CONCEPT_FLAGS, ConceptFlags
from assay.cli.request import Request


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
    from assay.cli.request import method_of, training_options

    chosen = method_of("explain", method)
    loaded, request = request.open(model, train, *concepts.paths)
    table = request.table()
    case = request.case(loaded, table)
    options = (
        request.options(chosen) | training_options(request, chosen, train, recipe) | concepts.options(chosen, request)
    )
    if "labels" in chosen.options and table.labels is not None:
        options["labels"] = table.labels
    with request.progress(chosen, case, options):
        found = chosen.call(case, **options)
    print_result(found, request.format, save)
    return 0
