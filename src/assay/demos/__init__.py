# SPDX-License-Identifier: Apache-2.0
"""Two audits of real models, ready to run: German credit, and ImageNet photographs."""
