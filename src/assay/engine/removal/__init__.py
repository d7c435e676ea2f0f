# SPDX-License-Identifier: Apache-2.0
"""Computes the change in output without features: perturbation curves, random coalitions, windows, channel masks."""
