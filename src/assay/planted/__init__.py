# SPDX-License-Identifier: Apache-2.0
"""Benchmarks of explanation methods with known ground truth: models trained on data with a planted cue."""

from assay.nouns.comparisons.benchmark_table import BenchmarkLine as BenchmarkLine
from assay.nouns.comparisons.benchmark_table import BenchmarkModel as BenchmarkModel
from assay.nouns.comparisons.benchmark_table import BenchmarkTable as BenchmarkTable
from assay.planted.agreement import agreement as agreement
from assay.planted.benchmark_case import BenchmarkCase as BenchmarkCase
from assay.planted.benchmark_case import Competence as Competence
from assay.planted.suite import BENCHMARKS as BENCHMARKS
from assay.planted.suite import benchmark as benchmark

__all__ = [
    "BENCHMARKS",
    "BenchmarkCase",
    "BenchmarkLine",
    "BenchmarkModel",
    "BenchmarkTable",
    "Competence",
    "agreement",
    "benchmark",
]
