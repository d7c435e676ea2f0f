# SPDX-License-Identifier: Apache-2.0
"""Groups of rows, their rates, and what contributes to a gap between two of them."""
