"""Gaps between groups: counts done by hand, the null at its rate, and columns that make up the gap."""

import json
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from tests.diagnose.subjects import disparity_of as found
from tests.diagnose.subjects import planted, rule, table

import assay
from assay import diagnose
from assay.basics.errors import CapabilityError, InputError
from assay.basics.stats import Interval, newcombe
from assay.engine.fairness.rates import pairwise_gaps
from assay.nouns.results.finding import judge


def test_rates_and_gap_are_those_counted_by_hand() -> None:
    finding = found(*table({"a": (30, 40), "b": (10, 50)}))["FAI101"]
    assert_allclose(finding.estimate, 30 / 40 - 10 / 50)
    assert finding.evidence["rates"] == {"a": {"rate": 0.75, "n": 40}, "b": {"rate": 0.2, "n": 50}}
    limits = newcombe(30, 40, 10, 50)
    assert finding.interval is not None
    assert_allclose([finding.interval.low, finding.interval.high], [limits.low, limits.high])
    assert finding.verdict == "fail"
    assert "75.0% in group a and 20.0% in group b" in finding.claim


def test_the_gap_does_not_depend_on_which_group_comes_first() -> None:
    one, two = (found(*table(t))["FAI101"] for t in ({"a": (30, 40), "b": (10, 50)}, {"b": (10, 50), "a": (30, 40)}))
    assert one.estimate == two.estimate
    assert one.interval == two.interval


def test_equal_rates_of_many_rows_pass_and_of_few_rows_stay_undecided() -> None:
    many = found(*table({"a": (1000, 2000), "b": (1000, 2000)}))["FAI101"]
    few = found(*table({"a": (10, 20), "b": (10, 20)}))["FAI101"]
    assert (many.estimate, many.verdict) == (0.0, "pass")
    assert (few.estimate, few.verdict) == (0.0, "undecided")


def test_with_three_groups_the_interval_is_the_largest_of_the_corrected_ones() -> None:
    counts = {"a": (30, 40), "b": (10, 50), "c": (20, 40)}
    finding = found(*table(counts))["FAI101"]
    limits = [newcombe(*counts[one], *counts[two], 1 - 0.05 / 3) for one, two in (("a", "b"), ("c", "b"), ("a", "c"))]
    assert finding.interval is not None
    assert_allclose(finding.interval.low, max(limit.low for limit in limits))
    assert_allclose(finding.interval.high, max(limit.high for limit in limits))
    assert (finding.evidence["pairs"][0]["upper"], finding.evidence["pairs"][0]["lower"]) == ("a", "b")
    assert len(finding.evidence["one group against the rest"]) == 3


@pytest.mark.parametrize(("groups", "runs", "least", "most"), [(2, 400, 6, 34), (4, 120, 0, 13)])
def test_where_no_groups_differ_the_interval_excludes_zero_in_at_most_one_run_in_twenty(
    groups: int, runs: int, least: int, most: int
) -> None:
    hits = np.random.default_rng(groups).binomial(100, 0.4, size=(runs, groups))
    beyond = 0
    for row in hits:
        gaps = list(pairwise_gaps({str(i): (int(hit), 100) for i, hit in enumerate(row)}, 0.95))
        assert len(gaps) == len(list(combinations(range(groups), 2)))
        beyond += max(gap.low for gap in gaps) > 0
    assert least <= beyond <= most  # 5 % of the runs ± 3.3 standard deviations; Bonferroni makes it fewer


def test_a_planted_gap_fails_in_nearly_every_run() -> None:
    generator = np.random.default_rng(0)
    fails = 0
    for _ in range(100):
        (gap,) = pairwise_gaps(
            {"a": (generator.binomial(300, 0.7), 300), "b": (generator.binomial(300, 0.4), 300)}, 0.95
        )
        fails += judge(Interval(gap.low, gap.high, 0.95, ""), 0.1, "at most") == "fail"
    assert fails >= 95


def test_with_true_labels_the_two_error_rates_are_compared() -> None:
    x, groups = table({"a": (6, 10), "b": (2, 10)})
    # a: 6 granted of which 4 rightly, 4 refused of which 1 wrongly; b: 2 granted, 1 rightly; 8 refused, 3 wrongly
    labels = [1] * 4 + [0] * 2 + [1] + [0] * 3 + [1, 0] + [1] * 3 + [0] * 5
    by_code = found(x, groups, labels=labels)
    assert list(by_code) == ["FAI101", "FAI102", "FAI103", "FAI104", "FAI110"]
    assert_allclose(by_code["FAI102"].estimate, 4 / 5 - 1 / 4)
    assert_allclose(by_code["FAI103"].estimate, 2 / 5 - 1 / 6)
    assert by_code["FAI102"].n == 9


def test_of_several_classes_only_the_favourable_one_is_a_true_positive() -> None:
    # rows are decided by their largest number; group a: three rows of class "middle", two decided rightly
    low, middle, high = np.eye(3)
    model = assay.model.function(lambda x: x, gives="probabilities", classes=("low", "middle", "high"), name="argmax")
    x = np.array([middle, middle, low, low, middle, middle, high, high])
    labels = ["middle", "middle", "middle", "low", "middle", "high", "high", "low"]
    case, groups = assay.case(model, x), list("aaaabbbb")
    options = {"labels": labels, "favourable": "middle", "remove": assay.Constant(0.0), "smallest": 1}
    by_code = {f.code: f for f in diagnose.disparity(case, groups, **options)}
    assert {name: line["rate"] for name, line in by_code["FAI102"].evidence["rates"].items()} == {"a": 2 / 3, "b": 1.0}
    assert {name: line["rate"] for name, line in by_code["FAI103"].evidence["rates"].items()} == {"a": 0.0, "b": 1 / 3}
    assert (by_code["FAI102"].n, by_code["FAI103"].n) == (4, 4)


def test_a_rate_no_two_groups_have_is_not_applicable() -> None:
    x, groups = table({"a": (6, 10), "b": (2, 10)})
    by_code = found(x, groups, labels=[1] * 10 + [0] * 10)
    assert by_code["FAI102"].verdict == "not applicable"
    assert by_code["FAI102"].evidence["groups left out"] == {"b": 0}
    assert by_code["FAI103"].verdict == "not applicable"


def test_what_is_favourable_can_be_named_or_numbered() -> None:
    x, groups = table({"a": (6, 10), "b": (2, 10)})
    case = assay.case(rule(), x)
    for favourable in ("granted", 1):
        first = diagnose.disparity(case, groups, favourable=favourable, remove=assay.Constant(-1.0))[0]
        assert_allclose(first.evidence["rates"]["a"]["rate"], 0.6)
    other = diagnose.disparity(case, groups, favourable="refused", remove=assay.Constant(-1.0))[0]
    assert_allclose(other.evidence["rates"]["a"]["rate"], 0.4)


def test_evidence_is_small_plain_data() -> None:
    x, groups = planted()
    for finding in found(x, groups, labels=[0, 1] * 60).values():
        assert len(json.dumps(finding.evidence)) < 4000


def test_a_fourfold_ratio_at_low_rates_fails_although_the_gap_is_small() -> None:
    by_code = found(*table({"a": (120, 1500), "b": (30, 1500)}), smallest=10)
    gap, ratio = by_code["FAI101"], by_code["FAI104"]
    assert (gap.verdict, ratio.verdict) == ("pass", "fail")
    assert_allclose(ratio.estimate, 0.25)
    assert (ratio.threshold, ratio.direction, ratio.threshold_origin) == (
        0.8,
        "at least",
        "four-fifths rule (EEOC 1978)",
    )
    assert "2.0% in group b and 8.0% in group a, a ratio of 0.25" in ratio.claim
    assert ratio.interval is not None
    assert 0.15 < ratio.interval.low < 0.2 < 0.3 < ratio.interval.high < 0.4


def test_equal_rates_of_many_rows_pass_the_ratio_and_another_ratio_has_no_origin() -> None:
    groups = {"a": (1000, 2000), "b": (1000, 2000)}
    assert found(*table(groups))["FAI104"].verdict == "pass"
    assert found(*table(groups), ratio=0.9)["FAI104"].threshold_origin == ""
    assert found(*table({"a": (10, 20), "b": (10, 20)}))["FAI104"].verdict == "undecided"


def test_the_ratio_of_rates_that_are_all_zero_is_undefined() -> None:
    finding = found(*table({"a": (0, 20), "b": (0, 30)}))["FAI104"]
    assert finding.verdict == "not applicable"
    assert "No row of any group has the favourable decision" in finding.claim


def test_ratios_of_error_rates_are_evidence() -> None:
    x, groups = table({"a": (6, 10), "b": (2, 10)})
    labels = [1] * 4 + [0] * 2 + [1] + [0] * 3 + [1, 0] + [1] * 3 + [0] * 5
    ratios = found(x, groups, labels=labels)["FAI102"].evidence["ratios"]
    assert [(line["lower"], line["upper"]) for line in ratios] == [("b", "a")]
    assert_allclose(ratios[0]["value"], (1 / 4) / (4 / 5))


def test_small_groups_are_named_and_left_out_of_every_contrast() -> None:
    by_code = found(*table({"a": (30, 40), "b": (10, 50), "c": (0, 9)}), smallest=10)
    for code in ("FAI101", "FAI104"):
        assert by_code[code].evidence["groups left out"] == {"c": 9}
        assert by_code[code].claim.endswith("Left out, with fewer than 10 rows to count: c (9).")
        assert set(by_code[code].evidence["rates"]) == {"a", "b"}
    assert_allclose(by_code["FAI101"].estimate, 30 / 40 - 10 / 50)
    assert by_code["FAI101"].n == 90


def test_where_fewer_than_two_groups_remain_nothing_is_compared_and_the_reason_is_given() -> None:
    for code, finding in found(*table({"a": (30, 40), "b": (2, 9)}), smallest=10).items():
        assert finding.verdict == "not applicable", code
        assert "Fewer than two groups have at least 10 rows to count in the selection rate (a (40), b (9))" in (
            finding.claim
        )


def test_a_gap_between_combinations_is_found_where_neither_column_alone_has_one() -> None:
    sex, age = ["f", "m"] * 200, ["old", "old", "young", "young"] * 100
    x = np.array([[1.0 if (s == "f") == (a == "old") else -1.0, 0, 0] for s, a in zip(sex, age)])
    columns = {"sex": sex, "age": age}
    options = {"favourable": "granted", "remove": assay.Constant(-1.0)}
    by_subject = {
        f.subject: f for f in diagnose.disparity(assay.case(rule(), x), columns, **options) if f.code == "FAI101"
    }
    assert [by_subject[name].estimate for name in columns] == [0.0, 0.0]
    assert by_subject["sex × age"].estimate == 1.0
    assert by_subject["sex × age"].verdict == "fail"
    alone = diagnose.disparity(assay.case(rule(), x), columns, combine=False, **options)
    assert {f.subject for f in alone} == set(columns)


def test_too_many_combinations_are_reported_as_not_tested() -> None:
    x = np.zeros((400, 3))
    columns = {"town": [str(i % 11) for i in range(400)], "sex": [str(i // 11 % 2) for i in range(400)]}
    found = diagnose.disparity(assay.case(rule(), x), columns, favourable="granted", remove=assay.Constant(-1.0))
    assert (found[-1].code, found[-1].subject, found[-1].verdict) == ("FAI101", "town × sex", "not applicable")
    assert "at most 20 combinations are compared, and there are 22" in found[-1].claim


@pytest.mark.parametrize(
    ("groups", "options", "message"),
    [
        (["a", "b"], {}, "2 group labels for 4 rows"),
        (["a"] * 4, {}, "at least two groups"),
        (["a", None, "b", "b"], {}, r"missing in row\(s\) 1"),
        ([0.0, np.nan, 1.0, 1.0], {}, r"missing in row\(s\) 1"),
        (["a", "a", "b", "b"], {"rows": 1}, "at least 2 rows"),
        (["a", "a", "b", "b"], {"labels": [1, 0]}, "2 labels for 4"),
        (["a", "a", "b", "b"], {"ratio": 1.2}, "a ratio from 0 to 1"),
        (["a", "a", "b", "b"], {"smallest": 0}, "at least 1 row"),
        (["a", "a", "b", "b"], {"ranges": 1}, "no ranges"),
        (["a", "a", "b", "b"], {"remove": 0.0}, "not a removal"),
    ],
)
def test_what_cannot_be_used_is_refused(groups: Any, options: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        found([[1.0, 0, 0], [-1, 0, 0], [1, 0, 0], [-1, 0, 0]], groups, **options)


def test_a_class_that_does_not_exist_and_a_regression_are_refused() -> None:
    case = assay.case(rule(), np.ones((4, 3)))
    with pytest.raises(InputError, match="does not exist"):
        diagnose.disparity(case, list("aabb"), favourable="maybe", remove=assay.Constant(0.0))
    with pytest.raises(CapabilityError, match="classifier"):
        diagnose.disparity(
            assay.examples.linear(x=np.ones((4, 2))), list("aabb"), favourable=1, remove=assay.Constant(0.0)
        )
