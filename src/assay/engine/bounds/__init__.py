# SPDX-License-Identifier: Apache-2.0
"""Bounds of what a net of affine layers and rectifiers can return on a set of inputs."""
