# SPDX-License-Identifier: Apache-2.0
"""An audit as Markdown, JUnit XML, model card and notebook cell."""
