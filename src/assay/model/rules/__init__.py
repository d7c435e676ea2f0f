# SPDX-License-Identifier: Apache-2.0
"""Backward rules that replace the derivatives of a net's operations: LRP, DeepLIFT, guided backprop, deconvolution."""
