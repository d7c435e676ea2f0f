# SPDX-License-Identifier: Apache-2.0
"""Influence of training data: how a model's outputs would change without some of the rows it was trained on."""
