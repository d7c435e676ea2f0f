"""A score under many settings: ranks by hand, τ against scipy, and costs."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import kendalltau
from tests.evaluate.settings import digits, replace_values

import assay
from assay import Constant, Marginal, Mean, evaluate, examples, explain
from assay.basics.errors import InputError
from assay.basics.rank_tests import kemeny_distance, kendall
from assay.cases.case import Case
from assay.engine.cost import cost_of
from assay.nouns.comparisons.settings_grid import Scoring, SettingsGrid
from assay.nouns.results.result import Explanation

ZERO = assay.Constant(0.0)

HEIGHTS = np.array([3.0, -2.0, 1.0])
METHODS = ("occlusion", "saliency", "input_x_gradient", "random")


def additive(rows: int = 5) -> Case:
    """f = Σ w_i x_i at rows that differ."""
    x = np.random.default_rng(0).uniform(0.5, 1.5, (rows, 3))
    return examples.analytic(lambda x: x @ HEIGHTS, lambda x: np.tile(HEIGHTS, (len(x), 1)), x, "linear")


def explanations_of(case: Case) -> dict[str, Explanation]:
    """Exact contributions, their magnitudes, and their negatives."""
    true = explain.input_x_gradient(case)
    return {
        "true": true,
        "sizes": replace_values(true, np.abs(true.values)),
        "turned": replace_values(true, -true.values),
    }


def pictures(rows: int = 6) -> tuple[Case, dict[str, Explanation]]:
    """Four methods on digits."""
    case = digits(rows)
    return case, {name: getattr(explain, name)(case) for name in METHODS}


def wide(**options: Any) -> tuple[Case, SettingsGrid]:
    """Two removals, two targets, two steps and both signs on digits."""
    case, named = pictures()
    background = case.rows.x[:3]
    given: dict[str, Any] = {
        "removals": {"black": Constant(0.0), "mean": Mean(background)},
        "targets": ("logit", "probability"),
        "steps": (4, 8),
        "signs": ("as given", "absolute"),
    }
    return case, assay.settings_grid(named, case, "deletion", **(given | options))


def test_each_setting_is_the_score_with_its_options() -> None:
    case, found = wide()
    assert len(found.settings) == 16
    _, named = pictures()
    for i, setting in enumerate(found.settings):
        remove: Any = {"black": Constant(0.0), "mean": Mean(case.rows.x[:3])}[setting.removal]
        for j, explanation in enumerate(named.values()):
            values = np.abs(explanation.values) if setting.sign == "absolute" else explanation.values
            alone = evaluate.deletion(
                replace_values(explanation, values),
                case.with_target(setting.target),
                remove=remove,
                steps=setting.steps,
            )
            assert_allclose(found.values[i, :, j], alone.values, rtol=1e-6)


def test_ranks_and_tau_are_those_of_the_means() -> None:
    _, found = wide()
    assert found.ranked == ("occlusion", "saliency", "input_x_gradient")
    assert np.isnan(found.ranks[:, 3]).all()
    for i in range(len(found.settings)):
        assert_allclose(found.means[i], found.values[i].mean(axis=0))
        assert_array_equal(found.ranks[i, :3], np.argsort(np.argsort(found.means[i, :3])) + 1)
    theirs = [[kendalltau(one[:3], other[:3]).statistic for other in found.ranks] for one in found.ranks]
    assert_allclose(found.tau, theirs)
    pairs = np.array(theirs)[np.triu_indices(16, 1)]
    assert found.mean_tau == pytest.approx(pairs.mean())
    assert found.min_tau[0] == pytest.approx(pairs.min())


@pytest.mark.parametrize("seed", range(5))
def test_kendalls_tau_is_scipys_ties_and_all(seed: int) -> None:
    one, other = np.random.default_rng(seed).integers(0, 4, (2, 7)).astype(float)
    assert kendall(one, other) == pytest.approx(kendalltau(one, other).statistic)


def test_pairs_turned_round_are_counted_and_ties_by_half() -> None:
    assert kemeny_distance(np.array([1.0, 2.0, 3.0]), np.array([2.0, 1.0, 3.0])) == pytest.approx(1 / 3)
    assert kemeny_distance(np.array([1.0, 2.0, 3.0]), np.array([1.5, 1.5, 3.0])) == pytest.approx(1 / 6)
    one, other = np.random.default_rng(0).permutation(6), np.random.default_rng(1).permutation(6)
    assert kemeny_distance(one, other) == pytest.approx((1 - kendall(one, other)) / 2)
    assert np.isnan(kemeny_distance(np.ones(1), np.ones(1)))


def test_tau_of_a_ranking_that_ties_all_is_undefined() -> None:
    assert np.isnan(kendall(np.ones(3), np.arange(3.0)))
    assert np.isnan(kendall(np.array([1.0, np.nan]), np.arange(2.0)))


def test_magnitudes_of_the_reversed_explanation_tie_with_the_true_one() -> None:
    case = additive()
    found = assay.settings_grid(
        explanations_of(case), case, "deletion", removals=[ZERO], signs=("as given", "absolute")
    )
    assert_array_equal(found.ranks, [[1, 2, 3], [2, 2, 2]])
    assert found.best == "true"
    assert [(one.method, one.change) for one in found.largest_rank_changes] == [
        ("true", 1),
        ("sizes", 0),
        ("turned", -1),
    ]
    assert found.largest_rank_changes[0].setting.sign == "absolute"
    assert found.best_unchanged_share == 1.0  # tied
    assert_allclose(found.best_rate, [[1, 0, 0], [1 / 3, 1 / 3, 1 / 3]])
    assert found.best_everywhere_rate == 1.0
    assert np.isnan(found.mean_tau)


def test_reversal_rates_by_hand() -> None:
    case = additive()
    removals = {
        "nothing there": Constant(0.0),
        "too much there": Constant(2.0),
    }  # at 2 each part's effect changes its sign
    found = assay.settings_grid(explanations_of(case), case, "deletion", removals=removals, steps=(0, 3))
    assert found.reversal_rates == {"removal": 1.0, "steps": 0.0}
    assert found.min_tau[0] == -1.0
    assert (found.best_unchanged_share, found.best_everywhere_rate) == (0.5, 0.0)
    assert found.largest_rank_changes[0].change == 2
    assert found.largest_rank_changes[0].setting == Scoring("too much there", "value", 0, "as given")


def test_the_chance_to_be_first_is_over_resampled_rows() -> None:
    case = additive(40)
    true = explain.input_x_gradient(case)
    half = np.where(np.arange(40)[:, None] < 20, 1.0, -1.0)
    named = {"one": replace_values(true, half * true.values), "other": replace_values(true, -half * true.values)}
    found = assay.settings_grid(named, case, "deletion", removals=[Constant(0.0), Constant(0.1)])
    assert found.best_rate[0].sum() == pytest.approx(1.0)
    assert 0.2 < found.best_rate[0, 0] < 0.8
    again = assay.settings_grid(
        named, case, "deletion", removals=[Constant(0.0), Constant(0.1)], clusters=np.arange(40) // 20
    )
    assert again.best_rate[0, 0] != found.best_rate[0, 0]


def test_methods_not_better_than_random_are_listed() -> None:
    case = additive()
    named = explanations_of(case) | {
        "random": replace_values(explanations_of(case)["true"], np.tile([1.0, 2.0, 0.0], (5, 1)))
    }
    found = assay.settings_grid(named, case, "deletion", removals=[ZERO])
    assert [method for _, method in found.not_better_than_random] == ["turned"]
    assert_array_equal(found.beaten_by_random[0], [0, 0, 1, np.nan])
    assert "random is as good or better: 1 of 3" in repr(found)


def test_targets_share_forward_passes_and_the_cost_bound_holds() -> None:
    one_case, named = pictures()
    alone = assay.settings_grid(named, one_case, "deletion", steps=(6,))
    case, named = pictures()
    before = case.model.meter.forwards
    targets = ("logit", "probability", "log_odds", "margin")
    found = assay.settings_grid(named, case, "deletion", steps=(6,), targets=targets)
    cost = assay.settings_cost(named, case, "deletion", steps=(6,), targets=targets)
    assert found.cost == alone.cost == {"forwards": case.model.meter.forwards - before}
    assert cost.forwards == 6 + 4 * cost_of(evaluate.deletion.method, case, {"steps": 6}).forwards
    assert found.cost["forwards"] <= cost.forwards
    assert_allclose(found.values[0], alone.values[0])


def test_the_cost_is_exact_where_curves_share_no_evaluations() -> None:
    case = additive(1)
    true = explain.input_x_gradient(case)
    named = {"one": replace_values(true, [[3.0, 2.0, 1.0]]), "other": replace_values(true, [[1.0, 2.0, 3.0]])}
    fresh = additive(1)
    found = assay.settings_grid(named, fresh, "deletion", steps=(2,), removals=[Constant(0.0), Constant(0.5)])
    cost = assay.settings_cost(named, fresh, "deletion", steps=(2,), removals=[Constant(0.0), Constant(0.5)])
    assert cost.forwards == 1 + 2 * 2 * 2
    assert found.cost["forwards"] == cost.forwards


def test_the_cost_of_a_curve_counts_each_filling_and_each_pass_of_a_smoothed_model() -> None:
    rows, steps, fills, draws = 2, 3, 5, 4
    plain = additive(rows)
    model = assay.model.smooth(plain.model, sigma=0.1, draws=draws)
    case, options = assay.case(model, plain.rows.x), {"remove": Marginal(np.ones((fills, 3))), "steps": steps}
    explanation = explain.input_x_gradient(case)
    _ = case.output  # known before
    before = case.model.meter.requested
    evaluate.deletion(explanation, case, **options)
    cost = cost_of(evaluate.deletion.method, case, options)
    assert cost.forwards == case.model.meter.requested - before == rows * steps * fills * draws


def test_the_cost_is_known_before_any_explanation_and_further_targets_are_free() -> None:
    case, named = pictures()
    options: dict[str, Any] = {"steps": (6, 2), "targets": ("logit", "probability"), "signs": ("as given", "absolute")}
    cost = assay.settings_cost(len(named), case, "deletion", **options)
    assert cost == assay.settings_cost(named, case, "deletion", **options)
    before = case.model.meter.requested
    assay.settings_grid(named, case, "deletion", **options)
    assert case.model.meter.requested - before == cost.forwards - len(case)  # the rows themselves were known


def test_settings_that_lose_rows_are_not_compared() -> None:
    """The log odds of a certain row are infinite: under them another row alone is ranked."""

    def certain(x: Any) -> Any:
        p = np.clip(x @ HEIGHTS / 4, 0.0, 1.0)
        return np.stack([1 - p, p], axis=1)

    model = assay.model.function(certain, gives="probabilities", classes=("a", "b"))
    case = assay.case(model, np.array([[0.5, 0.2, 0.1], [2.0, 0.5, 0.0], [0.4, 0.1, 0.1]]), label="b")
    one = explain.occlusion(case, remove=ZERO)
    named = {"one": one, "other": replace_values(one, -one.values)}
    found = assay.settings_grid(
        named, case, "deletion", removals=[Constant(0.1)], targets=("probability", "log_odds"), steps=(0, 3, 1)
    )
    assert found.rows.tolist()[:3] == [3, 3, 3]
    assert max(found.rows[3:]) < 3
    assert found.comparable.tolist() == [True] * 3 + [False] * 3
    assert set(found.largest_rank_change_by_axis) == {"steps"}
    assert np.isnan(found.reversal_rates["target"])
    assert found.largest_rank_change.setting.target == "probability"


def test_winners_and_the_largest_rank_change_by_hand() -> None:
    case = additive()
    removals = {"nothing there": Constant(0.0), "too much there": Constant(2.0)}
    found = assay.settings_grid(
        explanations_of(case), case, "deletion", removals=removals, signs=("as given", "absolute")
    )
    assert [found.winners(i) for i in range(3)] == [("true",), ("true", "sizes", "turned"), ("turned",)]
    assert {axis: (move.method, move.change) for axis, move in found.largest_rank_change_by_axis.items()} == {
        "removal": ("true", 2.0),
        "sign": ("true", 1.0),
    }
    assert found.largest_rank_change.change == 2.0


def test_familiarity_stands_beside_and_falls_for_strange_removals() -> None:
    case, named = pictures(4)
    reference = digits(40).rows.x[10:]
    removals = {"black": Constant(0.0), "far": Constant(50.0), "seen": Marginal(reference[:3])}
    found = assay.settings_grid(
        named, case, "deletion", removals=removals, targets=("logit", "margin"), steps=(4,), reference=reference
    )
    same = evaluate.familiarity(named["saliency"], case, reference=reference, remove=Constant(50.0), steps=4)
    places = [i for i, setting in enumerate(found.settings) if setting.removal == "far"]
    assert_allclose(found.familiarity[places, 1], same.mean)
    seen = [i for i, setting in enumerate(found.settings) if setting.removal == "seen"]
    assert (found.familiarity[seen] > found.familiarity[places]).all()
    cost = assay.settings_cost(named, case, "deletion", removals=removals, steps=(4,), reference=reference)
    assert found.cost["forwards"] <= cost.forwards


@pytest.mark.parametrize("steps", [(), (2, 6)])
def test_each_settings_familiarity_is_the_scores_with_its_removal_steps_and_sign(steps: tuple[int, ...]) -> None:
    case, named = pictures(4)
    reference, removals = digits(40).rows.x[10:], {"black": Constant(0.0), "grey": Constant(0.3)}
    signs: Any = ("as given", "absolute")
    found = assay.settings_grid(
        named,
        case,
        "deletion",
        removals=removals,
        signs=signs,
        reference=reference,
        **({"steps": steps} if steps else {}),
    )
    for i, setting in enumerate(found.settings):
        for j, one in enumerate(named.values()):
            given = replace_values(one, np.abs(one.values)) if setting.sign == "absolute" else one
            options: dict[str, Any] = {} if setting.steps is None else {"steps": setting.steps}
            alone = evaluate.familiarity(given, case, reference=reference, remove=removals[setting.removal], **options)
            assert_allclose(found.familiarity[i, j], alone.mean)
    assert np.ptp(found.familiarity) > 0.05


def test_rows_without_a_score_are_left_out_together_and_counted() -> None:
    case = additive()
    named = explanations_of(case)
    gap = named["sizes"].values.copy()
    gap[0] = np.nan
    named["sizes"] = replace_values(named["sizes"], gap)
    found = assay.settings_grid(named, case, "deletion")
    assert found.rows.tolist() == [4]
    assert_allclose(found.means[0], found.values[0, 1:].mean(axis=0))
    assert "rows of 5" in found.notes[0].text
    named["sizes"] = replace_values(named["sizes"], np.full((5, 3), np.nan))
    nothing = assay.settings_grid(named, case, "deletion")
    assert np.isnan(nothing.ranks).all()
    assert np.isnan(nothing.best_rate).all()
    assert "note" in repr(nothing)
    with pytest.raises(InputError, match="no row on which every method"):
        _ = nothing.best


def test_a_score_without_removal_has_the_signs_alone() -> None:
    case, inside = additive(), np.tile([True, False, False], (5, 1))
    found = assay.settings_grid(
        explanations_of(case),
        case,
        evaluate.localisation_auc,
        signs=("as given", "absolute"),
        options={"inside": inside},
    )
    assert [str(setting) for setting in found.settings] == ["value, as given", "value, absolute"]
    assert np.isnan(found.familiarity).all()


def test_unsuitable_arguments_are_refused_with_the_reason() -> None:
    case, named = pictures(2)
    for options, message in [
        ({"score": "max_sensitivity", "options": {"ball": assay.Ball("linf", 0.1)}}, "computes explanations again"),
        ({"score": "runner_up_logit"}, "computes explanations again"),
        ({"score": "sparseness"}, "no better direction"),
        ({"score": "mass_accuracy", "removals": [Constant(0.0)]}, "not an option of the score"),
        ({"steps": (3,), "options": {"steps": 4}}, "already given in options"),
        ({"signs": ()}, "as given"),
        ({"signs": ("positive",)}, "absolute"),
        ({"targets": ("logit", "loss")}, "loss falls"),
        ({"targets": ("logit", "logit")}, "twice"),
        ({"removals": [Constant]}, "not a removal"),
    ]:
        with pytest.raises(InputError, match=message):
            assay.settings_grid(named, case, **({"score": "deletion"} | options))
    with pytest.raises(InputError, match="two methods that are not references"):
        assay.settings_grid({name: named[name] for name in ("occlusion", "random")}, case, "deletion")
    with pytest.raises(InputError, match="at least two"):
        assay.settings_grid([named["occlusion"]], case, "deletion")


def test_removals_in_a_list_are_named_by_their_representation() -> None:
    case, named = pictures(2)
    backgrounds = [Marginal(case.rows.x[:1]), Marginal(case.rows.x[1:])]
    found = assay.settings_grid(named, case, "deletion", removals=[Constant(0.0), *backgrounds], steps=(2,))
    names = [setting.removal for setting in found.settings]
    assert names[0] == "Constant(0.0)"
    assert len(set(names)) == 3


def test_frames_and_lines() -> None:
    _, found = wide()
    assert len(found.to_frame()) == 16 * 4
    assert list(found.to_frame().columns[:5]) == ["removal", "target", "steps", "sign", "method"]
    assert len(found.to_frame("settings")) == 16 * 15 / 2
    assert len(found.to_frame("rows")) == 16 * 4 * 6
    assert len(repr(found).splitlines()) <= 6
    with pytest.raises(InputError, match="methods, settings, rows"):
        found.to_frame("pairs")  # type: ignore[arg-type]  # a caller's mistake


def test_explanations_and_the_case_are_unchanged() -> None:
    case, named = pictures(2)
    before = {name: one.values.copy() for name, one in named.items()}
    assay.settings_grid(named, case, "deletion", targets=("probability",), signs=("absolute",), steps=(2,))
    assert all((before[name] == one.values).all() for name, one in named.items())
    assert case.sibling_targets == ()


def test_without_a_removal_a_table_uses_its_own_rows_and_the_setting_says_so() -> None:
    case = additive()
    found = assay.settings_grid(explanations_of(case), case, "deletion")
    own = assay.settings_grid(explanations_of(case), case, "deletion", removals=[Marginal(case.rows.x)])
    assert_array_equal(found.values, own.values)
    assert found.settings[0].removal == "Marginal(<5 of the 5 rows explained>)"
    assert assay.settings_cost(3, case, "deletion").forwards == 5 + 3 * 3 * 5 * 5
