# SPDX-License-Identifier: Apache-2.0
"""Every explanation method held to every planted truth that it can be asked about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from assay.basics.errors import AssayError, CapabilityError, InputError
from assay.basics.seed import Seed
from assay.basics.stats import bootstrap
from assay.basics.types import Floats, PerRow
from assay.cases.case import Case
from assay.engine.declare import check, versions
from assay.engine.gradients.distributions import Line
from assay.nouns.catalogue import Method, find, known
from assay.nouns.comparisons.benchmark_table import BenchmarkLine, BenchmarkModel, BenchmarkTable, Standing
from assay.planted.agreement import agreement
from assay.planted.clusters import clusters
from assay.planted.creatures import creatures
from assay.planted.grid_pointing import grid_pointing
from assay.planted.planted import Planted
from assay.planted.tables import tables
from assay.planted.tokens import tokens
from assay.planted.watermark import watermark
from assay.planted.xai_tris import xai_tris


@dataclass(frozen=True)
class Benchmark:
    """A name, how it is made of a seed and sizes, and the training rows that the quick suite has (0: left out)."""

    name: str
    make: Callable[..., Planted]
    quick: int = 0

    @property
    def family(self) -> str:
        """Benchmarks of one family draw alike, so that only what their names tell differs."""
        return self.name.partition("-")[0]


BENCHMARKS: dict[str, Benchmark] = {
    one.name: one
    for one in (
        *(Benchmark(f"watermark-{f:g}", partial(watermark, follows=f), 1000 * (f == 1)) for f in (0.0, 0.5, 0.9, 1.0)),
        Benchmark("tetrominoes-linear", partial(xai_tris, scenario="linear"), 2000),
        Benchmark("tetrominoes-multiplicative", partial(xai_tris, scenario="multiplicative")),
        Benchmark("tetrominoes-rigid", partial(xai_tris, scenario="rigid")),
        Benchmark("tetrominoes-xor", partial(xai_tris, scenario="xor")),
        Benchmark("table-logistic", partial(tables, kind="logistic"), 1500),
        Benchmark("table-logistic-correlated", partial(tables, kind="logistic", rho=0.9)),
        Benchmark("table-additive", partial(tables, kind="additive")),
        Benchmark("table-xor", partial(tables, kind="xor")),
        Benchmark("table-trees", partial(tables, kind="additive", trees=True), 1500),
        Benchmark("clusters", clusters, 5000),
        Benchmark("grid-pointing", grid_pointing, 1000),
        Benchmark("grid-pointing-disconnected", partial(grid_pointing, disconnected=True)),
        Benchmark("creatures", creatures, 1200),
        Benchmark("words", tokens, 3000),
    )
}
"""Every benchmark, by name."""

DRAWS = 20
"""Random explanations whose mean agreement stands for chance."""
QUICK_ROWS = 10
OF_LOSS = {"permutation_importance"}
"""Methods that give the rise of what they are asked about, which is meant to be a loss."""


def benchmark(
    *,
    only: Sequence[str] = (),
    methods: Sequence[str] = (),
    quick: bool = False,
    seed: int = 0,
    told: Callable[[str], None] | None = None,
) -> BenchmarkTable:
    """Make the benchmarks, or those named, and hold every method to them, or those named.

    References (oracle, random, constant, edges, the input itself) are always asked. A method's start, background and
    removal are the benchmark's own; all else is its defaults. Methods that the case does not suit, or that speak of a
    layer's units, are "not applicable"; where the model does not use what was planted, none is judged. Intervals are of
    one method each, at 95 %, and are not corrected for their number. ``quick`` makes one benchmark a family, smaller.
    ``told`` is called with the name of each benchmark before it is made.
    """
    import assay.explain  # noqa: F401  # fills the catalogue

    chosen = [_named(name) for name in only] or [one for one in BENCHMARKS.values() if one.quick or not quick]
    asked = [find("explain", name) for name in methods] or [m for m in known("explain") if "reference" not in m.claims]
    models, lines = [], []
    for one in chosen:
        if told is not None:
            told(one.name)
        planted = made(one, Seed(seed), quick=quick)
        models.append(model_of(one.name, planted))
        lines += held_to(one.name, planted, asked)
    return BenchmarkTable(tuple(models), tuple(lines), seed, quick, versions())


def made(one: Benchmark, seed: Seed, *, quick: bool) -> Planted:
    """The benchmark at its default size, or smaller."""
    place = seed.child("planted", one.family)
    if not quick:
        return one.make(place)
    return one.make(place, rows=QUICK_ROWS, train=one.quick) if one.quick else one.make(place, rows=QUICK_ROWS)


def _named(name: str) -> Benchmark:
    if name not in BENCHMARKS:
        raise InputError(f"no benchmark {name!r}; there are {', '.join(BENCHMARKS)}.")
    return BENCHMARKS[name]


def model_of(name: str, planted: Planted) -> BenchmarkModel:
    """What the table says of a benchmark and its model."""
    competence = planted.competence
    return BenchmarkModel(
        benchmark=name,
        agreement=planted.agreement,
        chance=_rounded(planted.chance),
        what=competence.what,
        share=_rounded(competence.share),
        low=_rounded(competence.interval.low),
        high=_rounded(competence.interval.high),
        needed=competence.needed,
        enough=competence.enough,
        beside={what: _rounded(number) for what, number in competence.beside.items()},
        meaning=planted.meaning,
        should=planted.should,
        rows=len(planted.case),
        parts=len(planted.case.features),
        sources=planted.sources,
    )


def held_to(name: str, planted: Planted, methods: Sequence[Method]) -> list[BenchmarkLine]:
    """Oracle and references, then the methods, on one benchmark."""
    references = {m.name: _tried(m, planted) for m in known("explain") if "reference" in m.claims}
    heights = [found for found in references.values() if not isinstance(found, str) and np.isfinite(found).any()]
    lines = [_line(name, "oracle", "oracle", agreement(planted.truth, planted), planted)]
    for what, found in references.items():
        lines.append(_answered(name, what, "reference", found, planted))
    for method in methods:
        if "reference" in method.claims:
            continue
        found = _tried(method, planted) if planted.competence.enough else _fits(method, planted)
        if isinstance(found, str) or planted.competence.enough:
            standing = None if isinstance(found, str) else stands(found, heights, planted)
            lines.append(_answered(name, method.name, standing or "not applicable", found, planted))
        else:
            why = f"{planted.competence.what}: {planted.competence.share:.2g}, needed {planted.competence.needed:g}"
            lines.append(BenchmarkLine(name, method.name, "not judged", None, None, None, len(planted.case), 0, why))
    return lines


def stands(found: PerRow, references: Sequence[PerRow], planted: Planted) -> Standing:
    """Beside each reference row by row, and beside chance, by 95 % BCa intervals of mean differences.

    Rows without an agreement count as chance, so that saying nothing wins nothing.
    """
    whole = np.where(np.isnan(found), planted.chance, found)
    above = [whole - np.where(np.isnan(other), planted.chance, other) for other in references]
    intervals = [bootstrap(gap, seed=planted.case.seed) for gap in above]
    if all(interval.low > 0 for interval in intervals):
        return "beats the references"
    own = bootstrap(whole - planted.chance, seed=planted.case.seed)
    if own.low > 0:
        return "beats chance"
    return "worse than chance" if own.high < 0 else "no better than chance"


def explained(method: Method, planted: Planted) -> Floats:
    """The method's values (row, part), asked with the benchmark's start, background and removal.

    ``CapabilityError`` where the case lacks what it needs, or the values are of a layer's units.
    """
    explanation = method.call(_asked(method, planted), **options_of(method, planted))
    if explanation.features.fingerprint != planted.case.features.fingerprint:
        raise CapabilityError(f"explain.{method.name} gives values of a layer's units, not of parts of the input.")
    return np.asarray(explanation.values)


def _asked(method: Method, planted: Planted) -> Case:
    """The benchmark's question, or, for methods that speak of a loss, the loss of the class explained.

    A copy of the case remembers no game, so that nothing depends on what was asked before.
    """
    if "loss" not in method.needs and method.name not in OF_LOSS:
        return replace(planted.case)
    if planted.case.model.gives == "values":
        raise CapabilityError(f"explain.{method.name} speaks of a loss; the benchmark's model gives values.")
    return replace(planted.case.with_target("loss", planted.case.label))


def options_of(method: Method, planted: Planted) -> dict[str, Any]:
    """What a benchmark chooses of a method's options."""
    if "members" in method.options:
        raise CapabilityError(f"explain.{method.name} is made of other explanations.")
    learns = bool({"held_out", "bins", "points"} & set(method.options))
    chosen = {
        "start": planted.start,
        "background": planted.plenty if learns else planted.background,
        "comparison": planted.background,
        "remove": planted.remove,
        "read": "mean",
        "budget": planted.budget,
    }
    given = {name: value for name, value in chosen.items() if name in method.options}
    if "over" in method.options and isinstance(method.options["over"].default, Line):
        given["over"] = Line(planted.start)
    return given


def _tried(method: Method, planted: Planted) -> PerRow | str:
    """The agreement (row,), or why there is none."""
    try:
        if method.name != "random":
            return agreement(explained(method, planted), planted)
        seeds = [planted.case.seed.child("chance", draw) for draw in range(DRAWS)]
        cases = [replace(planted, case=replace(planted.case, seed=seed)) for seed in seeds]
        return np.asarray(np.mean([agreement(explained(method, one), one) for one in cases], axis=0))
    except AssayError as error:
        return str(error)


def _fits(method: Method, planted: Planted) -> PerRow | str:
    """Nothing yet, or why the method cannot be asked."""
    try:
        options_of(method, planted)
        check(method, _asked(method, planted))
    except CapabilityError as error:
        return str(error)
    return np.full(len(planted.case), np.nan)


def _answered(name: str, what: str, standing: Standing, found: PerRow | str, planted: Planted) -> BenchmarkLine:
    if isinstance(found, str):
        return BenchmarkLine(name, what, "not applicable", None, None, None, len(planted.case), 0, found)
    return _line(name, what, standing, found, planted)


def _line(name: str, what: str, standing: Standing, found: PerRow, planted: Planted) -> BenchmarkLine:
    held = found[~np.isnan(found)]
    interval = bootstrap(held, seed=planted.case.seed)
    average = float(held.mean()) if len(held) else float("nan")
    mean, low, high = (None if np.isnan(one) else _rounded(one) for one in (average, interval.low, interval.high))
    return BenchmarkLine(name, what, standing, mean, low, high, len(found), len(found) - len(held))


def _rounded(number: float) -> float:
    """Four digits, so that rounding on another machine does not show."""
    return float(f"{number:.4f}") + 0.0
