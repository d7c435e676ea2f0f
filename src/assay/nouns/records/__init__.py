# SPDX-License-Identifier: Apache-2.0
"""The record of an audit, and the store that writes results to files."""
