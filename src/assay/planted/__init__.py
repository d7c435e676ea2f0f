# SPDX-License-Identifier: Apache-2.0
"""Models that were made to read one thing, and explanation methods held to it."""

from assay.planted.agreement import agreement as agreement
from assay.planted.planted import Competence as Competence
from assay.planted.planted import Planted as Planted
from assay.planted.suite import BENCHMARKS as BENCHMARKS
from assay.planted.suite import benchmark as benchmark
from assay.planted.table import BenchmarkLine as BenchmarkLine
from assay.planted.table import BenchmarkModel as BenchmarkModel
from assay.planted.table import BenchmarkTable as BenchmarkTable

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
