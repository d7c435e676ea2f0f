# SPDX-License-Identifier: Apache-2.0
"""Pages: each one HTML file that is a view of a noun (a record, a comparison, a table). Words and nouns only."""
