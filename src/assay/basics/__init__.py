# SPDX-License-Identifier: Apache-2.0
"""Words: errors, types, seeds, optional imports, digests, statistics. They import nothing of ours."""
