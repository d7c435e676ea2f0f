# SPDX-License-Identifier: Apache-2.0
"""Diagnoses: functions of a case that give findings about the model."""

from assay.diagnose.disparity import disparity as disparity
from assay.diagnose.explanation_trust import explanation_trust as explanation_trust
from assay.diagnose.membership import membership as membership

__all__ = ["disparity", "explanation_trust", "membership"]
