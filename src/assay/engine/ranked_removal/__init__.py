# SPDX-License-Identifier: Apache-2.0
"""Features removed in the order of an explanation, and models trained again without them."""
