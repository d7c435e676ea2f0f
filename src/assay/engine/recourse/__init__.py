# SPDX-License-Identifier: Apache-2.0
"""The cheapest allowed change of a row after which the model decides as wanted."""
