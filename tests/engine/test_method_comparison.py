"""Comparisons of methods: by hand, by slow versions, and on data whose answer is known."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats as scipy_stats

import assay
from assay import evaluate, examples, explain
from assay.basics.errors import InputError
from assay.basics.paired_tests import rows_to_decide
from assay.basics.seed import Seed
from assay.basics.stats import Interval, holm, skewness_corrected_interval, student_interval
from assay.nouns.comparisons.method_comparison import MethodComparison
from assay.nouns.comparisons.score_reliability import Reliability, ReliabilityCheck
from assay.nouns.results.result import Provenance, Score


def scored(values: Any, of: str, name: str = "quality", better: Any = "higher", **other: Any) -> Score:
    """A score with these values, as a method would give it."""
    values = np.asarray(values, dtype=np.float64)
    provenance = Provenance(name, "evaluate", {}, Seed(), "value", "m", f"r{len(values)}", "f", {}, "cpu", {})
    return Score(provenance, (), values, tuple(map(str, range(len(values)))), better, of, **other)


def normal(shift: float, rows: int = 40, seed: int = 0) -> np.ndarray:
    """Rows of different difficulty, shared by all methods, and noise of the method's own."""
    easy = np.random.default_rng(99).normal(0, 3, rows)
    return easy + shift + np.random.default_rng(seed).normal(0, 0.5, rows)


def three(better: Any = "higher", **options: Any) -> MethodComparison:
    """A clear winner among three methods."""
    sign = 1 if better == "higher" else -1
    by_method = [("good", 1.0, 1), ("fair", 0.0, 2), ("also fair", 0.0, 3)]
    return assay.compare_methods(
        [scored(sign * normal(s, seed=i), m, better=better) for m, s, i in by_method], **options
    )


def test_pairs_are_tested_on_paired_rows_and_adjusted_by_holm() -> None:
    found = three()
    pairs = [found.pair("good", "fair"), found.pair("good", "also fair"), found.pair("fair", "also fair")]
    values = {m: found.of().values[:, i] for i, m in enumerate(found.methods)}
    for pair in pairs:
        gap = values[pair.one] - values[pair.other]
        assert_allclose([pair.difference, pair.standardised_difference], [gap.mean(), gap.mean() / gap.std(ddof=1)])
        assert_allclose(
            [pair.interval.low, pair.interval.high], [skewness_corrected_interval(gap).low, student_interval(gap).high]
        )
        assert abs(pair.p - scipy_stats.ttest_1samp(gap, 0).pvalue) < 0.02
    assert_allclose([pair.p_adjusted for pair in pairs], holm(np.array([pair.p for pair in pairs])))
    assert [pair.verdict for pair in pairs] == ["better", "better", "undecided"]


@pytest.mark.parametrize("better", ["higher", "lower"])
def test_the_better_side_is_the_scores_own(better: Any) -> None:
    found = three(better)
    assert found.verdict("good", "fair") == "better"
    assert found.verdict("fair", "good") == "worse"
    assert found.of().ranking is not None
    assert found.of().ranking.methods[int(np.argmin(found.of().ranking.average))] == "good"


def test_a_reversed_pair_is_the_same_pair() -> None:
    pair, other = three(margin=1.0).pair("good", "fair"), three(margin=1.0).pair("fair", "good")
    assert other.reversed == pair
    assert (other.difference, other.interval.low) == (-pair.difference, -pair.interval.high)


def test_means_have_intervals_that_hold_for_skewed_scores() -> None:
    found = three(draws=500).of()
    assert found.intervals[0] == skewness_corrected_interval(found.values[:, 0])


def test_no_pair_is_the_same_without_a_margin() -> None:
    found = three()
    assert found.verdict("fair", "also fair").startswith("undecided")
    assert np.isnan(found.pair("fair", "also fair").p_same)


def test_a_wide_margin_makes_fair_methods_the_same_and_comes_before_better() -> None:
    assert three(margin=0.5).verdict("fair", "also fair") == "same within margin"
    assert three(margin=3.0).verdict("good", "fair") == "same within margin"
    assert three(margin={"quality": 0.5}).verdict("good", "fair") == "better"


def test_an_undecided_pair_has_the_number_of_rows_that_would_decide_it() -> None:
    few = [scored(normal(shift, 12, seed), name) for name, shift, seed in [("a", 0.2, 4), ("b", 0.0, 5)]]
    found = assay.compare_methods(few)
    pair = found.pair("a", "b")
    assert pair.verdict == "undecided"
    assert pair.more == rows_to_decide(pair.difference, student_interval(few[0].values - few[1].values), 0.0, 12)
    assert found.verdict("a", "b") == f"undecided; about {pair.more} more rows would decide it"


@pytest.mark.parametrize("first", ["good", "bad"])
@pytest.mark.parametrize("better", ["higher", "lower", "neither"])
def test_a_decided_pair_needs_no_more_rows(first: str, better: Any) -> None:
    """Whichever way it was decided: as better, worse, higher, lower or the same."""
    scores = [scored(normal(s, seed=i), m, better=better) for m, s, i in [("good", 1.0, 1), ("bad", 0.0, 2)]]
    scores = scores if first == "good" else scores[::-1]
    (pair,), (same,) = (assay.compare_methods(scores, margin=margin).of().pairs for margin in (None, 3.0))
    words = {"higher": ("better", "worse"), "lower": ("worse", "better"), "neither": ("higher", "lower")}
    assert (pair.verdict, pair.more) == (words[better][first == "bad"], None)
    assert (same.verdict, same.more) == ("same within margin", None)


def test_cliffs_delta_of_a_pair_is_over_all_pairs_of_values_on_its_rows() -> None:
    one, other = np.array([3.0, 1.0, 4.0, np.nan, 9.0]), np.array([2.0, 5.0, 1.0, 0.0, np.nan])
    found = assay.compare_methods([scored(one, "a"), scored(other, "b")]).pair("a", "b")
    assert found.cliffs_delta == pytest.approx(np.mean(np.sign(one[:3, None] - other[None, :3])))
    apart = assay.compare_methods([scored(one[:3], "a"), scored(one[:3] + 10, "b")])
    assert apart.pair("a", "b").cliffs_delta == -1.0
    assert apart.pair("b", "a").cliffs_delta == 1.0


def test_undefined_rows_are_left_out_pair_by_pair_and_counted() -> None:
    a, b, c = normal(1, 20, 1), normal(0, 20, 2), normal(0, 20, 3)
    a[:2], b[1:4] = np.nan, np.nan
    found = assay.compare_methods([scored(a, "a"), scored(b, "b"), scored(c, "c")])
    assert [found.pair("a", "b").rows, found.pair("a", "c").rows, found.pair("b", "c").rows] == [16, 18, 17]
    assert found.pair("a", "b").difference == pytest.approx((a - b)[4:].mean())
    assert found.of().left_out.tolist() == [2, 3, 0]
    ranking = found.of().ranking
    assert ranking is not None
    assert (ranking.rows, ranking.left_out) == (16, 4)
    assert "a 2, b 3" in found.notes[0].text


def test_the_ranking_has_all_that_a_diagram_shows() -> None:
    ranking = three().of().ranking
    assert ranking is not None
    theirs = scipy_stats.friedmanchisquare(*three().of().values.T)
    assert_allclose([ranking.chi2, ranking.p], [theirs.statistic, theirs.pvalue])
    assert ranking.critical_difference == pytest.approx(2.343 * np.sqrt(3 * 4 / (6 * 40)), abs=1e-3)
    assert [set(group) for group in ranking.groups] == [{"fair", "also fair"}]
    assert ranking.best[ranking.methods.index("good")] == 1.0
    assert ranking.flip_rate == 0.0
    assert ranking.concordance == pytest.approx(ranking.chi2 / (40 * 2))


def test_two_equal_methods_flip_about_half_the_time() -> None:
    halves = [scored(np.tile([1.0, -1.0], 20), "a"), scored(np.tile([-1.0, 1.0], 20), "b")]
    ranking = assay.compare_methods(halves).of().ranking
    assert ranking is not None
    assert ranking.flip_rate == pytest.approx(0.5, abs=0.05)


def test_normalised_scores_are_zero_for_random_and_one_for_the_oracle() -> None:
    rows = np.linspace(-1, 1, 30)
    by_method = {"random": rows * 0.1, "oracle": 4 + rows, "mine": 1 + rows}
    found = assay.compare_methods([scored(v, m) for m, v in by_method.items()])
    mine = found.methods.index("mine")
    assert found.of().normalised[mine] == pytest.approx(0.25)
    assert found.of().normalised_low[mine] < 0.25 < found.of().normalised_high[mine]
    assert found.references == {"random": "random", "oracle": "oracle"}
    falling = assay.compare_methods([scored(v, m, better="lower") for m, v in by_method.items()])
    assert np.isnan(falling.of().normalised).all()


@pytest.mark.parametrize("least", [0.0, 0.1])
def test_a_normalised_score_has_an_interval_only_if_the_oracle_is_better_in_every_resample(least: float) -> None:
    oracle = np.array([least, least, least, 1.0])  # a third of the resamples leave out the last row
    found = assay.compare_methods([scored(oracle, "oracle"), scored(oracle * 0, "random"), scored(oracle + 1, "mine")])
    mine, scores = found.methods.index("mine"), found.of()
    assert scores.normalised[mine] == pytest.approx(1 + 1 / oracle.mean())
    if least == 0:
        assert np.isnan([scores.normalised_low, scores.normalised_high]).all()
    else:
        low, high = scores.normalised_low[mine], scores.normalised_high[mine]
        assert low == pytest.approx(1 + 1 / np.mean([least, 1, 1, 1]))  # drawn three times or more with chance 0.05
        assert high == pytest.approx(1 + 1 / least)  # not drawn, with chance 0.32


def test_references_are_compared_with_methods_but_not_ranked() -> None:
    names = ("random", "oracle", "a", "b")
    found = assay.compare_methods([scored(normal(i, seed=i), m) for i, m in enumerate(names)])
    assert len(found.of().pairs) == 5
    assert found.of().ranking is not None
    assert found.of().ranking.methods == ("a", "b")
    with pytest.raises(InputError, match="references"):
        found.pair("random", "oracle")


def test_a_share_of_the_gain_over_random_is_a_margin() -> None:
    rows = np.zeros(10)
    by_method = {"random": rows, "oracle": rows + 4, "a": rows + 2, "b": rows + 2.1}
    found = assay.compare_methods([scored(v, m) for m, v in by_method.items()], share=0.1)
    assert found.of().margin == pytest.approx(0.4)
    assert found.verdict("a", "b") == "same within margin"
    upwards = {k: v for k, v in by_method.items() if k != "oracle"}
    assert assay.compare_methods([scored(v, m) for m, v in upwards.items()], share=0.1).of().margin == pytest.approx(
        0.21
    )


def test_monte_carlo_error_and_sampling_error_are_separate() -> None:
    values = normal(0, 50)
    found = assay.compare_methods([scored(values, "a", stderr=np.full(50, 0.7)), scored(values + 1, "b")]).of()
    assert found.monte_carlo[0] == pytest.approx(0.7 / np.sqrt(50))
    assert found.monte_carlo_upper[0] == pytest.approx(0.7)
    assert found.error[0] == pytest.approx(values.std(ddof=1) / np.sqrt(50))
    assert found.sampling[0] ** 2 + found.monte_carlo[0] ** 2 == pytest.approx(found.error[0] ** 2)
    assert np.isnan(found.monte_carlo[1])


def test_rows_of_a_cluster_count_once() -> None:
    once = [scored(normal(s, 15, i), m) for m, s, i in [("a", 0.4, 1), ("b", 0.0, 2)]]
    copied = [scored(np.repeat(one.values, 4), one.of) for one in once]
    plain, grouped = assay.compare_methods(once), assay.compare_methods(copied, clusters=np.arange(15).repeat(4))
    left, right = plain.pair("a", "b"), grouped.pair("a", "b")
    assert_allclose([left.interval.low, left.p], [right.interval.low, right.p], atol=0.01)
    assert grouped.clusters == 15
    assert grouped.of().ranking is not None
    assert plain.of().ranking is not None
    assert_allclose(grouped.of().ranking.average, plain.of().ranking.average)


def test_wilcoxons_test_is_an_alternative() -> None:
    found = three(test="wilcoxon").pair("good", "fair")
    values = three().of().values
    assert found.p == pytest.approx(scipy_stats.wilcoxon(values[:, 0] - values[:, 1]).pvalue, abs=5e-3)
    with pytest.raises(InputError, match="permutation, wilcoxon"):
        three(test="sign")


def test_scores_agree_or_not_across_methods_and_rows() -> None:
    table: dict[str, dict[str, Score]] = {}
    for i, name in enumerate("abcd"):
        values = normal(i, seed=i)
        table[name] = {"up": scored(values, name), "down": scored(-values, name, better="lower")}
        table[name]["against"] = scored(-values, name)
    found = assay.compare_methods(table)
    assert_allclose(found.across_methods, [[1, 1, -1], [1, 1, -1], [-1, -1, 1]])
    assert_allclose(found.across_rows, [[1, 1, -1], [1, 1, -1], [-1, -1, 1]])


def test_disagreement_between_scores_is_spearmans_over_methods_and_over_rows() -> None:
    generator = np.random.default_rng(3)
    by_method = {m: {s: generator.normal(i, 2, 25) for s in ("up", "down")} for i, m in enumerate("abcde")}
    by_method["b"]["up"][3] = np.nan
    table = {m: {"up": scored(v["up"], m), "down": scored(v["down"], m, "down", "lower")} for m, v in by_method.items()}
    found = assay.compare_methods(table)
    means = {s: [np.nanmean(v[s]) for v in by_method.values()] for s in ("up", "down")}
    assert_allclose(found.across_methods[0, 1], scipy_stats.spearmanr(means["up"], -np.array(means["down"])).statistic)
    each = [scipy_stats.spearmanr(v["up"], -v["down"], nan_policy="omit").statistic for v in by_method.values()]
    assert_allclose(found.across_rows[0, 1], np.mean(each))
    assert_allclose(np.diag(found.across_rows), 1.0)


def test_rows_that_order_methods_equally_have_alpha_one_and_shuffled_rows_about_zero() -> None:
    similar = three().of().ranking
    same = assay.compare_methods([scored(np.arange(9.0) + i, name) for i, name in enumerate("abc")]).of().ranking
    noise = np.random.default_rng(0).normal(size=(4, 200))
    none = assay.compare_methods([scored(one, name) for one, name in zip(noise, "abcd")]).of().ranking
    assert similar is not None
    assert same is not None
    assert none is not None
    assert same.alpha == 1.0
    assert abs(none.alpha) < 0.02
    assert 0.02 < similar.alpha < 1.0


def test_a_score_that_failed_is_left_out_with_its_reasons() -> None:
    a, b = ({name: scored(normal(i, seed=i), m, name) for name in ("good", "bad")} for i, m in enumerate("ab"))
    nothing = ReliabilityCheck("AUROC", 0.5, Interval(0.4, 0.6, 0.95, ""), 0.75, "at least", 40)
    open_ = replace(nothing, interval=Interval(0.4, 0.9, 0.95, ""))
    failed = Reliability("bad", "a", {}, {"shuffled": nothing}, {}, {"given": np.zeros(40)}, 0, 0.95, {})
    for given in ([failed], ["bad"], [failed, "bad"]):
        found = assay.compare_methods({"a": a, "b": b}, unreliable=given)
        assert list(found.scores) == ["good"]
        assert list(found.unreliable) == ["bad"]
        assert found.across_rows.shape == (1, 1)
        assert found.notes[0].code == "unreliable"
        assert found.to_frame("scores").left_out.tolist() == ["", found.unreliable["bad"]]
    found = assay.compare_methods({"a": a, "b": b}, unreliable=[failed])
    assert "does not distinguish the explanation from shuffled ones: AUROC 0.50" in found.unreliable["bad"]
    doubtful = assay.compare_methods({"a": a, "b": b}, unreliable=[replace(failed, reactivity={"shuffled": open_})])
    assert list(doubtful.scores) == ["good", "bad"]
    assert doubtful.notes[0].code == "doubtful"
    passed = replace(failed, reactivity={"shuffled": replace(nothing, interval=Interval(0.8, 0.9, 0.95, ""))})
    assert assay.compare_methods({"a": a, "b": b}, unreliable=[passed]).notes == ()


def test_only_known_scores_can_be_unreliable() -> None:
    a, b = scored(normal(0), "a"), scored(normal(1), "b")
    with pytest.raises(InputError, match="not a score of this comparison; there are quality"):
        assay.compare_methods([a, b], unreliable=["deletion"])
    with pytest.raises(InputError, match="no score is left"):
        assay.compare_methods([a, b], unreliable=["quality"])
    with pytest.raises(InputError, match="contains int"):
        assay.compare_methods([a, b], unreliable=[3])  # type: ignore[list-item]  # a caller's mistake


def test_a_score_without_a_better_direction_ranks_no_method() -> None:
    found = assay.compare_methods(
        [scored(normal(s, seed=i), m, better="neither") for m, s, i in [("a", 1, 1), ("b", 0, 2)]]
    )
    assert found.of().ranking is None
    assert found.verdict("a", "b") == "higher"


def test_what_cannot_be_compared_is_refused() -> None:
    a, b = scored(normal(0), "a"), scored(normal(1), "b")
    with pytest.raises(InputError, match="at least two methods"):
        assay.compare_methods([a])
    with pytest.raises(InputError, match="given twice"):
        assay.compare_methods([a, a])
    with pytest.raises(InputError, match="other rows"):
        assay.compare_methods([a, scored(normal(0, 9), "b")])
    with pytest.raises(InputError, match="other options"):
        assay.compare_methods([a, replace(b, provenance=replace(b.provenance, options={"steps": 3}))])
    with pytest.raises(InputError, match="no score other"):
        assay.compare_methods({"a": {"quality": a, "other": a}, "b": {"quality": b}})
    with pytest.raises(InputError, match="margin=0"):
        assay.compare_methods([a, b], margin=0)
    with pytest.raises(InputError, match="a reference in the role 'random'"):
        assay.compare_methods([a, b], share=0.1)


def test_frames_and_the_short_view() -> None:
    found = three()
    assert len(repr(found).splitlines()) <= 6
    assert "first good" in repr(found)
    assert (len(found.to_frame()), len(found.to_frame("pairs")), len(found.to_frame("rows"))) == (3, 3, 120)
    assert found.to_frame("pairs").verdict.tolist() == ["better", "better", "undecided"]


def test_real_scores_of_a_real_case_are_compared() -> None:
    generator = np.random.default_rng(0)
    x, weights = generator.normal(size=(40, 6)), generator.normal(size=6)
    case = examples.analytic(lambda x: x @ weights, lambda x: np.tile(weights, (len(x), 1)), x, "linear")
    methods = (explain.integrated_gradients, explain.saliency, explain.random)
    found = assay.compare_methods([evaluate.deletion(m(case), case) for m in methods], share=0.05)
    assert found.verdict("integrated_gradients", "random") == "better"
    assert found.verdict("integrated_gradients", "saliency") == "better"
    assert found.of().normalised[0] != found.of().normalised[0]
