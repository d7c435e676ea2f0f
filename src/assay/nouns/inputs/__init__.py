# SPDX-License-Identifier: Apache-2.0
"""The inputs of a case: rows, data frames, features, targets, regions and training recipes."""
