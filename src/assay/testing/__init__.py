# SPDX-License-Identifier: Apache-2.0
"""A pytest plugin with fixtures that audit a model inside a test."""
