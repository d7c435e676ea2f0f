# SPDX-License-Identifier: Apache-2.0
"""Robustness of decisions on a ball, from above and from below, and of the units that a net computes."""
