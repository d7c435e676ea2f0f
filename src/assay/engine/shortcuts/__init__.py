# SPDX-License-Identifier: Apache-2.0
"""Shortcuts in pictures: clusters of explanations, artefacts that are pasted, and directions of a layer."""
