# SPDX-License-Identifier: Apache-2.0
"""Red teaming: generators that answer prompts, detectors that judge answers, and the checks made from them."""
