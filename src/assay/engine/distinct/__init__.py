# SPDX-License-Identifier: Apache-2.0
"""Frames as binary tables, and binary tables as their distinct rows."""
