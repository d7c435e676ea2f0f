# SPDX-License-Identifier: Apache-2.0
"""Attack."""

__all__: list[str] = []
