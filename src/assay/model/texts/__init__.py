# SPDX-License-Identifier: Apache-2.0
"""What nets and estimators that read text need: tokenizers, words, the layer that embeds tokens, unpadded passes."""
