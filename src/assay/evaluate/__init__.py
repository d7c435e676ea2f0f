# SPDX-License-Identifier: Apache-2.0
"""Scores: functions of an explanation and a case that judge the explanation."""

from assay.evaluate.deletion import deletion as deletion

__all__ = ["deletion"]
