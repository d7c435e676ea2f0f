# SPDX-License-Identifier: Apache-2.0
"""Repairs: functions of a case that give a changed model, and what the change cost."""

from assay.repair.refit import refit as refit
from assay.repair.smoothing import smoothing as smoothing

__all__ = ["refit", "smoothing"]
