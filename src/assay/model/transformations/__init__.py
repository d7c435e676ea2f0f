# SPDX-License-Identifier: Apache-2.0
"""Functions that turn a model into a smoothed, randomised, softplus or faster one."""
