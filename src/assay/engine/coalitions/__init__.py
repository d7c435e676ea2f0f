# SPDX-License-Identifier: Apache-2.0
"""Estimate Shapley, Banzhaf and Owen values, interactions and linear fits of a removal game from sampled coalitions."""
