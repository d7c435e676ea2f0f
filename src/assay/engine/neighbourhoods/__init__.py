# SPDX-License-Identifier: Apache-2.0
"""Computes explanations of perturbed rows, their relative changes, and how typical rows are of reference data."""
