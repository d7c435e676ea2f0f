# SPDX-License-Identifier: Apache-2.0
"""The benchmark suite: every explanation method on every benchmark with known ground truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, get_args

import numpy as np

from assay.basics.errors import AssayError, CapabilityError, InputError
from assay.basics.seed import Seed
from assay.basics.stats import bootstrap
from assay.basics.types import Floats, PerRow
from assay.cases.case import Case
from assay.engine.capabilities import require_capabilities
from assay.engine.gradients.distributions import Line
from assay.engine.provenance import versions
from assay.nouns.catalogue import Method, find, known
from assay.nouns.comparisons.benchmark_table import BenchmarkLine, BenchmarkModel, BenchmarkTable, BenchmarkVerdict
from assay.planted.agreement import agreement
from assay.planted.benchmark_case import BenchmarkCase
from assay.planted.clusters import clusters
from assay.planted.gaussian_tables import gaussian_tables
from assay.planted.grid_pointing import grid_pointing
from assay.planted.scaffolding import scaffolded_table
from assay.planted.synthetic_birds import synthetic_birds
from assay.planted.trigger_words import trigger_words
from assay.planted.watermark import Fooling, watermark
from assay.planted.xai_tris import xai_tris


@dataclass(frozen=True)
class Benchmark:
    """A benchmark: its name, the function that makes its case from a seed, and its training rows in the quick suite.

    ``quick`` is 0 for a benchmark that the quick suite leaves out.
    """

    name: str
    make: Callable[..., BenchmarkCase]
    quick: int = 0

    @property
    def family(self) -> str:
        """The first part of the name. Benchmarks of one family use the same random numbers."""
        return self.name.partition("-")[0]


BENCHMARKS: dict[str, Benchmark] = {
    one.name: one
    for one in (
        *(Benchmark(f"watermark-{f:g}", partial(watermark, follows=f), 1000 * (f == 1)) for f in (0.0, 0.5, 0.9, 1.0)),
        *(
            Benchmark(
                f"watermark-dense{how and '-' + how}",
                partial(watermark, follows=1.0, is_dense=True, fooled=how, rows=12),
            )
            for how in get_args(Fooling)
        ),
        Benchmark("tetrominoes-linear", partial(xai_tris, scenario="linear"), 2000),
        Benchmark("tetrominoes-multiplicative", partial(xai_tris, scenario="multiplicative")),
        Benchmark("tetrominoes-rigid", partial(xai_tris, scenario="rigid")),
        Benchmark("tetrominoes-xor", partial(xai_tris, scenario="xor")),
        Benchmark("table-logistic", partial(gaussian_tables, kind="logistic"), 1500),
        Benchmark("table-logistic-correlated", partial(gaussian_tables, kind="logistic", rho=0.9)),
        Benchmark("table-additive", partial(gaussian_tables, kind="additive")),
        Benchmark("table-xor", partial(gaussian_tables, kind="xor")),
        Benchmark("table-trees", partial(gaussian_tables, kind="additive", trees=True), 1500),
        *(Benchmark(f"table-scaffold-{by}", partial(scaffolded_table, hides_from=by)) for by in ("lime", "shap")),
        Benchmark("clusters", clusters, 5000),
        Benchmark("grid-pointing", grid_pointing, 1000),
        Benchmark("grid-pointing-disconnected", partial(grid_pointing, disconnected=True)),
        Benchmark("creatures", synthetic_birds, 1200),
        Benchmark("words", trigger_words, 3000),
    )
}
"""Every benchmark, by name."""

RANDOM_DRAWS = 20
"""Number of random explanations whose mean agreement estimates chance."""
QUICK_ROWS = 10
LOSS_METHODS = {"permutation_importance"}
"""Methods that measure the increase of the target, which must then be a loss."""


def benchmark(
    *,
    only: Sequence[str] = (),
    methods: Sequence[str] = (),
    quick: bool = False,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> BenchmarkTable:
    """Evaluate explanation methods, all or those named, on the benchmarks, all or those named.

    References (oracle, random, constant, edges, the input itself) are always included. A method gets the benchmark's
    baseline, background and removal, and its defaults otherwise. Methods that the case does not support, or that
    explain the units of a layer, are "not applicable". If the model does not use the planted cue, no method is judged.
    Intervals are 95 % for each method, without correction for multiple comparisons. ``quick`` runs one smaller
    benchmark per family. ``progress`` is called with the name of each benchmark before it starts.
    """
    import assay.explain  # noqa: F401  # fills the catalogue

    benchmarks = [_find_benchmark(name) for name in only] or [
        one for one in BENCHMARKS.values() if one.quick or not quick
    ]
    evaluated = [find("explain", name) for name in methods] or [
        m for m in known("explain") if "reference" not in m.claims
    ]
    models, lines = [], []
    for one in benchmarks:
        if progress is not None:
            progress(one.name)
        benchmark_case = make_case(one, Seed(seed), quick=quick)
        models.append(describe_model(one.name, benchmark_case))
        lines += evaluate_methods(one.name, benchmark_case, evaluated)
    return BenchmarkTable(tuple(models), tuple(lines), seed, quick, versions())


def make_case(one: Benchmark, seed: Seed, *, quick: bool) -> BenchmarkCase:
    """Make the case of a benchmark at its default size, or smaller if ``quick``."""
    stream = seed.child("planted", one.family)
    if not quick:
        return one.make(stream)
    return one.make(stream, rows=QUICK_ROWS, train=one.quick) if one.quick else one.make(stream, rows=QUICK_ROWS)


def _find_benchmark(name: str) -> Benchmark:
    if name not in BENCHMARKS:
        raise InputError(f"no benchmark {name!r}; there are {', '.join(BENCHMARKS)}.")
    return BENCHMARKS[name]


def describe_model(name: str, benchmark_case: BenchmarkCase) -> BenchmarkModel:
    """Describe a benchmark and its model for the table."""
    competence = benchmark_case.competence
    return BenchmarkModel(
        benchmark=name,
        agreement=benchmark_case.agreement,
        chance=_round(benchmark_case.chance),
        what=competence.description,
        share=_round(competence.share),
        low=_round(competence.interval.low),
        high=_round(competence.interval.high),
        needed=competence.required,
        is_sufficient=competence.is_sufficient,
        other_measures={measure: _round(number) for measure, number in competence.other_measures.items()},
        meaning=benchmark_case.meaning,
        should=benchmark_case.should,
        rows=len(benchmark_case.case),
        parts=len(benchmark_case.case.features),
        sources=benchmark_case.sources,
    )


def evaluate_methods(name: str, benchmark_case: BenchmarkCase, methods: Sequence[Method]) -> list[BenchmarkLine]:
    """Evaluate the oracle and the references, then the methods, on one benchmark."""
    competence = benchmark_case.competence
    references = {m.name: _agreement_or_reason(m, benchmark_case) for m in known("explain") if "reference" in m.claims}
    reference_agreements = [one for one in references.values() if not isinstance(one, str) and np.isfinite(one).any()]
    lines = [_line(name, "oracle", "oracle", agreement(benchmark_case.truth, benchmark_case), benchmark_case)]
    for reference, result in references.items():
        lines.append(_line_or_refusal(name, reference, "reference", result, benchmark_case))
    for method in methods:
        if "reference" in method.claims:
            continue
        sufficient = competence.is_sufficient
        result = _agreement_or_reason(method, benchmark_case) if sufficient else _nan_or_reason(method, benchmark_case)
        if isinstance(result, str):
            lines.append(_line_or_refusal(name, method.name, "not applicable", result, benchmark_case))
        elif sufficient:
            verdict = compare_with_references(result, reference_agreements, benchmark_case)
            lines.append(_line(name, method.name, verdict, result, benchmark_case))
        else:
            why = f"{competence.description}: {competence.share:.2g}, needed {competence.required:g}"
            lines.append(
                BenchmarkLine(name, method.name, "not judged", None, None, None, len(benchmark_case.case), 0, why)
            )
    return lines


def compare_with_references(
    agreements: PerRow, references: Sequence[PerRow], benchmark_case: BenchmarkCase
) -> BenchmarkVerdict:
    """Compare agreements (row,) with each reference, row by row, and with chance: 95 % BCa intervals of the mean.

    Rows without an agreement count as chance, so that an empty explanation gains nothing.
    """
    chance = benchmark_case.chance
    complete = np.where(np.isnan(agreements), chance, agreements)
    differences = [complete - np.where(np.isnan(other), chance, other) for other in references]
    intervals = [bootstrap(difference, seed=benchmark_case.case.seed) for difference in differences]
    if all(interval.low > 0 for interval in intervals):
        return "beats the references"
    above_chance = bootstrap(complete - chance, seed=benchmark_case.case.seed)
    if above_chance.low > 0:
        return "beats chance"
    return "worse than chance" if above_chance.high < 0 else "no better than chance"


def explain_case(method: Method, benchmark_case: BenchmarkCase) -> Floats:
    """The method's values (row, feature) with the benchmark's baseline, background and removal.

    ``CapabilityError`` if the case lacks what the method needs, or the values are of a layer's units.
    """
    if "train" in method.needs:
        raise CapabilityError(f"explain.{method.name} explains by training rows, not by features of the input.")
    explanation = method.call(_case_for(method, benchmark_case), **method_options(method, benchmark_case))
    if explanation.features.fingerprint != benchmark_case.case.features.fingerprint:
        raise CapabilityError(f"explain.{method.name} explains units of a layer, not features of the input.")
    return np.asarray(explanation.values)


def _case_for(method: Method, benchmark_case: BenchmarkCase) -> Case:
    """The benchmark's case; for methods that explain a loss, with the loss of the explained class as target.

    A copy of the case has an empty game cache, so that the result does not depend on earlier methods.
    """
    if "loss" not in method.needs and method.name not in LOSS_METHODS:
        return replace(benchmark_case.case)
    if benchmark_case.case.model.gives == "values":
        raise CapabilityError(f"explain.{method.name} explains a loss; the benchmark's model is a regression.")
    return replace(benchmark_case.case.with_target("loss", benchmark_case.case.label))


def method_options(method: Method, benchmark_case: BenchmarkCase) -> dict[str, Any]:
    """The options of a method that the benchmark sets."""
    if "members" in method.options:
        raise CapabilityError(f"explain.{method.name} needs other explanations.")
    needs_many_rows = bool({"held_out", "bins", "points"} & set(method.options))
    candidates = {
        "start": benchmark_case.start,
        "background": benchmark_case.many_rows if needs_many_rows else benchmark_case.background,
        "comparison": benchmark_case.background,
        "remove": benchmark_case.remove,
        "read": "mean",
        "budget": benchmark_case.budget,
    }
    options = {name: value for name, value in candidates.items() if name in method.options}
    if "over" in method.options and isinstance(method.options["over"].default, Line):
        options["over"] = Line(benchmark_case.start)
    return options


def _agreement_or_reason(method: Method, benchmark_case: BenchmarkCase) -> PerRow | str:
    """The agreement (row,), or the reason why there is none."""
    try:
        if method.name != "random":
            return agreement(explain_case(method, benchmark_case), benchmark_case)
        seeds = [benchmark_case.case.seed.child("chance", draw) for draw in range(RANDOM_DRAWS)]
        cases = [replace(benchmark_case, case=replace(benchmark_case.case, seed=seed)) for seed in seeds]
        return np.asarray(np.mean([agreement(explain_case(method, one), one) for one in cases], axis=0))
    except AssayError as error:
        return str(error)


def _nan_or_reason(method: Method, benchmark_case: BenchmarkCase) -> PerRow | str:
    """NaN for each row, or the reason why the method is not applicable."""
    try:
        method_options(method, benchmark_case)
        require_capabilities(method, _case_for(method, benchmark_case))
    except CapabilityError as error:
        return str(error)
    return np.full(len(benchmark_case.case), np.nan)


def _line_or_refusal(
    name: str, method: str, verdict: BenchmarkVerdict, result: PerRow | str, benchmark_case: BenchmarkCase
) -> BenchmarkLine:
    if isinstance(result, str):
        return BenchmarkLine(name, method, "not applicable", None, None, None, len(benchmark_case.case), 0, result)
    return _line(name, method, verdict, result, benchmark_case)


def _line(
    name: str, method: str, verdict: BenchmarkVerdict, agreements: PerRow, benchmark_case: BenchmarkCase
) -> BenchmarkLine:
    defined = agreements[~np.isnan(agreements)]
    interval = bootstrap(defined, seed=benchmark_case.case.seed)
    average = float(defined.mean()) if len(defined) else float("nan")
    mean, low, high = (None if np.isnan(one) else _round(one) for one in (average, interval.low, interval.high))
    return BenchmarkLine(name, method, verdict, mean, low, high, len(agreements), len(agreements) - len(defined))


def _round(number: float) -> float:
    """Round to four decimals, so that rounding errors do not differ between machines."""
    return float(f"{number:.4f}") + 0.0
