# SPDX-License-Identifier: Apache-2.0
"""Work that lies ahead: whether a game is worth a faster forward pass, decided by counts before it is asked."""

from __future__ import annotations

from dataclasses import dataclass, replace

from assay.cases.case import Case
from assay.cases.game import Game
from assay.cases.removals import Removal
from assay.model.model import Meter, Model
from assay.model.transformations.fast_forward import fast, pays
from assay.nouns.results.result import Estimate, Note

QUICK = "quick case"
"""Where a case keeps its twin with the fast forward, beside its cached properties."""


@dataclass(frozen=True, eq=False)
class FastPath:
    """A game, and what the reader of its answers must know of the forward pass they come from.

    ``quick`` says that the game is asked through another forward pass than the case it was made for. Then it has a
    memory of its own, and takes the output at the rows from its own forward pass, too, so that no difference of two
    answers is one between two forward passes.
    """

    game: Game
    notes: tuple[Note, ...] = ()
    quick: bool = False

    def told(self, estimate: Estimate) -> Estimate:
        """The estimate with the notes, and with the output its values start from or add up to."""
        if not self.notes:
            return estimate
        output = self.game.case.output if self.quick and estimate.output is None else estimate.output
        return replace(estimate, notes=(*estimate.notes, *self.notes), output=output)


def fast_path(case: Case, remove: Removal, masks: int, *, pooled: bool = False) -> FastPath:
    """The game that will be asked ``masks`` masks a row, through the fast forward where so many rows pay for it.

    rows × masks × fillings decide (``assay.model.fast``), whatever was asked before. ``fast=False`` of the model, a
    case that keeps autograd's graph, and every model that is no torch net stay with the plain forward.
    """
    game = case.game(remove, pooled=pooled)
    work = len(case) * masks * remove.fills
    if not case.model.fast or case.live or not pays(case.model, case.rows, work):
        return FastPath(game)
    model = fast(case.model, rows=case.rows, work=work)
    notes = model.notes[len(case.model.notes) :]
    if model.fingerprint == case.model.fingerprint:
        return FastPath(game, notes)
    return FastPath(_quick(case, replace(model, notes=case.model.notes)).game(remove, pooled=pooled), notes, True)


def _quick(case: Case, model: Model) -> Case:
    """The same question put to the fast model; kept with the case, so that its games remember, too."""
    if QUICK not in case.__dict__:
        other = replace(case, model=model)
        uncounted = replace(other, model=replace(model, meter=Meter()))  # as the proof of the model is
        other.__dict__["output"] = uncounted.value(case.rows.x)
        case.__dict__[QUICK] = other
    return case.__dict__[QUICK]
