# SPDX-License-Identifier: Apache-2.0
"""Exact search over boxes of inputs on which every tree of a forest is constant."""
