# SPDX-License-Identifier: Apache-2.0
"""Findings, repairs and waivers on the page of an audit."""
