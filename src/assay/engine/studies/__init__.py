# SPDX-License-Identifier: Apache-2.0
"""Studies with people: choice of the rows, check of the answers, and their analysis."""
