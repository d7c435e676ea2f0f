# SPDX-License-Identifier: Apache-2.0
"""Prototypes: cells of training rows, how similar a row is to them, and the head that weights them."""
