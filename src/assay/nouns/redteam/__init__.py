# SPDX-License-Identifier: Apache-2.0
"""Nouns of red teaming: probes, attempts, and what a probe measured."""
