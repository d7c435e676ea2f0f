# SPDX-License-Identifier: Apache-2.0
"""Repairs: functions of a case that return a changed model and the cost of the change."""

from assay.repair.refit import refit as refit
from assay.repair.smoothing import smoothing as smoothing

__all__ = ["refit", "smoothing"]
