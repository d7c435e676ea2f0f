# SPDX-License-Identifier: Apache-2.0
"""The Gibbs posterior over the sets of parts that a value needs: its design, its numbers, families that fit it."""
