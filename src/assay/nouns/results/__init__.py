# SPDX-License-Identifier: Apache-2.0
"""What methods return: explanations, scores, attack results, certificates, repairs, and findings with verdicts."""
