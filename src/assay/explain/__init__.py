# SPDX-License-Identifier: Apache-2.0
"""Explanation methods: functions of a case that compute one value per row and feature."""

from assay.explain.additive_terms import additive_terms as additive_terms
from assay.explain.adversarial import adversarial as adversarial
from assay.explain.aggregate import aggregate as aggregate
from assay.explain.ale import ale as ale
from assay.explain.attention_gradient import attention_gradient as attention_gradient
from assay.explain.attention_rollout import attention_rollout as attention_rollout
from assay.explain.attn_lrp import attn_lrp as attn_lrp
from assay.explain.banzhaf import banzhaf as banzhaf
from assay.explain.blur_integrated_gradients import blur_integrated_gradients as blur_integrated_gradients
from assay.explain.cam import cam as cam
from assay.explain.cluster_variational import cluster_variational as cluster_variational
from assay.explain.concept_discovery import concept_discovery as concept_discovery
from assay.explain.concept_shap import concept_shap as concept_shap
from assay.explain.conductance import conductance as conductance
from assay.explain.constant import constant as constant
from assay.explain.counterfactual import counterfactual as counterfactual
from assay.explain.deconvolution import deconvolution as deconvolution
from assay.explain.deep_lift import deep_lift as deep_lift
from assay.explain.diffusion_counterfactual import diffusion_counterfactual as diffusion_counterfactual
from assay.explain.edges import edges as edges
from assay.explain.evidence_counterfactual import evidence_counterfactual as evidence_counterfactual
from assay.explain.excitation_backprop import excitation_backprop as excitation_backprop
from assay.explain.expected_gradients import expected_gradients as expected_gradients
from assay.explain.extremal_perturbation import extremal_perturbation as extremal_perturbation
from assay.explain.feature_visualisation import feature_visualisation as feature_visualisation
from assay.explain.grad_cam import grad_cam as grad_cam
from assay.explain.grad_cam_plus_plus import grad_cam_plus_plus as grad_cam_plus_plus
from assay.explain.guided_backprop import guided_backprop as guided_backprop
from assay.explain.guided_grad_cam import guided_grad_cam as guided_grad_cam
from assay.explain.ice import ice as ice
from assay.explain.influence_paths import influence_paths as influence_paths
from assay.explain.influential_units import influential_units as influential_units
from assay.explain.information_bottleneck import information_bottleneck as information_bottleneck
from assay.explain.input_itself import input_itself as input_itself
from assay.explain.input_x_gradient import input_x_gradient as input_x_gradient
from assay.explain.integrated_gradients import integrated_gradients as integrated_gradients
from assay.explain.integrated_hessians import integrated_hessians as integrated_hessians
from assay.explain.interactions import interactions as interactions
from assay.explain.internal_influence import internal_influence as internal_influence
from assay.explain.layer_cam import layer_cam as layer_cam
from assay.explain.leave_one_out import leave_one_out as leave_one_out
from assay.explain.lime import lime as lime
from assay.explain.local_slopes import local_slopes as local_slopes
from assay.explain.lrp import lrp as lrp
from assay.explain.mask_generator import mask_generator as mask_generator
from assay.explain.occlusion import occlusion as occlusion
from assay.explain.owen import owen as owen
from assay.explain.partial_dependence import partial_dependence as partial_dependence
from assay.explain.permutation_importance import permutation_importance as permutation_importance
from assay.explain.permutation_shapley import permutation_shapley as permutation_shapley
from assay.explain.prototypes import prototypes as prototypes
from assay.explain.qii import qii as qii
from assay.explain.random import random as random
from assay.explain.raw_attention import raw_attention as raw_attention
from assay.explain.reason_codes import reason_codes as reason_codes
from assay.explain.rise import rise as rise
from assay.explain.sage import sage as sage
from assay.explain.saliency import saliency as saliency
from assay.explain.score_cam import score_cam as score_cam
from assay.explain.shapley import shapley as shapley
from assay.explain.smooth_grad import smooth_grad as smooth_grad
from assay.explain.smooth_grad_squared import smooth_grad_squared as smooth_grad_squared
from assay.explain.surrogate_rules import surrogate_rules as surrogate_rules
from assay.explain.surrogate_tree import surrogate_tree as surrogate_tree
from assay.explain.tcav import tcav as tcav
from assay.explain.training_influence import training_influence as training_influence
from assay.explain.tree_interactions import tree_interactions as tree_interactions
from assay.explain.tree_shapley import tree_shapley as tree_shapley
from assay.explain.unit_concepts import unit_concepts as unit_concepts
from assay.explain.var_grad import var_grad as var_grad

__all__ = [
    "additive_terms",
    "adversarial",
    "aggregate",
    "ale",
    "attention_gradient",
    "attention_rollout",
    "attn_lrp",
    "banzhaf",
    "blur_integrated_gradients",
    "cam",
    "cluster_variational",
    "concept_discovery",
    "concept_shap",
    "conductance",
    "constant",
    "counterfactual",
    "evidence_counterfactual",
    "deconvolution",
    "deep_lift",
    "diffusion_counterfactual",
    "edges",
    "excitation_backprop",
    "expected_gradients",
    "extremal_perturbation",
    "feature_visualisation",
    "grad_cam",
    "grad_cam_plus_plus",
    "guided_backprop",
    "guided_grad_cam",
    "ice",
    "influence_paths",
    "influential_units",
    "information_bottleneck",
    "input_itself",
    "input_x_gradient",
    "integrated_gradients",
    "integrated_hessians",
    "interactions",
    "internal_influence",
    "layer_cam",
    "leave_one_out",
    "lime",
    "local_slopes",
    "lrp",
    "mask_generator",
    "occlusion",
    "owen",
    "partial_dependence",
    "permutation_importance",
    "permutation_shapley",
    "prototypes",
    "qii",
    "random",
    "raw_attention",
    "reason_codes",
    "rise",
    "sage",
    "saliency",
    "score_cam",
    "shapley",
    "smooth_grad",
    "smooth_grad_squared",
    "surrogate_rules",
    "surrogate_tree",
    "tcav",
    "training_influence",
    "tree_interactions",
    "tree_shapley",
    "unit_concepts",
    "var_grad",
]
