# SPDX-License-Identifier: Apache-2.0
"""Tables and the page of a published experiment that was run again."""
