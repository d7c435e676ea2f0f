# SPDX-License-Identifier: Apache-2.0
"""The questionnaire of a study with people, as one HTML file."""
