# SPDX-License-Identifier: Apache-2.0
"""Where failed findings say that an artefact is: pictures to paste, and masks of what a net should not look at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from assay.basics.types import Masks
from assay.engine.audit_inputs import AuditInputs
from assay.engine.shortcuts.artefacts import Artefact, paste_region
from assay.engine.shortcuts.attribution_maps import pixels_of
from assay.nouns.inputs.rows import to_floats
from assay.nouns.results.finding import Finding


def found_region(inputs: AuditInputs, finding: Finding) -> Masks | None:
    """The pixels (height, width) of the region that a finding of SHC301 names; ``None`` for other findings."""
    if finding.code != "SHC301" or "region cells" not in finding.evidence:
        return None
    cells = np.zeros(tuple(finding.evidence["cells a side"]), dtype=bool)
    for place in finding.evidence["region cells"]:
        down, across = map(int, place.split("/"))
        cells[down, across] = True
    return pixels_of(cells, inputs.case.rows.shape[-2:])


def found_artefacts(inputs: AuditInputs, findings: Sequence[Finding]) -> list[Artefact]:
    """The medoid's region of each finding of SHC301 as an artefact."""
    found = []
    for finding in findings:
        region = found_region(inputs, finding)
        if region is not None:
            row = list(inputs.case.rows.ids).index(finding.evidence["medoid"])
            found.append(paste_region(to_floats(inputs.case.rows.x[row]), region))
    return found


def irrelevant_masks(inputs: AuditInputs, findings: Sequence[Finding]) -> list[Masks]:
    """Masks (*shape) of what a net should not look at: the column that a finding names, or the region of a cluster."""
    names, found = inputs.case.features.names, []
    for finding in findings:
        region = found_region(inputs, finding)
        if region is not None:
            found.append(np.broadcast_to(region, inputs.case.rows.shape).copy())
        elif finding.evidence.get("column") in names and inputs.case.features.elementwise:
            part = names.index(finding.evidence["column"])
            found.append((inputs.case.features.index == part).reshape(inputs.case.rows.shape))
    return found
