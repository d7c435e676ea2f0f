# SPDX-License-Identifier: Apache-2.0
"""Adapters that turn functions, estimators, boosters, torch modules and text nets into models."""
