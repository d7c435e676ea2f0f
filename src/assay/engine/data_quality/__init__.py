# SPDX-License-Identifier: Apache-2.0
"""Faults of training data: labels that may be wrong, near-duplicates, and what predicts the label too well."""
