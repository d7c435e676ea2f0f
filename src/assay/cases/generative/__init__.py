# SPDX-License-Identifier: Apache-2.0
"""Removal by drawing: absent features are drawn by a denoiser, given those that are present."""
