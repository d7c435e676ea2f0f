# SPDX-License-Identifier: Apache-2.0
"""The table of methods by goal, kind and camp, and the choice from it."""
