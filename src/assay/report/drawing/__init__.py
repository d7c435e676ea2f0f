# SPDX-License-Identifier: Apache-2.0
"""Charts, image maps and number formatting of the pages."""
