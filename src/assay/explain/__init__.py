# SPDX-License-Identifier: Apache-2.0
"""Explanations: functions of a case that say how much each part matters."""

from assay.explain.banzhaf import banzhaf as banzhaf
from assay.explain.blur_integrated_gradients import blur_integrated_gradients as blur_integrated_gradients
from assay.explain.conductance import conductance as conductance
from assay.explain.constant import constant as constant
from assay.explain.edges import edges as edges
from assay.explain.expected_gradients import expected_gradients as expected_gradients
from assay.explain.input_itself import input_itself as input_itself
from assay.explain.input_x_gradient import input_x_gradient as input_x_gradient
from assay.explain.integrated_gradients import integrated_gradients as integrated_gradients
from assay.explain.internal_influence import internal_influence as internal_influence
from assay.explain.lime import lime as lime
from assay.explain.occlusion import occlusion as occlusion
from assay.explain.permutation_shapley import permutation_shapley as permutation_shapley
from assay.explain.random import random as random
from assay.explain.rise import rise as rise
from assay.explain.saliency import saliency as saliency
from assay.explain.shapley import shapley as shapley
from assay.explain.smooth_grad import smooth_grad as smooth_grad
from assay.explain.smooth_grad_squared import smooth_grad_squared as smooth_grad_squared
from assay.explain.var_grad import var_grad as var_grad

__all__ = [
    "banzhaf",
    "blur_integrated_gradients",
    "conductance",
    "constant",
    "edges",
    "expected_gradients",
    "input_itself",
    "input_x_gradient",
    "integrated_gradients",
    "internal_influence",
    "lime",
    "occlusion",
    "permutation_shapley",
    "random",
    "rise",
    "saliency",
    "shapley",
    "smooth_grad",
    "smooth_grad_squared",
    "var_grad",
]
