# SPDX-License-Identifier: Apache-2.0
"""Errors, array types, seeds, optional imports, fingerprints and statistics; imports nothing else of the package."""
