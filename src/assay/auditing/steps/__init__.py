# SPDX-License-Identifier: Apache-2.0
"""Running the steps of an audit, diagnoses and repairs included, and storing their outcomes."""
