# SPDX-License-Identifier: Apache-2.0
"""Measures of one sample and of the difference between two, and what is known about their errors."""
