# SPDX-License-Identifier: Apache-2.0
"""What identifies a model among stored outcomes: its fingerprint, and its outputs where that is partial."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from assay.basics.errors import AssayError
from assay.basics.fingerprint import digest
from assay.basics.types import Array
from assay.cases.case import Case
from assay.nouns.inputs.rows import to_floats

KEY = "model key"

DIGITS = 9
"""Significant digits of an output that count, so that rounding by another number of threads does not."""


def model_key(case: Case) -> str:
    """The model's fingerprint; where something of the model cannot be read, with a digest of its outputs.

    Plain functions may read files, connections or objects of compiled libraries, which no fingerprint shows. Their
    outputs at the rows, and at rows whose columns are mixed, stand for what cannot be read. These passes are not
    counted. Two functions that agree on all of them share the key.
    """
    if not case.model.partial_fingerprint:
        return case.model.fingerprint
    if KEY not in case.__dict__:
        uncounted = replace(case, model=replace(case.model, meter=case.model.meter.separate()), live=False)
        outputs = [_outputs_digest(uncounted, x) for x in _probes(case)]
        case.__dict__[KEY] = digest(case.model.fingerprint, *outputs)
    return str(case.__dict__[KEY])


def _probes(case: Case) -> list[Array]:
    """The rows, and, of a table, rows that take each column from another row."""
    x = case.rows.x
    if not isinstance(x, np.ndarray) or x.ndim != 2 or case.rows.text is not None:
        return [x]
    rows, columns = np.indices(x.shape)
    return [x, x[(rows + columns) % len(x), columns]]


def _outputs_digest(case: Case, x: Array) -> str:
    try:
        outputs = to_floats(case.outputs(x))
    except AssayError as error:  # the step that needs the outputs reports it
        return str(error)
    return digest(outputs.shape, [f"{value:.{DIGITS}g}" for value in outputs.ravel()])
