"""Results to plot, and reading a plot's SVG back as numbers."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import Any

import numpy as np
from tests.nouns.specimens import attack_result

from assay.basics.seed import Seed
from assay.basics.stats import Interval
from assay.nouns.comparisons.method_comparison import MethodComparison, Ranking, Scored
from assay.nouns.comparisons.mus_experiment import AccuracyLine, MusExperiment, MusSubject, StabilityLine
from assay.nouns.comparisons.shift_experiment import MEASURES, ShiftExperiment, ShiftLine
from assay.nouns.inputs.features import Features, columns, elements, integer_map
from assay.nouns.results.result import Certificate, Explanation, Provenance, Score

SVG = "{http://www.w3.org/2000/svg}"
DRAW = np.random.default_rng(0)
NAMES = ("age", "income", "months", "amount")


def provenance(method: str = "shapley") -> Provenance:
    return Provenance(method, "explain", {}, Seed(0), "probability of yes", "m", "r", "f", {}, "cpu", {})


def explained(values: Any, features: Features | None = None, **fields: Any) -> Explanation:
    """An explanation of these values (row, part), complete, of numeric columns unless told otherwise."""
    values = np.asarray(values, dtype=np.float64)
    rows, parts = values.shape
    x = np.arange(rows * parts, dtype=np.float64).reshape(rows, parts) / 4
    known: dict[str, Any] = {
        "stderr": None,
        "base": np.full(rows, 0.5),
        "output": 0.5 + values.sum(axis=1),
        "ids": tuple(f"r{i}" for i in range(rows)),
        "x": x,
        "part_texts": tuple(tuple(f"{v:.6g}" for v in row) for row in x),
    }
    features = columns((*NAMES, *map(str, range(4, parts)))[:parts]) if features is None else features
    return Explanation(provenance(fields.pop("method", "shapley")), (), values, features=features, **known | fields)


def table(rows: int = 12, parts: int = 4, **fields: Any) -> Explanation:
    return explained(np.random.default_rng(rows).normal(size=(rows, parts)), **fields)


def curved(curves: Any, grid: Any, method: str = "partial_dependence", **extra: Any) -> Explanation:
    """Curves (label, part, point) at grid (part, point)."""
    curves, grid = np.asarray(curves, dtype=np.float64), np.asarray(grid, dtype=np.float64)
    found = {"curve": curves, "grid": grid, "label": np.arange(len(curves), dtype=np.float64), **extra}
    return explained(np.ones((3, len(grid))), method=method, extra=found)


def pictures(values: Any = None, side: int = 8) -> Explanation:
    """Pictures of one channel in patches of half the side."""
    rows = 2 if values is None else len(values)
    index = np.kron(np.arange(4).reshape(2, 2), np.ones((side // 2, side // 2), dtype=int))[None]
    found = np.array([[1.0, -0.5, 0.0, 0.25]] * rows) if values is None else values
    x = np.linspace(0, 1, rows * side * side).reshape(rows, 1, side, side)
    return explained(found, integer_map(index), x=x, part_texts=())


def texts(values: Any = ((0.5, -1.0, 0.0), (0.25, 0.0, 0.0))) -> Explanation:
    """Two texts of three and two words."""
    found = np.asarray(values, dtype=np.float64)
    features = Features(np.array([[0, 1, 2], [0, 1, -1]]), ("w0", "w1", "w2"), per_row=True)
    return explained(found, features, x=np.ones((2, 3)), part_texts=(("not", "a", "film"), ("so", "good", "")))


def paired(rows: int = 2, **fields: Any) -> Explanation:
    half = np.random.default_rng(4).normal(size=(rows, 4, 4))
    return explained(np.ones((rows, 4)), extra={"pairs": half + half.swapaxes(1, 2)}, **fields)


def scored(values: Any, of: str = "shapley", method: str = "deletion", **extra: Any) -> Score:
    values = np.asarray(values, dtype=np.float64)
    return Score(provenance(method), (), values, tuple(map(str, range(len(values)))), "lower", of, extra=extra)


def removed(curve: Any, **fields: Any) -> Score:
    """A score with a removal curve (row, point) at equal shares."""
    curve = np.asarray(curve, dtype=np.float64)
    share = np.tile(np.linspace(0, 1, curve.shape[1]), (len(curve), 1))
    return scored(curve.mean(axis=1), removed=share, curve=curve, **fields)


def certified(bounds: Any) -> Certificate:
    found = np.asarray(bounds, dtype=np.float64)
    ids = tuple(map(str, range(len(found))))
    text, none = "a theorem", np.isnan(found)
    worth = {"guarantee": "exact", "unit": "features", "certified": "the model", "agreement": 1.0}
    found = {"incremental": found}
    return Certificate(provenance("mus"), (), found, ids, none, text, (), 1.0, 64, **worth, histogram=np.ones(1))


def compared(names: tuple[str, ...] = ("shapley", "lime", "random")) -> MethodComparison:
    count = len(names)
    average, zero = np.array([1.25, 1.75, 3.0][:count]), np.zeros(count)
    ranking = Ranking(names, average, 9.0, 0.01, 0.5, (names[:2],), 0.5, 0.4, np.eye(count), 0.1, 30, 0)
    means = np.array([0.2, 0.3, 0.7][:count])
    intervals = tuple(Interval(m - 0.05, m + 0.1, 0.95, "t") for m in means)
    rest = (zero,) * 8
    found = Scored("deletion", "lower", np.zeros((30, count)), means, intervals, *rest, 0.1, (), ranking)
    ids = tuple(map(str, range(30)))
    return MethodComparison(names, ids, {"deletion": found}, {}, 30, 0.95, np.eye(1), np.eye(1))


def units(rows: int = 5) -> Explanation:
    return explained(np.ones((rows, 3)), elements((3,)), part_texts=())


CURVE = {"predicted": [0.1, 0.5, 0.9], "observed": [0.2, 0.5, 0.7], "count": [40, 10, 30]}


def things() -> dict[str, tuple[Any, str]]:
    """For each kind of plot, and each type of result that has it, a result and the kind."""
    grid = [[0.0, 1.0, 2.0]] * 4
    lines = {"lines": np.random.default_rng(1).normal(size=(3, 4, 3)), "grid": np.array(grid)}
    sampled = table(stderr=np.full((12, 4), 0.1))
    return {
        "bar of rows": (table(), "bar"),
        "bar of a row": (table(1, stderr=np.full((1, 4), 0.1)), "bar"),
        "bar of means": (sampled.mean(), "bar"),
        "bar of methods": (compared(), "bar"),
        "beeswarm": (table(), "beeswarm"),
        "beeswarm of a score": (scored([0.5, 0.25, 0.75]), "beeswarm"),
        "waterfall": (table(1, stderr=np.full((1, 4), 0.1)), "waterfall"),
        "heat map": (pictures(), "heat map"),
        "coloured text": (texts(), "coloured text"),
        "dependence of curves": (
            curved(np.ones((1, 4, 3)) * [0.0, 1.0, 3.0], grid, stderr=np.ones((1, 4, 3))),
            "dependence",
        ),
        "dependence of lines": (explained(np.ones((3, 4)), method="ice", extra=lines), "dependence"),
        "dependence of rows": (sampled, "dependence"),
        "interaction matrix": (paired(), "interaction matrix"),
        "removal curve": (removed([[3.0, 1.0, 0.0], [5.0, 2.0, 0.0]]), "removal curve"),
        "critical difference": (compared(), "critical difference"),
        "calibration": (CURVE, "calibration"),
        "attacked rows": (attack_result(), "attacked rows"),
        "radius curve": (certified([0.0, 1.0, 2.0, np.nan]), "radius curve"),
        "radius curve of smoothing": (smoothing_experiment(), "radius curve"),
        "accuracy curve of smoothing": (smoothing_experiment(), "accuracy curve"),
        "shift settings": (shift_experiment(), "shift settings"),
    }


def shift_experiment() -> ShiftExperiment:
    """Two settings, the second of unequal accuracy and without an interval."""
    lines = []
    for recipe, mean, low, high in (("relu", 0.8, 0.7, 0.9), ("softplus", 0.5, np.nan, np.nan)):
        means, intervals = dict.fromkeys(MEASURES, mean), dict.fromkeys(MEASURES, Interval(low, high, 0.95, "student"))
        shares = dict.fromkeys(MEASURES, mean / 2)
        unequal = recipe == "softplus"
        lines.append(ShiftLine(recipe, 0.0, None, 0.1, 2, 0.8, 0.8, unequal, means, intervals, shares, np.nan, np.nan))
    return ShiftExperiment(tuple(lines), "saliency", 10, 2, 0.95, 0)


def smoothing_experiment() -> MusExperiment:
    """One subject with two explanations at two λ, one of them searched, and its accuracy."""
    radii = {"consistent": (True, False, True), "incremental": (1.0, 1.0, 0.0), "incremental_ties": (1.0, 1.0, 1.0)}
    sides = {**radii, "decremental": (1.0, 0.0, 0.0), "decremental_ties": (1.0, 1.0, 0.0)}
    lines = [
        StabilityLine("digits", name, at, 1 / (2 * at), 2.0, **sides, attacked=found, exhaustive=(False,) * len(found))
        for at in (0.5, 0.25)
        for name, found in (("shapley", (2.0, np.nan, 1.0)), ("random", ()))
    ]
    rates = [AccuracyLine("digits", at, 10, hits, hits + 1, 0.9, (0.5, 0.5)) for at, hits in ((0.5, 8), (0.25, 5))]
    one = MusSubject("digits", "a net on digits", 3, 10, 8.0, "Constant(0.0)", 16, 99)
    return MusExperiment((one,), tuple(lines), tuple(rates), (), 0)


def parsed(plot: Any) -> ET.Element:
    """The SVG, of a plot or as text, as a tree."""
    return ET.fromstring(plot if isinstance(plot, str) else plot.svg)


def all_of(root: ET.Element, tag: str, having: str = "") -> list[ET.Element]:
    return [e for e in root.iter(SVG + tag) if not having or having in e.attrib]


def number(element: ET.Element, name: str) -> float:
    return float(element.attrib[name].removesuffix("%"))


def rows_of(plot: Any) -> dict[str, ET.Element]:
    """The rows of a panel of rows by their names."""
    return {g.attrib["data-name"]: g for g in all_of(parsed(plot), "g", "data-name")}


def points_of(plot: Any) -> dict[str, list[dict[str, float]]]:
    """The points of each line by its name, with data and positions."""
    return {
        g.attrib["data-line"]: [
            {name.removeprefix("data-"): number(c, name) for name in c.attrib if name.startswith(("data-", "c"))}
            for c in g.iter(SVG + "circle")
        ]
        for g in all_of(parsed(plot), "g", "data-line")
    }


def words_of(plot: Any) -> str:
    """All text that can be read."""
    return " ".join(text for e in all_of(parsed(plot), "text") for text in e.itertext())


def ticks_of(plot: Any) -> Iterator[tuple[float, float]]:
    """Position and number of each tick below a panel."""
    for text in all_of(parsed(plot), "text"):
        if (
            text.attrib["font-size"] == "11"
            and (text.text or "").replace("−", "-").replace(".", "").lstrip("-").isdigit()
        ):
            yield number(text, "x"), float((text.text or "").replace("−", "-"))


def assert_on_one_scale(positions: Any, values: Any, tolerance: float = 0.02) -> None:
    """Positions are one increasing linear function of the values."""
    positions, values = np.asarray(positions, dtype=float), np.asarray(values, dtype=float)
    slope, start = np.polyfit(values, positions, 1)
    assert slope > 0
    assert np.abs(start + slope * values - positions).max() < tolerance
