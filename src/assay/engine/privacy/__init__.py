# SPDX-License-Identifier: Apache-2.0
"""Attacks on the privacy of training data, and the models and statistics that they need."""
