# SPDX-License-Identifier: Apache-2.0
"""Audits: plan, run, findings, page."""
