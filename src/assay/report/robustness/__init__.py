# SPDX-License-Identifier: Apache-2.0
"""Attacks and certificates on the page of an audit."""
