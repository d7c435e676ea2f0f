# SPDX-License-Identifier: Apache-2.0
"""Studies with people: what they are asked, and what their answers say."""
