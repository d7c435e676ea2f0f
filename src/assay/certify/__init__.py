# SPDX-License-Identifier: Apache-2.0
"""Certificates: functions that state what holds, by which theorem, or abstain."""

from assay.certify.mus import mus as mus
from assay.certify.soft_stability import soft_stability as soft_stability

__all__ = ["mus", "soft_stability"]
