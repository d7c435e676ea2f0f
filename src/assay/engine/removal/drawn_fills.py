# SPDX-License-Identifier: Apache-2.0
"""An explanation by a removal that draws: its mean over the draws, and their standard error."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from assay.basics.errors import InputError
from assay.cases.case import Case
from assay.cases.generative.removal import Generative
from assay.cases.removals import Removal
from assay.nouns.catalogue import find
from assay.nouns.results.result import Explanation, Note


def over_draws(method: str, case: Case, *, remove: Removal, **options: Any) -> Explanation:
    """The mean of the explanations by each draw of ``remove`` alone, with a standard error over the draws.

    The error is √(s² / n + mean of the method's own squared errors), with s² the variance over the n draws: coalitions
    that the method samples are the same for all draws. For a method that is linear in the game (``shapley``,
    ``banzhaf``, ``occlusion``, ``leave_one_out``) the mean is the explanation by ``remove`` itself, at the same cost.
    ``InputError`` for fewer than two draws.
    """
    if not isinstance(remove, Generative) or remove.draws < 2:
        raise InputError(f"remove={remove!r}; over_draws needs a Generative removal of at least two draws.")
    found = [find("explain", method).call(case, remove=one, **options) for one in remove.each_draw()]
    values = np.stack([one.values for one in found])
    own = np.mean([np.zeros_like(values[0]) if one.stderr is None else one.stderr**2 for one in found], axis=0)
    first = found[0]
    cost = {kind: sum(one.provenance.cost.get(kind, 0) for one in found) for kind in first.provenance.cost}
    provenance = replace(first.provenance, options={**first.provenance.options, "remove": remove}, cost=cost)
    notes = [remove.note if note.code == remove.note.code else note for note in first.notes]
    return replace(
        first,
        values=values.mean(axis=0),
        stderr=np.sqrt(values.var(axis=0, ddof=1) / remove.draws + own),
        base=np.mean([one.base for one in found], axis=0),
        notes=(*notes, Note("over-draws", f"standard errors include those of {remove.draws} draws of the fill")),
        dense=None if first.dense is None else np.mean([one.dense for one in found], axis=0),
        provenance=provenance,
    )
