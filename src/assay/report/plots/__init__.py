# SPDX-License-Identifier: Apache-2.0
"""Plots of results: what a plot consists of, its drawing as SVG and as matplotlib axes, and one module a kind."""
