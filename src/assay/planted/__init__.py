# SPDX-License-Identifier: Apache-2.0
"""Models that were made to read one thing, and explanation methods held to it."""

from assay.nouns.comparisons.benchmark_table import BenchmarkLine as BenchmarkLine
from assay.nouns.comparisons.benchmark_table import BenchmarkModel as BenchmarkModel
from assay.nouns.comparisons.benchmark_table import BenchmarkTable as BenchmarkTable
from assay.planted.agreement import agreement as agreement
from assay.planted.planted import Competence as Competence
from assay.planted.planted import Planted as Planted
from assay.planted.suite import BENCHMARKS as BENCHMARKS
from assay.planted.suite import benchmark as benchmark

__all__ = [
    "BENCHMARKS",
    "BenchmarkLine",
    "BenchmarkModel",
    "BenchmarkTable",
    "Competence",
    "Planted",
    "agreement",
    "benchmark",
]
