# SPDX-License-Identifier: Apache-2.0
"""Whether a game is evaluated through a faster forward pass, decided by counts before it runs."""

from __future__ import annotations

from dataclasses import dataclass, replace

from assay.cases.case import Case
from assay.cases.game import Game
from assay.cases.removals import Removal
from assay.model.model import Model
from assay.model.transformations.fast_forward import fast, is_worth_converting
from assay.nouns.results.result import Estimate, Note

FAST_CASE = "fast case"
"""The key under which a case stores its copy with the fast forward pass."""


@dataclass(frozen=True, eq=False)
class FastPath:
    """A game, and notes on the forward pass that its values come from.

    ``is_fast`` says that the game uses another forward pass than its case. It then has a cache of its own, and reads
    the output at the rows from its own forward pass too, so that no difference of two values mixes two passes.
    """

    game: Game
    notes: tuple[Note, ...] = ()
    is_fast: bool = False

    def annotate(self, estimate: Estimate) -> Estimate:
        """The estimate with the notes, and with the output its values start from or add up to."""
        if not self.notes:
            return estimate
        output = self.game.case.output if self.is_fast and estimate.output is None else estimate.output
        return replace(estimate, notes=(*estimate.notes, *self.notes), output=output)


def fast_path(case: Case, remove: Removal, masks: int, *, pooled: bool = False) -> FastPath:
    """The game for ``masks`` masks a row, through the fast forward pass where the number of rows justifies it.

    The number rows × masks × fillings decides (``transformations.fast_forward``), not earlier runs. The plain forward
    pass is used with ``fast=False`` of the model, for a case with ``live``, and for models that are not torch nets.
    """
    game = case.game(remove, pooled=pooled)
    work = len(case) * masks * remove.fills
    if not case.model.fast or case.live or not is_worth_converting(case.model, case.rows, work):
        return FastPath(game)
    model = fast(case.model, rows=case.rows, work=work)
    notes = model.notes[len(case.model.notes) :]
    if model.fingerprint == case.model.fingerprint:
        return FastPath(game, notes)
    return FastPath(_fast_case(case, replace(model, notes=case.model.notes)).game(remove, pooled=pooled), notes, True)


def _fast_case(case: Case, model: Model) -> Case:
    """The same case with the fast model; stored with the case, so that its games keep their caches."""
    if FAST_CASE not in case.__dict__:
        other = replace(case, model=model)
        uncounted = replace(
            other, model=replace(model, meter=model.meter.separate())
        )  # like the check of the fast model
        other.__dict__["output"] = uncounted.value(case.rows.x)
        case.__dict__[FAST_CASE] = other
    return case.__dict__[FAST_CASE]
