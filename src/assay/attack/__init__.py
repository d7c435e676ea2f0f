# SPDX-License-Identifier: Apache-2.0
"""Attacks: functions that move an input within a ball, and say what gave way."""

from assay.attack.pgd import pgd as pgd
from assay.attack.top_k import top_k as top_k

__all__ = ["pgd", "top_k"]
