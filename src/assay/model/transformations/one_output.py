# SPDX-License-Identifier: Apache-2.0
"""One label of a multilabel model, or one target of a regression of several, as a model of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from assay.basics.errors import InputError
from assay.basics.fingerprint import digest
from assay.basics.types import Array
from assay.model.model import Model
from assay.nouns.inputs.output_kind import OutputKind
from assay.nouns.inputs.rows import Rows


def one_output(model: Model, output: str | int) -> Model:
    """The model of one output, by name or position: two classes for a label, one value for a target.

    Everything that needs a binary classifier or a regression of one value (audits, most diagnoses) takes the result. A
    class of a model whose classes exclude each other is refused: choose it with ``label=`` of ``assay.case``.
    """
    if model.with_kind is not None:
        raise InputError(
            f"what {model.name} returns is not stated: wrap the net with output='multilabel probabilities', "
            f"'multilabel logits' or 'values'."
        )
    kind = model.kind
    names = model.classes if kind.is_classifier else model.output_names
    if kind.is_classifier and kind.exclusive:
        raise InputError(f"the classes of {model.name} exclude each other; choose one with assay.case(…, label=…).")
    place = _place(output, names, model)
    name = names[place] if names else f"output {place}"
    other = OutputKind(
        str(kind),
        link=None if kind.is_classifier and kind.link != "none" else kind.link,
        threshold=kind.threshold,
        of_score=kind.of_score,
        scale=kind.scale,
        decides=kind.decides,
    )
    classes = (f"not {name}", name) if kind.is_classifier else ()
    if model.rebuild is not None:  # a torch net keeps its layers
        from assay.model.adapters.torch import with_scores

        net: Any = model.forward
        return replace(
            with_scores(model, lambda out, rows: net.scores(out, rows)[:, [place]], other, classes),
            fingerprint=digest(model.fingerprint, "output", place),
            name=f"{model.name}, {name}",
        )

    def forward(rows: Rows) -> Array:
        return model.forward(rows)[:, [place]]

    return replace(
        model,
        forward=forward,
        gives=other,
        classes=classes,
        output_names=(),
        name=f"{model.name}, {name}",
        fingerprint=digest(model.fingerprint, "output", place),
        closed_form_gradient=None,
        forest=None,
    )


def _place(output: str | int, names: tuple[str, ...], model: Model) -> int:
    if isinstance(output, str) and output in names:
        return names.index(output)
    if isinstance(output, int) and not isinstance(output, bool) and output >= 0 and (not names or output < len(names)):
        return output
    raise InputError(
        f"output {output!r} does not exist; {model.name} gives {', '.join(names[:8]) or 'unnamed outputs'}."
    )
