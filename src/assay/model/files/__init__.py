# SPDX-License-Identifier: Apache-2.0
"""Readers of model files: format detection, safe loading, inspection without loading, and user code."""
