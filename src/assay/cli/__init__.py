# SPDX-License-Identifier: Apache-2.0
"""The command line: parsing of arguments, calls of the package, and printing of results."""
