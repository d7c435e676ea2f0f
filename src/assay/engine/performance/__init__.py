# SPDX-License-Identifier: Apache-2.0
"""How good a model's predictions are: metrics with intervals, compared with a constant prediction."""
