# SPDX-License-Identifier: Apache-2.0
"""Exact Shapley values and interactions of decision-tree ensembles, computed leaf by leaf."""
