# SPDX-License-Identifier: Apache-2.0
"""Diagnose."""

__all__: list[str] = []
