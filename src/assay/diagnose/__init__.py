# SPDX-License-Identifier: Apache-2.0
"""Diagnoses: functions of a case that give findings about the model."""

from assay.diagnose.backdoor import backdoor as backdoor
from assay.diagnose.background import background as background
from assay.diagnose.bias_amplification import bias_amplification as bias_amplification
from assay.diagnose.cluster_sensitivity import cluster_sensitivity as cluster_sensitivity
from assay.diagnose.concept_use import concept_use as concept_use
from assay.diagnose.data import data as data
from assay.diagnose.disparity import disparity as disparity
from assay.diagnose.drift import drift as drift
from assay.diagnose.error_disparity import error_disparity as error_disparity
from assay.diagnose.explanation_families import explanation_families as explanation_families
from assay.diagnose.explanation_membership import explanation_membership as explanation_membership
from assay.diagnose.explanation_shift import explanation_shift as explanation_shift
from assay.diagnose.explanation_trust import explanation_trust as explanation_trust
from assay.diagnose.exploration import exploration as exploration
from assay.diagnose.exposure import exposure as exposure
from assay.diagnose.feature_use import feature_use as feature_use
from assay.diagnose.label_errors import label_errors as label_errors
from assay.diagnose.membership import membership as membership
from assay.diagnose.pasted_artefact import pasted_artefact as pasted_artefact
from assay.diagnose.performance import performance as performance
from assay.diagnose.privacy_bound import privacy_bound as privacy_bound
from assay.diagnose.proxy_use import proxy_use as proxy_use
from assay.diagnose.rashomon import rashomon as rashomon
from assay.diagnose.recourse_gap import recourse_gap as recourse_gap
from assay.diagnose.robust_features import robust_features as robust_features
from assay.diagnose.robustness import robustness as robustness
from assay.diagnose.scaffolding import scaffolding as scaffolding
from assay.diagnose.score_reliability import score_reliability as score_reliability
from assay.diagnose.second_removal import second_removal as second_removal
from assay.diagnose.shadow_membership import shadow_membership as shadow_membership
from assay.diagnose.shortcut import shortcut as shortcut
from assay.diagnose.shortcut_clusters import shortcut_clusters as shortcut_clusters
from assay.diagnose.simpler_model import simpler_model as simpler_model
from assay.diagnose.swapped_words import swapped_words as swapped_words
from assay.diagnose.weak_segments import weak_segments as weak_segments

__all__ = [
    "backdoor",
    "background",
    "bias_amplification",
    "cluster_sensitivity",
    "concept_use",
    "data",
    "disparity",
    "drift",
    "error_disparity",
    "explanation_families",
    "explanation_membership",
    "explanation_shift",
    "explanation_trust",
    "exposure",
    "exploration",
    "feature_use",
    "label_errors",
    "membership",
    "pasted_artefact",
    "performance",
    "privacy_bound",
    "proxy_use",
    "recourse_gap",
    "rashomon",
    "robust_features",
    "robustness",
    "scaffolding",
    "score_reliability",
    "second_removal",
    "shadow_membership",
    "shortcut",
    "shortcut_clusters",
    "simpler_model",
    "swapped_words",
    "weak_segments",
]
