# SPDX-License-Identifier: Apache-2.0
"""Compute comparisons of explanation methods: paired tests, rankings, score reliability and sensitivity to settings."""
