# SPDX-License-Identifier: Apache-2.0
"""Gradient computations: averages over points and paths, modified backward passes, activation maps and attention."""
