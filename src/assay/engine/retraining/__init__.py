# SPDX-License-Identifier: Apache-2.0
"""Computes explanations of retrained, randomised and shifted models, and how much they differ from the original."""
