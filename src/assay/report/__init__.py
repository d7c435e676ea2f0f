# SPDX-License-Identifier: Apache-2.0
"""Reports: one HTML page each for an audit, a comparison of two audits and a benchmark, and an audit as other formats.

A report is a view of a record and imports only ``basics`` and ``nouns``.
"""
