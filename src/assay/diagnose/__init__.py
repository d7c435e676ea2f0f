# SPDX-License-Identifier: Apache-2.0
"""Diagnoses: functions of a case that give findings about the model."""

from assay.diagnose.data import data as data
from assay.diagnose.disparity import disparity as disparity
from assay.diagnose.drift import drift as drift
from assay.diagnose.explanation_families import explanation_families as explanation_families
from assay.diagnose.explanation_shift import explanation_shift as explanation_shift
from assay.diagnose.explanation_trust import explanation_trust as explanation_trust
from assay.diagnose.membership import membership as membership
from assay.diagnose.performance import performance as performance
from assay.diagnose.scaffolding import scaffolding as scaffolding
from assay.diagnose.score_reliability import score_reliability as score_reliability
from assay.diagnose.second_removal import second_removal as second_removal
from assay.diagnose.shortcut import shortcut as shortcut
from assay.diagnose.weak_segments import weak_segments as weak_segments

__all__ = [
    "data",
    "disparity",
    "drift",
    "explanation_families",
    "explanation_shift",
    "explanation_trust",
    "membership",
    "performance",
    "scaffolding",
    "score_reliability",
    "second_removal",
    "shortcut",
    "weak_segments",
]
