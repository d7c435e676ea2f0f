# SPDX-License-Identifier: Apache-2.0
"""Repair."""

__all__: list[str] = []
