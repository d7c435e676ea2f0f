# SPDX-License-Identifier: Apache-2.0
"""Paths through the layers of a net, and the influence that each of them carries."""
