# SPDX-License-Identifier: Apache-2.0
"""Compute certificates: bounds that a theorem proves for an explanation, or an abstention."""

from assay.certify.bound_propagation import bound_propagation as bound_propagation
from assay.certify.lipschitz_margin import lipschitz_margin as lipschitz_margin
from assay.certify.mus import mus as mus
from assay.certify.randomised_smoothing import randomised_smoothing as randomised_smoothing
from assay.certify.removal_bound import removal_bound as removal_bound
from assay.certify.removal_effect import removal_effect as removal_effect
from assay.certify.shapley_error import shapley_error as shapley_error
from assay.certify.smoothed_top_k import smoothed_top_k as smoothed_top_k
from assay.certify.soft_stability import soft_stability as soft_stability
from assay.certify.sufficient_features import sufficient_features as sufficient_features
from assay.certify.tree_robustness import tree_robustness as tree_robustness

__all__ = [
    "bound_propagation",
    "lipschitz_margin",
    "mus",
    "randomised_smoothing",
    "removal_bound",
    "removal_effect",
    "shapley_error",
    "smoothed_top_k",
    "soft_stability",
    "sufficient_features",
    "tree_robustness",
]
