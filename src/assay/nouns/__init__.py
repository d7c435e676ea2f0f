# SPDX-License-Identifier: Apache-2.0
"""Nouns: rows, features, targets, results, methods and the store."""
