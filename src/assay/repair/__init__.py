# SPDX-License-Identifier: Apache-2.0
"""Repairs: functions of a case that return a changed model and the cost of the change."""

from assay.repair.refit import refit as refit
from assay.repair.smoothing import smoothing as smoothing
from assay.repair.softplus import softplus as softplus

__all__ = ["refit", "smoothing", "softplus"]
