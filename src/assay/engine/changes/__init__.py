# SPDX-License-Identifier: Apache-2.0
"""Search over changes of single words and columns, for models of which outputs alone are known."""
