# SPDX-License-Identifier: Apache-2.0
"""Demonstration audits of two real models: a German credit classifier and an ImageNet classifier."""
