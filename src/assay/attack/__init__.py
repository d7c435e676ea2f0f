# SPDX-License-Identifier: Apache-2.0
"""Compute adversarial perturbations of an input within a ball that change the prediction or the explanation."""

from assay.attack.pgd import pgd as pgd
from assay.attack.top_k import top_k as top_k

__all__ = ["pgd", "top_k"]
