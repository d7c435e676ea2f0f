# SPDX-License-Identifier: Apache-2.0
"""Words of a text exchanged for their counterparts, and neutral words exchanged as a control."""
