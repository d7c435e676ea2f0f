# SPDX-License-Identifier: Apache-2.0
"""Torch nets: a private copy, passes with hooks, what their outputs are, and their state."""
