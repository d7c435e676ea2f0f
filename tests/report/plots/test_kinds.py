"""What holds for every kind of plot: which a result gets, errors, hostile text, same bytes, matplotlib axes."""

from __future__ import annotations

import re
import sys
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.report.extreme_records import empty
from tests.report.plots.drawn import (
    CURVE,
    all_of,
    compared,
    curved,
    explained,
    paired,
    parsed,
    pictures,
    removed,
    rows_of,
    scored,
    table,
    texts,
    things,
    units,
    words_of,
)

import assay
from assay.auditing.run import Run
from assay.basics.errors import InputError, MissingExtra
from assay.nouns.inputs.features import Features
from assay.report.plots.choose import KINDS, NAMES
from assay.report.plots.elements import columns, fit

THINGS = things()
HOSTILE = "</text><script>alert(1)</script>\x1b[31m\x00&\"'\u202e$x^2$"


@pytest.mark.parametrize(
    ("thing", "kind"),
    [
        (table(1), "waterfall"),
        (replace(table(1), base=np.array([np.nan])), "bar"),
        (table(5), "beeswarm"),
        (units(), "beeswarm"),
        (pictures(), "heat map"),
        (texts(), "coloured text"),
        (curved(np.ones((1, 1, 2)), [[0.0, 1.0]]), "dependence"),
        (paired(), "interaction matrix"),
        (table().mean(), "bar"),
        (removed([[1.0, 0.0]]), "removal curve"),
        (scored([1.0, 2.0]), "beeswarm"),
        (compared(), "critical difference"),
        (THINGS["attacked rows"][0], "attacked rows"),
        (THINGS["radius curve"][0], "radius curve"),
    ],
)
def test_a_result_gets_the_usual_kind_without_asking(thing: Any, kind: str) -> None:
    assert thing.plot().kind == kind
    assert assay.plot(thing).svg == thing.plot().svg


def test_every_kind_of_every_type_is_tested() -> None:
    assert {kind for _, kind in THINGS.values()} == set(NAMES)
    tested = {(type(thing), kind) for thing, kind in THINGS.values()}
    assert {(kind.of, kind.name) for kind in KINDS} <= tested


@pytest.mark.parametrize("spelling", ["critical_difference", "Critical-Difference", "critical difference"])
def test_a_kind_may_be_written_with_other_separators(spelling: str) -> None:
    assert compared().plot(spelling).kind == "critical difference"


def test_an_unknown_kind_names_all_kinds_and_those_that_are_possible() -> None:
    with pytest.raises(
        InputError, match=r"kind='pie' is unknown; kinds are .*heat map.*; this Explanation can be plotted"
    ):
        table().plot("pie")


@pytest.mark.parametrize("name", NAMES)
def test_a_kind_that_a_result_cannot_give_names_what_it_needs_and_what_is_possible(name: str) -> None:
    odd = replace(units(1), base=np.array([np.nan]))  # no base, one row, no cells, no curves
    if name == "bar":
        assert odd.plot(name).kind == name
        return
    with pytest.raises(InputError, match=rf"kind='{name}' needs .*; this Explanation can be plotted as bar\."):
        odd.plot(name)


def test_an_unknown_option_names_the_options_of_the_kind() -> None:
    with pytest.raises(InputError, match="depth: a plot of kind 'waterfall' has the options row and most"):
        table(1).plot(depth=3)
    with pytest.raises(InputError, match="has no options"):
        scored([1.0]).plot(row=0)


def test_other_things_are_refused() -> None:
    with pytest.raises(InputError, match=r"plot takes AttackResult, Certificate, .*; got list"):
        assay.plot([1, 2])


@pytest.mark.parametrize("name", THINGS)
def test_the_same_result_gives_the_same_bytes(name: str) -> None:
    thing, kind = THINGS[name]
    again, _ = things()[name]
    assert assay.plot(thing, kind).svg == assay.plot(again, kind).svg


def with_text(thing: Any, text: str) -> Any:
    """The thing with ``text`` in place of every text of a user, at any depth."""
    if isinstance(thing, Features):
        return replace(thing, names=tuple(f"{text}{i}" for i in range(len(thing.names))))
    if isinstance(thing, tuple) and all(isinstance(item, str) for item in thing):
        return tuple(f"{text}{i}" if item else "" for i, item in enumerate(thing))
    if isinstance(thing, tuple):
        return tuple(with_text(item, text) for item in thing)
    if is_dataclass(thing) and not isinstance(thing, type) and hasattr(thing, "provenance"):
        names = ("features", "ids", "labels", "part_texts", "theorem", "of", "description")
        changed = {f.name: with_text(getattr(thing, f.name), text) for f in fields(thing) if f.name in names}
        if thing is THINGS["dependence of rows"][0]:
            changed["part_texts"] = thing.part_texts  # its columns are numbers
        provenance = replace(thing.provenance, target=text, method=text)
        return replace(thing, **changed, provenance=provenance)
    if hasattr(thing, "scores"):
        (scored_,) = thing.scores.values()
        hostile = replace(scored_, score=text, ranking=_renamed(scored_.ranking, text))
        return replace(thing, methods=with_text(thing.methods, text), scores={text: hostile})
    if hasattr(thing, "stability"):
        subjects = tuple(replace(one, name=text) for one in thing.subjects)
        lines = {n: tuple(replace(one, subject=text) for one in getattr(thing, n)) for n in ("stability", "accuracy")}
        return replace(thing, subjects=subjects, **lines)
    if hasattr(thing, "lines"):
        return replace(thing, lines=tuple(replace(one, recipe=text) for one in thing.lines))
    if hasattr(thing, "names"):
        return replace(thing, names=with_text(thing.names, text))
    return f"{text}" if isinstance(thing, str) else thing


def _renamed(ranking: Any, text: str) -> Any:
    return replace(ranking, methods=with_text(ranking.methods, text), groups=(with_text(ranking.groups[0], text),))


@pytest.mark.parametrize("name", THINGS)
def test_hostile_text_stays_text_and_nothing_is_loaded(name: str) -> None:
    thing, kind = THINGS[name]
    options = {"title": HOSTILE} if kind == "calibration" else {}
    plot = assay.plot(with_text(thing, HOSTILE), kind, **options)
    for svg in (plot.svg, plot._repr_html_()):
        assert "alert(1)" in svg
        assert not re.search("[\x00-\x08\x0b-\x1f\u202e]", svg)
        assert {e.rpartition("}")[2] for e in (element.tag for element in parsed(svg).iter())} <= {
            "div", "p", "b", "span", "small", "svg", "style", "title", "g", "text", "rect", "line", "circle", "path",
            "image",
        }  # fmt: skip
        links = [value for e in parsed(svg).iter() for key, value in e.attrib.items() if "href" in key]
        assert all(link.startswith("data:image/png") for link in links)
        assert not [key for e in parsed(svg).iter() for key in e.attrib if key.startswith("on")]


@pytest.mark.parametrize(
    "name", [n for n, (t, kind) in THINGS.items() if not hasattr(t, "scores") and kind != "waterfall"]
)
def test_results_without_a_single_number_are_drawn(name: str) -> None:
    thing, kind = THINGS[name]
    if kind == "calibration":
        gone: Any = {key: [np.nan] * 3 for key in CURVE}
    else:
        names = ("values", "stderr", "low", "high", "bounds", "extra")
        gone = replace(thing, **{n: _all_nan(getattr(thing, n)) for n in names if hasattr(thing, n)})
    svg = parsed(assay.plot(gone, kind))
    numbers = [v for e in svg.iter() for k, v in e.attrib.items() if k in ("x", "y", "width", "cx", "cy", "x1", "d")]
    assert not [v for v in numbers if "nan" in v.lower() or "inf" in v.lower()]


def _all_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: v if k in ("grid", "removed", "label") else np.full_like(v, np.nan) for k, v in value.items()}
    return None if value is None else np.full_like(value, np.nan)


@pytest.mark.parametrize("name", THINGS)
def test_text_stays_inside_a_width_of_320_pixels(name: str) -> None:
    thing, kind = THINGS[name]
    for text in all_of(parsed(assay.plot(with_text(thing, "wide Name " * 9), kind)), "text"):
        if "textLength" in text.attrib:
            continue
        words = [t for t in (text.text, *(child.tail for child in text)) if t]
        size, at = float(text.attrib["font-size"]), float(text.attrib["x"].removesuffix("%")) * 3.2
        width = columns("".join(words)) * 0.52 * size
        left = {"start": at, "middle": at - width / 2, "end": at - width}[text.attrib.get("text-anchor", "start")]
        assert left > -6
        assert left + width < 330


def test_a_file_is_complete_and_follows_dark_mode_and_a_cell_has_the_page_s_colours(tmp_path: Path) -> None:
    plot = table().plot()
    path = plot.save(tmp_path / "plot.svg")
    assert path.read_text(encoding="utf-8") == plot.svg == plot._repr_svg_()
    assert "prefers-color-scheme:dark" in plot.svg
    assert "<style" not in plot._repr_html_()
    assert 'fill="currentColor"' in plot._repr_html_()


def test_files_of_other_formats_and_in_missing_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"save writes .svg files; got 'a.png'"):
        table().plot().save(tmp_path / "a.png")
    with pytest.raises(InputError, match="does not exist"):
        table().plot().save(tmp_path / "none" / "a.svg")


def test_an_audit_is_plotted_by_its_comparison_or_one_explanation() -> None:
    found = {"random": table(), "shapley": table(3)}
    certificates = {"mus": THINGS["radius curve"][0]}
    run = Run(replace(empty(), explanations=found, references=("random",), certificates=certificates))
    assert run.plot().svg == run.plot(explanation="shapley").svg == found["shapley"].plot().svg
    assert run.plot("bar", explanation="shapley", most=3).kind == "bar"
    assert run.plot("radius curve").title.startswith("MuS of")
    with_ranks = Run(replace(run.record, comparison=compared()))
    assert with_ranks.plot().svg == compared().plot().svg
    assert with_ranks.plot("bar", score="deletion").svg == compared().plot("bar").svg


def test_the_removal_curves_of_an_audit_are_one_a_method() -> None:
    scores = {(name, "deletion"): removed([[3.0, 0.0], [1.0, 0.0]], of=name) for name in ("shapley", "lime")}
    run = Run(replace(empty(), scores=scores, explanations={"shapley": table()}))
    plot = run.plot("removal curve")
    assert [line.name for line in plot.panels[0].lines] == ["shapley", "lime"]
    assert run.plot("removal curve", score="deletion").svg == plot.svg
    assert [line.name for line in run.plot("removal curve", explanation="shapley").panels[0].lines] == ["shapley"]


def test_an_audit_names_what_it_lacks() -> None:
    run = Run(replace(empty(), explanations={"shapley": table()}, scores={("shapley", "deletion"): scored([1.0])}))
    with pytest.raises(InputError, match=r"explanation='magic'; the audit has .*shapley"):
        run.plot(explanation="magic")
    with pytest.raises(InputError, match=r"score='magic'; the audit has .*deletion"):
        run.plot("removal curve", score="magic")
    with pytest.raises(InputError, match=r"kind='heat map' needs images .*; this audit can be plotted as"):
        run.plot("heat map")
    with pytest.raises(InputError, match="no explanations, scores or certificates"):
        Run(empty()).plot()


@pytest.mark.parametrize("name", THINGS)
def test_every_kind_is_drawn_on_matplotlib_axes(name: str) -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    thing, kind = THINGS[name]
    plot = assay.plot(with_text(thing, "$a_{b$ "), kind)
    made = plot.axes()
    axes = made if isinstance(made, tuple) else (made,)
    axes[0].figure.draw_without_rendering()
    pyplot.close("all")
    assert all(ax.has_data() or ax.texts for ax in axes)


def test_the_bars_on_axes_are_those_of_the_result() -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    one = explained([[0.5, -2.0, 1.0, 0.25]])
    figure, ax = pyplot.subplots()
    assert one.plot("bar").axes(ax) is ax
    assert [bar.get_width() for bar in ax.patches] == [-2.0, 1.0, 0.5, 0.25]
    assert "shapley of probability of yes" in ax.get_title()
    with pytest.raises(InputError, match="this plot has 1 panels; ax has 2 axes"):
        one.plot("bar").axes([ax, ax])
    pyplot.close(figure)


def test_axes_without_matplotlib_name_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(MissingExtra, match=r"pip install 'assay\[plot\]'"):
        table().plot().axes()


def test_a_plot_is_printed_by_kind_and_title() -> None:
    assert repr(table().plot()) == "Plot(beeswarm: shapley of probability of yes, 12 rows)"
    assert "shapley of probability of yes" in words_of(table().plot())
    assert rows_of(table().plot()).keys() == {"age", "income", "months", "amount"}


def test_text_is_cut_to_the_columns_it_may_take() -> None:
    assert fit("short", 10) == "short"
    assert fit("a long text that goes on", 10) == "a long t…"
    assert columns(fit("長い言葉です", 8)) <= 8


def test_the_documentation_has_every_kind() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "plots.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([a-z ]+)` \|", page, re.MULTILINE)) == set(NAMES)
