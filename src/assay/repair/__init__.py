# SPDX-License-Identifier: Apache-2.0
"""Repairs: functions of a case that return a changed model and the cost of the change."""

from assay.repair.adversarial_training import adversarial_training as adversarial_training
from assay.repair.aggregation import aggregation as aggregation
from assay.repair.class_artefact_compensation import class_artefact_compensation as class_artefact_compensation
from assay.repair.cleaning import cleaning as cleaning
from assay.repair.compress_along_paths import compress_along_paths as compress_along_paths
from assay.repair.curvature_penalty import curvature_penalty as curvature_penalty
from assay.repair.gloro import gloro as gloro
from assay.repair.masked_training import masked_training as masked_training
from assay.repair.private_training import private_training as private_training
from assay.repair.prune_experts import prune_experts as prune_experts
from assay.repair.refit import refit as refit
from assay.repair.removal import removal as removal
from assay.repair.replace import replace as replace
from assay.repair.replace_proxy import replace_proxy as replace_proxy
from assay.repair.right_reasons import right_reasons as right_reasons
from assay.repair.rounding import rounding as rounding
from assay.repair.smoothing import smoothing as smoothing
from assay.repair.softplus import softplus as softplus
from assay.repair.threshold_shift import threshold_shift as threshold_shift

__all__ = [
    "adversarial_training",
    "aggregation",
    "class_artefact_compensation",
    "cleaning",
    "compress_along_paths",
    "curvature_penalty",
    "gloro",
    "masked_training",
    "private_training",
    "prune_experts",
    "refit",
    "removal",
    "replace",
    "replace_proxy",
    "right_reasons",
    "rounding",
    "smoothing",
    "softplus",
    "threshold_shift",
]
