# SPDX-License-Identifier: Apache-2.0
"""Red teaming as an audit: probes and attacks on one model, judged together, as one run."""
