# SPDX-License-Identifier: Apache-2.0
"""Attacks by training and background data, and what detects them."""
