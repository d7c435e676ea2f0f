# SPDX-License-Identifier: Apache-2.0
"""Backward rules: what replaces a net's derivatives, operation by operation, on nets nobody rewrote."""
