# SPDX-License-Identifier: Apache-2.0
"""Cases (a model, rows and a target) and removal games, through which every method evaluates a model."""

from assay.cases.case import Case as Case
from assay.cases.game import Game as Game
from assay.cases.new_case import case as case

__all__ = ["Case", "Game", "case"]
