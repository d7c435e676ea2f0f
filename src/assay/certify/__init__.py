# SPDX-License-Identifier: Apache-2.0
"""Compute certificates: bounds that a theorem proves for an explanation, or an abstention."""

from assay.certify.mus import mus as mus
from assay.certify.shapley_error import shapley_error as shapley_error
from assay.certify.soft_stability import soft_stability as soft_stability
from assay.certify.tree_robustness import tree_robustness as tree_robustness

__all__ = ["mus", "shapley_error", "soft_stability", "tree_robustness"]
