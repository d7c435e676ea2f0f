# SPDX-License-Identifier: Apache-2.0
"""Surrogate rules (trees and rule lists) fitted to a model, and feature profiles (grids and mean curves)."""
