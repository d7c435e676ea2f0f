"""The page of the planted-truth suite: competence first, the reading, scales, orders, and names that stay text."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from tests.report.page import Page
from tests.report.planted import alone, evil_table, line, model, nothing, planted

from assay.nouns.comparisons.benchmark_table import BenchmarkTable
from assay.report.benchmark.charts import leaders, scales, spread
from assay.report.benchmark.model_checks import competences
from assay.report.benchmark.page import benchmarked, to_html
from assay.report.benchmark.rank_reversals import differing, orders
from assay.report.benchmark.summary import headline, sayings, tallies
from assay.report.drawing.svg import Axis

PAYLOAD = "</title><script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


def said(table: BenchmarkTable) -> list[str]:
    return [saying.text for saying in sayings(table, orders(table))]


def many(names: list[str], *heights: dict[str, float]) -> BenchmarkTable:
    """Methods at these heights, one benchmark each, with intervals of ± 0.02."""
    lines = [
        line(name, method, "beats chance", mean)
        for name, means in zip(names, heights, strict=True)
        for method, mean in means.items()
    ]
    return BenchmarkTable(tuple(map(model, names)), tuple(lines), 0, True)


def test_the_page_is_whole_holds_everything_and_runs_nothing() -> None:
    page = Page(benchmarked(planted()))
    assert (page.open, page.wrong) == ([], [])
    assert {"script", "link", "iframe", "img"} & {tag for tag, _ in page.elements} == set()
    assert "default-src 'none'" in next(m["content"] for m in page.all("meta") if "http-equiv" in m)
    assert page.source == benchmarked(planted())


def test_it_says_what_was_asked_and_how_to_ask_again() -> None:
    text = Page(benchmarked(planted())).text
    assert "profile quick: smaller, fewer rows seed 7 benchmarks 3 methods 5, beside 4 references" in text
    assert "versions python 3.11.7, assay 0.1.0" in text
    assert "assay benchmark --quick --seed 7 --only tag-1 --only words --only tag-0 --out planted.html" in text
    assert "profile full" in Page(benchmarked(replace(planted(), quick=False))).text


def test_models_stand_before_methods_and_those_left_out_come_first() -> None:
    assert [c.model.benchmark for c in competences(planted())] == ["tag-0", "tag-1", "words"]
    page = benchmarked(planted())
    assert page.index("Do the models use") < page.index("Methods over all") < page.index("Benchmark by benchmark")
    text = Page(page).text
    assert "left out tag 0 : texts that tag-0 turns" in text
    assert "0.45 [0.40, 0.50] needs ≥ 0.80" in text
    assert "Explained: 10 rows of 12 parts. Measured beside: accuracy 0.93." in text
    assert "Sanity Checks for Saliency Maps. NeurIPS 2018. nowhere2030" in text


def test_models_are_drawn_along_one_axis() -> None:
    dashed = {re.search(r'class="threshold" x1="([\d.]+)%"', c.figure)[1] for c in competences(planted())}
    assert len(dashed) == 1


def test_the_reading_tells_who_is_told_from_chance_and_on_how_many() -> None:
    assert headline(planted()) == (
        "2 of 3 models use what was planted; 1 of 3 methods is told from chance wherever judged."
    )
    told = said(planted())
    assert told[0] == (
        "Left out, since the model is not shown to use what was planted: tag 0 (texts that tag-0 turns: 0.45 "
        "[0.40, 0.50], needed 0.8)."
    )
    assert told[1:5] == [
        "Told from chance wherever judged, 1 method: shapley (2 of 2).",
        "On some benchmarks only, 1 method: saliency (1 of 2).",
        "Nowhere told from chance, 1 method: lime (0 of 2).",
        "Worse than chance: lime on tag 1.",
    ]
    assert told[6] == "2 methods could be judged on no benchmark."
    assert "Of 6 comparisons with chance about 0.1 would" in told[7]


def test_a_model_left_out_judges_no_method_even_where_its_lines_do() -> None:
    lines = (line("tag-0", "lime", "beats the references", 0.9),)
    tally = tallies(BenchmarkTable((model("tag-0", low=0.4),), lines, 0, True))[0]
    assert (tally.judged, tally.told) == (0, 0)


def test_methods_that_are_told_from_chance_everywhere_stand_first() -> None:
    assert [t.method for t in tallies(planted())] == ["shapley", "saliency", "lime", "cam", "ice"]
    assert [(t.told, t.judged, t.above) for t in tallies(planted())][:2] == [(2, 2, 1), (1, 2, 1)]


def test_a_scale_stands_best_first_with_references_at_their_place_and_undefined_last() -> None:
    tag, words = scales(planted())[0], scales(planted())[2]
    assert [s.name for s in tag.lines] == ["oracle", "saliency", "input_itself", "shapley", "random", "lime"]
    assert [s.name for s in words.lines][-1] == "constant"
    assert tag.marks == "Dashed: chance 0.50; grey ticks: oracle 1.00, input itself 0.70, random 0.51."
    assert tag.first == "First: saliency, its interval apart from all others’."
    assert tag.unsuited == (("cam and ice", "needs gradients; trees give none."),)


def test_families_stand_together() -> None:
    assert [(s.model.benchmark, s.family) for s in scales(planted())] == [
        ("tag-1", "tag"), ("tag-0", "tag"), ("words", ""),
    ]  # fmt: skip


def test_rows_without_an_agreement_are_told_in_words() -> None:
    words = scales(planted())[2]
    assert words.undefined == (
        "saliency: no agreement on 3 of 10 rows (all its values are equal, or one is not finite). The mean is that of "
        "the 7 other rows; beside chance and the references such a row counts as chance.",
        "constant: no agreement on any of 10 rows (all its values are equal, or one is not finite); it counts as "
        "chance.",
    )
    assert "undefined" in Page(benchmarked(planted())).text


def test_dot_bar_chance_and_references_are_drawn_where_they_lie() -> None:
    axis = Axis(0.0, 1.0)
    drawn = spread(line("tag-1", "lime", "worse than chance", 0.3), axis, 0.5, [0.7])
    assert 'class="strip fail"' in drawn
    assert 'class="dot" cx="30.00%"' in drawn
    assert 'class="interval" x1="28.00%" x2="32.00%"' in drawn
    assert 'class="threshold" x1="50.00%"' in drawn
    assert 'class="tick" x1="70.00%"' in drawn
    assert "0.30 [0.28, 0.32]" in drawn
    assert 'class="base"' in spread(line("tag-1", "random", "reference", 0.5), axis, 0.5, [])


def test_what_is_undefined_is_not_drawn_and_a_mean_without_an_interval_says_so() -> None:
    axis = Axis(0.0, 1.0)
    assert spread(line("words", "constant", "reference"), axis, 0.5, []) == ""
    drawn = spread(alone().lines[0], axis, 0.5, [])
    assert 'class="interval"' not in drawn
    assert 'class="dot"' in drawn
    page = Page(benchmarked(alone()))
    assert "0.40 no interval" in page.text
    assert "nan" not in page.text
    assert (page.open, page.wrong) == ([], [])


def test_one_method_without_references() -> None:
    (scale,) = scales(alone())
    assert scale.first == "First: shapley."
    assert scale.marks == "Dashed: chance 0.50; the table holds no references."
    assert headline(alone()).endswith("0 of 1 method is told from chance wherever judged.")
    assert orders(alone()) == ()
    assert "nothing can be told about order" in Page(benchmarked(alone())).text


def test_a_leader_is_tied_with_those_whose_interval_reaches_its_own() -> None:
    close = [line("words", name, "beats chance", mean, 0.02) for name, mean in (("a", 0.9), ("b", 0.87), ("c", 0.8))]
    assert leaders(close) == ("a", "b")
    assert leaders([]) == ()


def test_an_order_is_turned_round_where_whole_intervals_stand_the_other_way() -> None:
    (order,) = orders(planted())
    assert (order.one, order.two) == ("tag 1", "words")
    assert (order.turned, order.decided) == (1, 2)
    assert order.cited == ("saliency above shapley in tag 1, below it in words",)
    assert order.loosely == pytest.approx(1 / 3)
    assert differing((order,)).startswith("Of 2 orders of two methods that intervals tell apart on two families, 1 ")


def test_orders_that_only_means_turn_round_are_not_called_turned() -> None:
    (order,) = orders(many(["a", "b"], {"x": 0.50, "y": 0.51}, {"x": 0.51, "y": 0.50}))
    assert (order.turned, order.decided, order.loosely) == (0, 0, 1.0)
    assert differing((order,)).startswith("No two methods are told apart on two families")
    steady = orders(many(["a", "b"], {"x": 0.9, "y": 0.5}, {"x": 0.8, "y": 0.1}))
    assert differing(steady).startswith("No order of two methods that intervals tell apart on two families is turned")


def test_a_family_that_contradicts_itself_orders_nothing() -> None:
    both = {"x": 0.9, "y": 0.5}, {"x": 0.5, "y": 0.9}
    (order,) = orders(many(["a-1", "a-2", "a-3", "b"], *both, {"x": 0.5, "y": 0.9, "z": 0.1}, {"x": 1, "y": 0, "z": 2}))
    assert order.decided == 2
    assert order.turned == 2
    assert all("z" in told for told in order.cited)


def test_the_clearest_turn_is_cited_first() -> None:
    (order,) = orders(
        many(["a", "b"], {"v": 0.9, "w": 0.8, "x": 0.7, "y": 0.1}, {"v": 0.1, "w": 0.3, "x": 0.5, "y": 1})
    )
    assert order.cited == (
        "v above y in a, below it in b",
        "w above x in a, below it in b",
    )


def test_nothing_asked_is_told() -> None:
    page = Page(benchmarked(nothing()))
    assert (page.open, page.wrong) == ([], [])
    assert "No benchmark was made." in page.text
    assert "No method was asked." in page.text


def test_hostile_text_stays_text() -> None:
    page = Page(benchmarked(evil_table(PAYLOAD)))
    assert (page.open, page.wrong) == ([], [])
    assert {"script", "img"} & {tag for tag, _ in page.elements} == set()
    assert "onerror" not in {name for _, attributes in page.elements for name in attributes}
    assert page.text.count("alert(1)") > 30


def test_the_command_to_ask_again_is_quoted_for_a_shell() -> None:
    page = Page(benchmarked(BenchmarkTable((model("a; rm -rf /"),), (), 0, False)))
    assert "--only 'a; rm -rf /' --out" in page.text


def test_the_page_is_written(tmp_path) -> None:
    place = to_html(planted(), tmp_path / "planted.html")
    assert place.read_text(encoding="utf-8") == benchmarked(planted())


def test_a_real_benchmark_is_drawn_and_says_its_versions() -> None:
    pytest.importorskip("sklearn")
    from assay.planted import benchmark

    table = benchmark(only=["table-trees"], methods=["tree_shapley", "occlusion", "saliency"], quick=True)
    text = Page(benchmarked(table)).text
    assert f"assay {table.versions['assay']}" in text
    assert "1 of 1 model uses what was planted; 2 of 2 methods are told from chance wherever judged." in text
    assert "beats the references tree shapley" in text
    assert "saliency : needs gradients;" in text.replace("saliency:", "saliency :")
