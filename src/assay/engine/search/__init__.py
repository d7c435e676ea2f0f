# SPDX-License-Identifier: Apache-2.0
"""Computes perturbations: norm balls around rows, random points in them, and projected steepest ascent inside them."""
