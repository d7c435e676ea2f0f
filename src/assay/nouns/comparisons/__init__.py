# SPDX-License-Identifier: Apache-2.0
"""Hold the results of comparisons: of methods, settings, models, audits and benchmarks, each with text and tables."""
