# SPDX-License-Identifier: Apache-2.0
"""Computes properties of attributions: agreement between methods, shares, localisation, adjacency, class contrast."""
