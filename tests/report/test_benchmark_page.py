"""The page of the planted-truth benchmark: model checks, summary, charts, rank reversals, escaped names."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from tests.report.benchmark_tables import alone, evil_table, line, model, nothing, planted
from tests.report.page import Page

from assay.nouns.comparisons.benchmark_table import BenchmarkTable
from assay.report.benchmark.charts import benchmark_charts, best_methods, draw_agreement
from assay.report.benchmark.model_checks import model_checks
from assay.report.benchmark.page import render_benchmark, to_html
from assay.report.benchmark.rank_reversals import describe_reversals, rank_reversals
from assay.report.benchmark.summary import headline, method_summaries, statements
from assay.report.drawing.svg import Axis

PAYLOAD = "</title><script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


def sentences(table: BenchmarkTable) -> list[str]:
    return [statement.text for statement in statements(table, rank_reversals(table))]


def many(names: list[str], *heights: dict[str, float]) -> BenchmarkTable:
    """Methods at these heights, one benchmark each, with intervals of ± 0.02."""
    lines = [
        line(name, method, "beats chance", mean)
        for name, means in zip(names, heights, strict=True)
        for method, mean in means.items()
    ]
    return BenchmarkTable(tuple(map(model, names)), tuple(lines), 0, True)


def test_the_page_is_whole_holds_everything_and_runs_nothing() -> None:
    page = Page(render_benchmark(planted()))
    assert (page.open, page.wrong) == ([], [])
    assert {"script", "link", "iframe", "img"} & {tag for tag, _ in page.elements} == set()
    assert "default-src 'none'" in next(m["content"] for m in page.all("meta") if "http-equiv" in m)
    assert page.source == render_benchmark(planted())


def test_it_has_the_settings_and_the_command_to_reproduce() -> None:
    text = Page(render_benchmark(planted())).text
    assert "profile quick: smaller benchmarks, fewer rows seed 7 benchmarks 3 methods 5 and 4 references" in text
    assert "versions python 3.11.7, assay 0.1.0" in text
    assert "assay benchmark --quick --seed 7 --only tag-1 --only words --only tag-0 --out planted.html" in text
    assert "profile full" in Page(render_benchmark(replace(planted(), quick=False))).text


def test_models_precede_methods_and_excluded_ones_come_first() -> None:
    assert [c.model.benchmark for c in model_checks(planted())] == ["tag-0", "tag-1", "words"]
    page = render_benchmark(planted())
    assert page.index("Do the models use") < page.index("Methods over all") < page.index(">Benchmarks</h2>")
    text = Page(page).text
    assert "excluded tag 0 : texts that tag-0 turns" in text
    assert "0.45 [0.40, 0.50] needs ≥ 0.80" in text
    assert "Explained: 10 rows of 12 features. Other measurements: accuracy 0.93." in text
    assert "Sanity Checks for Saliency Maps. NeurIPS 2018. nowhere2030" in text


def test_models_are_drawn_along_one_axis() -> None:
    dashed = {re.search(r'class="threshold" x1="([\d.]+)%"', c.figure)[1] for c in model_checks(planted())}
    assert len(dashed) == 1


def test_the_summary_has_the_methods_above_chance_and_on_how_many_benchmarks() -> None:
    assert headline(planted()) == (
        "2 of 3 models use the planted feature; 1 of 3 methods is above chance on every benchmark judged."
    )
    texts = sentences(planted())
    assert texts[0] == (
        "Excluded, because the model is not shown to use the planted feature: tag 0 (texts that tag-0 turns: 0.45 "
        "[0.40, 0.50], needed 0.8)."
    )
    assert texts[1:5] == [
        "Above chance on every benchmark judged (1 method): shapley (2 of 2).",
        "Above chance on some benchmarks (1 method): saliency (1 of 2).",
        "Above chance on no benchmark (1 method): lime (0 of 2).",
        "Below chance: lime on tag 1.",
    ]
    assert texts[6] == "2 methods could not be judged on any benchmark."
    assert "of 6 comparisons with chance, 0.1 are expected" in texts[7]


def test_an_excluded_model_judges_no_method() -> None:
    lines = (line("tag-0", "lime", "beats the references", 0.9),)
    summary = method_summaries(BenchmarkTable((model("tag-0", low=0.4),), lines, 0, True))[0]
    assert (summary.judged, summary.above_chance) == (0, 0)


def test_methods_above_chance_everywhere_come_first() -> None:
    assert [t.method for t in method_summaries(planted())] == ["shapley", "saliency", "lime", "cam", "ice"]
    assert [(t.above_chance, t.judged, t.above_references) for t in method_summaries(planted())][:2] == [
        (2, 2, 1),
        (1, 2, 1),
    ]


def test_a_chart_is_sorted_with_references_and_undefined_ones_last() -> None:
    tag, words = benchmark_charts(planted())[0], benchmark_charts(planted())[2]
    assert [s.name for s in tag.lines] == ["oracle", "saliency", "input_itself", "shapley", "random", "lime"]
    assert [s.name for s in words.lines][-1] == "constant"
    assert tag.legend == "Dashed: chance 0.50; grey ticks: oracle 1.00, input itself 0.70, random 0.51."
    assert tag.first == "Best: saliency; no other interval overlaps its own."
    assert tag.not_applicable == (("cam and ice", "needs gradients; trees give none."),)


def test_families_are_adjacent() -> None:
    assert [(s.model.benchmark, s.family) for s in benchmark_charts(planted())] == [
        ("tag-1", "tag"), ("tag-0", "tag"), ("words", ""),
    ]  # fmt: skip


def test_rows_without_an_agreement_are_described() -> None:
    words = benchmark_charts(planted())[2]
    assert words.undefined == (
        "saliency: agreement undefined on 3 of 10 rows (all values are equal, or one is not finite). The mean is over "
        "the 7 other rows; in the comparison with chance and the references such a row counts as chance.",
        "constant: agreement undefined on all of 10 rows (all values are equal, or one is not finite); counted as "
        "chance.",
    )
    assert "undefined" in Page(render_benchmark(planted())).text


def test_dot_bar_chance_and_references_are_at_their_positions() -> None:
    axis = Axis(0.0, 1.0)
    drawn = draw_agreement(line("tag-1", "lime", "worse than chance", 0.3), axis, 0.5, [0.7])
    assert 'class="strip fail thin"' in drawn
    assert 'class="dot" cx="30%"' in drawn
    assert 'class="interval" x1="28%" x2="32%"' in drawn
    assert 'class="threshold" x1="50%"' in drawn
    assert 'class="tick" x1="70%"' in drawn
    assert "0.30 [0.28, 0.32]" in drawn
    assert 'class="base"' in draw_agreement(line("tag-1", "random", "reference", 0.5), axis, 0.5, [])


def test_what_is_undefined_is_not_drawn_and_a_mean_without_an_interval_says_so() -> None:
    axis = Axis(0.0, 1.0)
    assert draw_agreement(line("words", "constant", "reference"), axis, 0.5, []) == ""
    drawn = draw_agreement(alone().lines[0], axis, 0.5, [])
    assert 'class="interval"' not in drawn
    assert 'class="dot"' in drawn
    page = Page(render_benchmark(alone()))
    assert "0.40 no interval" in page.text
    assert "nan" not in page.text
    assert (page.open, page.wrong) == ([], [])


def test_one_method_without_references() -> None:
    (chart,) = benchmark_charts(alone())
    assert chart.first == "Best: shapley."
    assert chart.legend == "Dashed: chance 0.50; no references."
    assert headline(alone()).endswith("0 of 1 method is above chance on every benchmark judged.")
    assert rank_reversals(alone()) == ()
    assert "Unknown: no two methods are judged on two families." in Page(render_benchmark(alone())).text


def test_the_best_is_tied_with_those_whose_interval_overlaps_its_own() -> None:
    close = [line("words", name, "beats chance", mean, 0.02) for name, mean in (("a", 0.9), ("b", 0.87), ("c", 0.8))]
    assert best_methods(close) == ("a", "b")
    assert best_methods([]) == ()


def test_a_pair_is_reversed_if_intervals_order_it_the_other_way() -> None:
    (pair,) = rank_reversals(planted())
    assert (pair.one, pair.two) == ("tag 1", "words")
    assert (pair.reversed, pair.decided) == (1, 2)
    assert pair.examples == ("saliency above shapley in tag 1, below it in words",)
    assert pair.share_by_means == pytest.approx(1 / 3)
    assert describe_reversals((pair,)).startswith(
        "Of 2 pairs of methods that intervals order on two families, 1 is reversed"
    )


def test_pairs_that_only_means_reverse_are_not_reversed() -> None:
    (pair,) = rank_reversals(many(["a", "b"], {"x": 0.50, "y": 0.51}, {"x": 0.51, "y": 0.50}))
    assert (pair.reversed, pair.decided, pair.share_by_means) == (0, 0, 1.0)
    assert describe_reversals((pair,)).startswith("Rank reversals are unknown")
    steady = rank_reversals(many(["a", "b"], {"x": 0.9, "y": 0.5}, {"x": 0.8, "y": 0.1}))
    assert describe_reversals(steady) == "Of 1 pairs of methods that intervals order on two families, none is reversed."


def test_a_family_that_contradicts_itself_orders_nothing() -> None:
    both = {"x": 0.9, "y": 0.5}, {"x": 0.5, "y": 0.9}
    (pair,) = rank_reversals(
        many(["a-1", "a-2", "a-3", "b"], *both, {"x": 0.5, "y": 0.9, "z": 0.1}, {"x": 1, "y": 0, "z": 2})
    )
    assert pair.decided == 2
    assert pair.reversed == 2
    assert all("z" in example for example in pair.examples)


def test_the_clearest_reversal_is_the_first_example() -> None:
    (pair,) = rank_reversals(
        many(["a", "b"], {"v": 0.9, "w": 0.8, "x": 0.7, "y": 0.1}, {"v": 0.1, "w": 0.3, "x": 0.5, "y": 1})
    )
    assert pair.examples == (
        "v above y in a, below it in b",
        "w above x in a, below it in b",
    )


def test_an_empty_table_says_so() -> None:
    page = Page(render_benchmark(nothing()))
    assert (page.open, page.wrong) == ([], [])
    assert "No benchmarks." in page.text
    assert "No methods." in page.text


def test_hostile_text_stays_text() -> None:
    page = Page(render_benchmark(evil_table(PAYLOAD)))
    assert (page.open, page.wrong) == ([], [])
    assert {"script", "img"} & {tag for tag, _ in page.elements} == set()
    assert "onerror" not in {name for _, attributes in page.elements for name in attributes}
    assert page.text.count("alert(1)") > 30


def test_the_command_to_reproduce_is_quoted_for_a_shell() -> None:
    page = Page(render_benchmark(BenchmarkTable((model("a; rm -rf /"),), (), 0, False)))
    assert "--only 'a; rm -rf /' --out" in page.text


def test_the_page_is_written(tmp_path) -> None:
    place = to_html(planted(), tmp_path / "planted.html")
    assert place.read_text(encoding="utf-8") == render_benchmark(planted())


def test_a_real_benchmark_is_drawn_and_says_its_versions() -> None:
    pytest.importorskip("sklearn")
    from assay.planted import benchmark

    table = benchmark(only=["table-trees"], methods=["tree_shapley", "occlusion", "saliency"], quick=True)
    text = Page(render_benchmark(table)).text
    assert f"assay {table.versions['assay']}" in text
    assert "1 of 1 model uses the planted feature; 2 of 2 methods are above chance on every benchmark judged." in text
    assert "beats the references tree shapley" in text
    assert "saliency : needs gradients;" in text.replace("saliency:", "saliency :")
