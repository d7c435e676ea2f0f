# SPDX-License-Identifier: Apache-2.0
"""Engines: influence (gradients), removal (games), search (moves inside a ball), and how methods are declared."""
