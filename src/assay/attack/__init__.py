# SPDX-License-Identifier: Apache-2.0
"""Compute adversarial perturbations of an input within a ball that change the prediction or the explanation."""

from assay.attack.apgd import apgd as apgd
from assay.attack.auto import auto as auto
from assay.attack.backdoor import backdoor as backdoor
from assay.attack.background import background as background
from assay.attack.bim import bim as bim
from assay.attack.carlini_wagner import carlini_wagner as carlini_wagner
from assay.attack.column_changes import column_changes as column_changes
from assay.attack.deepfool import deepfool as deepfool
from assay.attack.explanation_search import explanation_search as explanation_search
from assay.attack.fgsm import fgsm as fgsm
from assay.attack.fmn import fmn as fmn
from assay.attack.hop_skip_jump import hop_skip_jump as hop_skip_jump
from assay.attack.labels import labels as labels
from assay.attack.mass_centre import mass_centre as mass_centre
from assay.attack.model_inversion import model_inversion as model_inversion
from assay.attack.pgd import pgd as pgd
from assay.attack.saliency_map import saliency_map as saliency_map
from assay.attack.square import square as square
from assay.attack.target_map import target_map as target_map
from assay.attack.token_substitution import token_substitution as token_substitution
from assay.attack.top_k import top_k as top_k
from assay.attack.training_point import training_point as training_point

__all__ = [
    "apgd",
    "auto",
    "backdoor",
    "background",
    "bim",
    "carlini_wagner",
    "column_changes",
    "deepfool",
    "explanation_search",
    "fgsm",
    "fmn",
    "hop_skip_jump",
    "labels",
    "mass_centre",
    "model_inversion",
    "pgd",
    "saliency_map",
    "square",
    "target_map",
    "token_substitution",
    "top_k",
    "training_point",
]
