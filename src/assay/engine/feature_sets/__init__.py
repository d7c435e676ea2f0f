# SPDX-License-Identifier: Apache-2.0
"""Sets of features: which suffice, which are drawn around them, and what is decided at them."""
