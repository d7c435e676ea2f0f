# SPDX-License-Identifier: Apache-2.0
"""The page: one HTML file that is a view of a record. It imports words and nouns only."""
