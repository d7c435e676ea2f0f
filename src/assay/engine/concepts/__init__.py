# SPDX-License-Identifier: Apache-2.0
"""Concepts: directions in the activations of a layer, their tests, factorisations, and completeness."""
