# SPDX-License-Identifier: Apache-2.0
"""Compute adversarial perturbations of an input within a ball that change the prediction or the explanation."""

from assay.attack.apgd import apgd as apgd
from assay.attack.auto import auto as auto
from assay.attack.bim import bim as bim
from assay.attack.carlini_wagner import carlini_wagner as carlini_wagner
from assay.attack.deepfool import deepfool as deepfool
from assay.attack.explanation_search import explanation_search as explanation_search
from assay.attack.fgsm import fgsm as fgsm
from assay.attack.fmn import fmn as fmn
from assay.attack.mass_centre import mass_centre as mass_centre
from assay.attack.pgd import pgd as pgd
from assay.attack.square import square as square
from assay.attack.target_map import target_map as target_map
from assay.attack.top_k import top_k as top_k

__all__ = [
    "apgd",
    "auto",
    "bim",
    "carlini_wagner",
    "deepfool",
    "explanation_search",
    "fgsm",
    "fmn",
    "mass_centre",
    "pgd",
    "square",
    "target_map",
    "top_k",
]
