"""Benchmark tables by hand: two families and an excluded model; an empty table; hostile texts."""

from __future__ import annotations

import math
from dataclasses import replace

from assay.nouns.comparisons.benchmark_table import BenchmarkLine, BenchmarkModel, BenchmarkTable, BenchmarkVerdict


def model(name: str, *, low: float = 0.9, agreement: str = "auc", chance: float = 0.5) -> BenchmarkModel:
    """A model that uses the planted feature on a share of ``low`` + 0.05, where 0.8 is needed."""
    return BenchmarkModel(
        benchmark=name,
        agreement=agreement,
        chance=chance,
        what=f"texts that {name} turns",
        share=low + 0.05,
        low=low,
        high=low + 0.1,
        needed=0.8,
        is_sufficient=low >= 0.8,
        other_measures={"accuracy": 0.931},
        meaning="what the trigger adds",
        should="give the trigger more than any other word",
        rows=10,
        parts=12,
        sources=("adebayo2018", "nowhere2030"),
    )


def line(
    benchmark: str,
    method: str,
    verdict: BenchmarkVerdict,
    mean: float | None = None,
    half: float = 0.02,
    left_out: int = 0,
) -> BenchmarkLine:
    """A line with an interval of ``half`` on both sides of its mean."""
    low, high = (None, None) if mean is None else (mean - half, mean + half)
    why = f"explain.{method} needs gradients; trees give none." if verdict == "not applicable" else ""
    return BenchmarkLine(benchmark, method, verdict, mean, low, high, 10, left_out, why)


def planted() -> BenchmarkTable:
    """Saliency is best on tags, Shapley on words; lime is at or below chance; the third model does not use its cue."""
    models = (model("tag-1"), model("words", agreement="rank", chance=0.0), model("tag-0", low=0.4))
    lines = [
        line("tag-1", "oracle", "oracle", 1.0, 0.0),
        line("tag-1", "random", "reference", 0.51),
        line("tag-1", "input_itself", "reference", 0.7),
        line("tag-1", "saliency", "beats the references", 0.95),
        line("tag-1", "shapley", "beats chance", 0.68, 0.05),
        line("tag-1", "lime", "worse than chance", 0.3),
        line("tag-1", "cam", "not applicable"),
        line("tag-1", "ice", "not applicable"),
        line("words", "oracle", "oracle", 1.0, 0.0),
        line("words", "random", "reference", 0.01),
        line("words", "constant", "reference", None, left_out=10),
        line("words", "saliency", "no better than chance", 0.1, 0.2, left_out=3),
        line("words", "shapley", "beats the references", 0.9),
        line("words", "lime", "no better than chance", -0.05, 0.2),
        line("words", "cam", "not applicable"),
        line("words", "ice", "not applicable"),
        line("tag-0", "oracle", "oracle", 1.0, 0.0),
        line("tag-0", "random", "reference", 0.5),
        *(line("tag-0", method, "not judged") for method in ("saliency", "shapley", "lime", "cam", "ice")),
    ]
    return BenchmarkTable(models, tuple(lines), 7, True, {"python": "3.11.7", "assay": "0.1.0"})


def nothing() -> BenchmarkTable:
    """No benchmark at all."""
    return BenchmarkTable((), (), 0, False)


def alone() -> BenchmarkTable:
    """One benchmark, one method, no references, and an interval that is not defined."""
    only = replace(line("words", "shapley", "no better than chance", 0.4), low=math.nan, high=math.nan, rows=1)
    return BenchmarkTable((replace(model("words"), rows=1, sources=()),), (only,), 0, False)


def evil_table(text: str) -> BenchmarkTable:
    """Every text is ``text``, on two benchmarks."""
    names = (f"{text}one", f"{text}two")
    whole = planted()
    models = tuple(
        replace(
            m,
            benchmark=n,
            agreement=text,
            what=text,
            other_measures={text: 1.0},
            meaning=text,
            should=text,
            sources=(text,),
        )
        for n, m in zip(names, whole.models[:2], strict=True)
    )
    renamed = dict(zip(("tag-1", "words"), names, strict=True))
    lines = tuple(
        replace(x, benchmark=renamed[x.benchmark], method=f"{x.method}{text}", why=text)
        for x in whole.lines
        if x.benchmark in renamed
    )
    return BenchmarkTable(models, lines, 0, True, {text: text})
