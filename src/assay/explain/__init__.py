# SPDX-License-Identifier: Apache-2.0
"""Explanations: functions of a case that say how much each part matters."""

from assay.explain.integrated_gradients import integrated_gradients as integrated_gradients
from assay.explain.saliency import saliency as saliency
from assay.explain.shapley import shapley as shapley

__all__ = ["integrated_gradients", "saliency", "shapley"]
