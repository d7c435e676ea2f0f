from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tests.evaluate.settings import curved, digits, replace_values
from tests.oracles.rank_correlation import spearman

from assay import Constant, evaluate, explain, grid, model
from assay.basics.errors import CapabilityError, InputError
from assay.cases.new_case import case
from assay.engine.declare import explainer
from assay.engine.recompute import recompute
from assay.model.transformations.randomise_weights import layer_names, randomise_weights
from assay.nouns.catalogue import leave


def _after(question: Any, e: Any, layers: tuple[str, ...]) -> Any:
    other = randomise_weights(question.model, question.seed.child("scramble"), layers=layers)
    return recompute(e, replace(question, model=other)).values


def test_it_equals_the_literal_rank_correlation_with_a_scrambled_net() -> None:
    question = digits(3)
    e = explain.saliency(question, signed=True)
    after = _after(question, e, layer_names(question.model))
    score = evaluate.parameter_randomisation(e, question)
    assert_allclose(score.values, [spearman(abs(a), abs(b)) for a, b in zip(e.values, after)])
    assert_allclose(score.extra["signed"], [spearman(a, b) for a, b in zip(e.values, after)])


def test_extra_has_signed_and_absolute_and_one_is_the_score() -> None:
    question = digits(3)
    e = explain.saliency(question, signed=True)
    chosen, other = (evaluate.parameter_randomisation(e, question, absolute=a) for a in (True, False))
    assert_allclose(chosen.values, chosen.extra["absolute"])
    assert_allclose(other.values, other.extra["signed"])
    assert not np.allclose(chosen.values, other.values)


def test_the_cascade_is_the_mean_over_growing_sets_of_places_without_the_intact_net() -> None:
    question = digits(2)
    e = explain.saliency(question, signed=True)
    layers = layer_names(question.model)
    stages = [_after(question, e, layers[: k + 1]) for k in range(len(layers))]
    expected = [np.mean([spearman(abs(e.values[r]), abs(s[r])) for s in stages]) for r in range(2)]
    score = evaluate.parameter_randomisation(e, question, cascade=True)
    assert_allclose(score.values, expected)
    assert_allclose(score.extra[layers[0]], [spearman(abs(e.values[r]), abs(stages[0][r])) for r in range(2)])
    assert_allclose(score.extra["stages"], len(layers))


def test_fewer_stages_are_some_of_the_cascade_and_end_with_all() -> None:
    question = digits(2)
    e = explain.saliency(question, signed=True)
    layers = layer_names(question.model)
    count = len(layers)
    whole = evaluate.parameter_randomisation(e, question, cascade=True)
    forwards = question.model.meter.forwards
    some = evaluate.parameter_randomisation(e, question, cascade=True, stages=2)
    assert question.model.meter.forwards == forwards  # nets that the whole cascade drew
    ends = [layers[round(count / 2) - 1], layers[-1]]
    assert_allclose(some.values, np.mean([whole.extra[end] for end in ends], axis=0))
    assert_allclose(some.extra["stages"], 2)
    more = evaluate.parameter_randomisation(e, question, cascade=True, stages=count + 5)
    assert_allclose(more.values, whole.values)


@pytest.mark.parametrize("options", [{"stages": 2}, {"stages": -1, "cascade": True}])
def test_stages_are_of_a_cascade(options: dict[str, Any]) -> None:
    question = digits(1)
    with pytest.raises(InputError, match="stages="):
        evaluate.parameter_randomisation(explain.saliency(question), question, **options)


def test_the_last_stage_of_the_cascade_is_the_net_all_scrambled() -> None:
    question = digits(2)
    e = explain.saliency(question, signed=True)
    whole = evaluate.parameter_randomisation(e, question).values
    last = evaluate.parameter_randomisation(e, question, cascade=True).extra[layer_names(question.model)[-1]]
    assert_allclose(last, whole)


def test_an_explanation_that_shows_the_input_only_stays_as_it_is() -> None:
    @explainer(source="test2026")
    def shown(case: Any) -> Any:
        """The input itself."""
        return case.rows.x

    try:
        question = digits(3)
        assert_allclose(evaluate.parameter_randomisation(shown(question), question).values, 1.0)
    finally:
        leave(shown.method)


def test_a_gradient_forgets_more_than_the_input_it_is_multiplied_with() -> None:
    question = digits(6)
    gradient = evaluate.parameter_randomisation(explain.saliency(question), question).mean
    by_input = evaluate.parameter_randomisation(explain.integrated_gradients(question, steps=4), question).mean
    assert gradient < 0.4 < by_input  # x = 0 outside the digit in both nets


def test_a_constant_explanation_is_undefined() -> None:
    question = digits(2)
    same = replace_values(explain.saliency(question), np.full((2, 64), 0.1))
    score = evaluate.parameter_randomisation(same, question)
    assert not score.defined.any()


def test_explanations_by_removal_are_remade_on_the_scrambled_net() -> None:
    question = digits(2, features=grid((1, 8, 8), 4))
    e = explain.shapley(question, remove=Constant(0.0))
    score = evaluate.parameter_randomisation(e, question)
    after = _after(question, e, layer_names(question.model))
    assert_allclose(score.values, [spearman(abs(a), abs(b)) for a, b in zip(e.values, after)])
    assert score.provenance.cost["forwards"] >= 2 * 15


def test_the_label_stays_when_the_randomised_net_predicts_another() -> None:
    question = digits(6)
    e = explain.saliency(question, signed=True)
    other = replace(question, model=randomise_weights(question.model, question.seed.child("scramble")))
    assert (other.predicted(question.rows.x) != question.label).any()
    expected = spearman(abs(e.values[0]), abs(explain.saliency(other, signed=True).values[0]))
    assert_allclose(evaluate.parameter_randomisation(e, question).values[0], expected)


def test_a_small_transformer_forgets_attention_and_class_token() -> None:
    class Small(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token = torch.nn.Parameter(torch.randn(1, 1, 8))
            self.attention = torch.nn.MultiheadAttention(8, 2, batch_first=True)
            self.head = torch.nn.Linear(8, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            z = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1)
            return torch.as_tensor(self.head(self.attention(z, z, z)[0][:, 0]))

    with torch.random.fork_rng():
        torch.manual_seed(0)
        question = case(model.torch(Small().eval()), torch.randn(3, 5, 8))
    e = explain.saliency(question, signed=True)
    score = evaluate.parameter_randomisation(e, question, cascade=True)
    assert {"head", "attention.out_proj", "attention", "the net itself"} <= set(score.extra)
    assert (score.extra["attention"] < 0.9).all()


def test_models_without_weights_are_refused_with_the_reason() -> None:
    question = curved()
    with pytest.raises(CapabilityError, match="needs a torch net's weights"):
        evaluate.parameter_randomisation(explain.saliency(question), question)


def test_q9_the_intact_nets_likeness_of_one_is_in_no_mean() -> None:
    question = digits(3)
    e = explain.saliency(question, signed=True)
    score = evaluate.parameter_randomisation(e, question, cascade=True)
    stages = np.stack([score.extra[place] for place in layer_names(question.model)])
    assert_allclose(score.values, stages.mean(axis=0))
    assert (np.abs(score.values - np.vstack([stages, np.ones(3)]).mean(axis=0)) > 0.05).all()


class Attending(torch.nn.Module):
    """A class token of its own, and attention."""

    def __init__(self) -> None:
        super().__init__()
        self.token = torch.nn.Parameter(torch.randn(1, 1, 8))
        self.layer = torch.nn.TransformerEncoderLayer(8, 2, dim_feedforward=12, dropout=0.0, batch_first=True)
        self.head = torch.nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1)
        return torch.as_tensor(self.head(self.layer(z)[:, 0]))


@pytest.mark.parametrize(
    "score", [evaluate.parameter_randomisation, evaluate.efficient_parameter_randomisation, "smooth"]
)
def test_q10_every_parameter_is_randomised_those_of_a_transformer_too(score: Any, monkeypatch: Any) -> None:
    from assay import Ball
    from assay.engine.retraining import randomised_weights as randomised

    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = Attending().eval()
        question = case(model.torch(net), torch.randn(3, 5, 8))
    nets: list[Any] = []

    def watched(*args: Any, **kwargs: Any) -> Any:
        nets.append(randomise_weights(*args, **kwargs))
        return nets[-1]

    monkeypatch.setattr(randomised, "randomise_weights", watched)
    e = explain.saliency(question, signed=True)
    if score == "smooth":
        evaluate.smooth_parameter_randomisation(e, question, ball=Ball("linf", 0.01), draws=2)
    else:
        score(e, question)
    (lost,) = nets
    before, after = dict(net.named_parameters()), dict(lost.net.named_parameters())
    assert {"token", "layer.self_attn.in_proj_weight"} <= set(before)
    fixed = [name for name in before if bool((before[name] == after[name]).any())]
    assert fixed == []
    unchanged = [a for a in after if "norm" in a and torch.equal(after[a], after["layer.norm1.weight"])]
    assert unchanged == ["layer.norm1.weight"]  # tensors of equal shape get different values


def test_values_that_differ_by_rounding_are_tied() -> None:
    from assay.engine.retraining.randomised_weights import rank_correlations

    question = digits(1, features=grid((1, 8, 8), 4))
    a, b = np.array([[1.0, 2.0, 2.0 + 4e-16, 3.0]]), np.array([[4.0, 5.0, 5.0 - 9e-16, 7.0]])
    assert_allclose(rank_correlations(a, b, question)["signed"], 1.0)
    assert_allclose(
        rank_correlations(a, b + np.array([[0, 0, 1e-9, 0]]), question)["signed"], spearman([1, 2, 2, 3], [1, 2, 3, 4])
    )
