# SPDX-License-Identifier: Apache-2.0
"""One module for each kind of plot, each with the function that turns a result into a ``Plot``."""
