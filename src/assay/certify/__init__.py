# SPDX-License-Identifier: Apache-2.0
"""Certify."""

__all__: list[str] = []
