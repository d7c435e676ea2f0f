# SPDX-License-Identifier: Apache-2.0
"""Cases: the only door to a model."""

from assay.cases.case import Case as Case
from assay.cases.case import case as case
from assay.cases.game import Game as Game

__all__ = ["Case", "Game", "case"]
