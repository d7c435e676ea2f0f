# SPDX-License-Identifier: Apache-2.0
"""The data types of the package: inputs, results, comparisons, records, and the catalogue of methods."""
