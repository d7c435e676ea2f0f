"""A score put to the test: good ones pass, blind ones and restless ones are named, with their figures."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tests.contract.subjects import neural

import assay
from assay import evaluate, examples, explain
from assay.basics.errors import InputError
from assay.basics.types import PerRow
from assay.cases.case import Case
from assay.engine.cost import free
from assay.engine.declare import scorer
from assay.nouns.catalogue import leave
from assay.nouns.results.result import Explanation

ZERO = assay.Constant(0.0)


def linear(rows: int = 40, parts: int = 8) -> Case:
    """A linear function, whose contributions are known."""
    generator = np.random.default_rng(0)
    x, weights = generator.normal(size=(rows, parts)), generator.normal(size=parts)
    return examples.analytic(lambda x: x @ weights, lambda x: np.tile(weights, (len(x), 1)), x, "linear")


@pytest.fixture
def odd_scores() -> Iterator[dict[str, Any]]:
    """Unreliable scores."""

    @scorer(source="assay2026", better="higher", cost=free)
    def largest(explanation: Explanation, case: Case) -> PerRow:
        """The largest magnitude, wherever it lies: shuffling does not change it."""
        return np.abs(explanation.values).max(axis=1)

    @scorer(source="assay2026", better="higher", cost=free)
    def digits(explanation: Explanation, case: Case) -> PerRow:
        """Far digits of the first value: changed wholly by the least noise."""
        return np.asarray(1e6 * explanation.values[:, 0] % 1.0)

    @scorer(source="assay2026", better="higher", cost=free)
    def gappy(explanation: Explanation, case: Case) -> PerRow:
        """Agreement with the gradient times the input, on all rows but three."""
        close = -np.abs(explanation.values - explain.input_x_gradient(case).values).sum(axis=1)
        return np.where(np.arange(len(case)) < 3, np.nan, close)

    yield {"largest": largest, "digits": digits, "gappy": gappy}
    for one in (largest, digits, gappy):
        leave(one.method)


@pytest.mark.parametrize("score", ["deletion", "faithfulness_correlation", "comprehensiveness"])
def test_a_good_score_of_a_good_explanation_is_reliable(score: str) -> None:
    case = linear()
    found = assay.meta_evaluation(score, explain.integrated_gradients(case), case)
    assert found.verdict == "reliable", found
    assert found.reactivity["shuffled"].estimate > 0.9
    assert found.reasons == ()


def test_an_unreactive_score_is_unreliable_with_its_figures(odd_scores: dict[str, Any]) -> None:
    case = linear()
    found = assay.meta_evaluation(odd_scores["largest"], explain.integrated_gradients(case), case)
    assert found.verdict == "unreliable"
    assert found.reactivity["shuffled"].estimate == 0.5
    assert "does not distinguish the explanation from shuffled ones: AUROC 0.50" in found.reasons[0]


def test_an_unstable_score_is_unreliable(odd_scores: dict[str, Any]) -> None:
    case = linear(80)
    found = assay.meta_evaluation(odd_scores["digits"], explain.integrated_gradients(case), case)
    assert found.verdict == "unreliable"
    assert found.noise_resilience["explanation"][0].estimate < 0.4
    assert any("is unstable under tiny noise of the explanation" in reason for reason in found.reasons)


def test_a_score_with_equal_values_on_all_rows_is_not_called_unstable() -> None:
    case = linear()
    found = assay.meta_evaluation(
        "faithfulness_correlation", explain.integrated_gradients(case), case, options={"remove": ZERO}
    )
    icc, ratio = found.noise_resilience["explanation"]
    assert icc.holds is not True
    assert ratio.holds is True


def test_the_estimates_follow_from_the_stored_scores() -> None:
    case = linear()
    explanation = explain.integrated_gradients(case)
    found = assay.meta_evaluation(evaluate.deletion, explanation, case, randoms=4, options={"remove": ZERO})
    own = evaluate.deletion(explanation, case, remove=ZERO).values
    np.testing.assert_allclose(found.scores["given"], own)
    wins = np.mean(own[:, None] < found.scores["shuffled"], axis=1)
    assert found.reactivity["shuffled"].estimate == pytest.approx(wins.mean())
    noisy = found.scores["explanation"]
    chance = np.concatenate([found.scores["shuffled"], found.scores["random"]], axis=1)
    ratio = np.abs(noisy - own[:, None]).mean() / np.abs(chance - own[:, None]).mean()
    assert found.noise_resilience["explanation"][1].estimate == pytest.approx(ratio)


def test_inputs_may_be_perturbed_too_and_the_cost_is_counted() -> None:
    case = neural()
    explanation = explain.integrated_gradients(case)
    found = assay.meta_evaluation("deletion", explanation, case, ball=assay.Ball("linf", 0.001), draws=2, randoms=2)
    assert set(found.noise_resilience) == {"explanation", "input"}
    assert found.scores["input"].shape == (3, 2)
    assert found.cost["backwards"] > 0
    np.testing.assert_allclose(found.scores["input"], np.tile(found.scores["given"], (2, 1)).T, atol=0.02)


def test_undefined_rows_are_left_out_and_counted(odd_scores: dict[str, Any]) -> None:
    case = linear()
    found = assay.meta_evaluation(odd_scores["gappy"], explain.input_x_gradient(case), case)
    assert found.left_out == 3
    assert found.reactivity["random"].rows == 37
    assert found.verdict == "reliable"


def test_rows_are_the_same_alone_or_together() -> None:
    case = linear(6)
    options: dict[str, Any] = {"draws": 2, "randoms": 2, "options": {"remove": ZERO}}
    whole = assay.meta_evaluation("deletion", explain.integrated_gradients(case), case, **options)
    some = case.take([1, 4])
    part = assay.meta_evaluation("deletion", explain.integrated_gradients(some), some, **options)
    for name in whole.scores:
        np.testing.assert_allclose(part.scores[name], whole.scores[name][[1, 4]])


def test_unsuitable_scores_are_refused() -> None:
    case = neural()
    explanation = explain.saliency(case)
    with pytest.raises(InputError, match="no better direction"):
        assay.meta_evaluation("sparseness", explanation, case)
    with pytest.raises(InputError, match="computes explanations again"):
        assay.meta_evaluation("parameter_randomisation", explanation, case)
    with pytest.raises(InputError, match="noise=0"):
        assay.meta_evaluation("deletion", explanation, case, noise=0.0)
    with pytest.raises(InputError, match="is not a score"):
        assay.meta_evaluation(explain.saliency, explanation, case)  # type: ignore[arg-type]  # refused in our words


def test_the_frame_has_a_line_a_check_and_the_view_is_short() -> None:
    case = linear(10)
    found = assay.meta_evaluation("deletion", explain.integrated_gradients(case), case)
    assert found.to_frame().of.tolist() == ["explanation", "explanation", "shuffled", "random"]
    assert len(repr(found).splitlines()) <= 6
