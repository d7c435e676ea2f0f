# SPDX-License-Identifier: Apache-2.0
"""Published experiments that can be run again, on models of this package's choice or on any other."""
