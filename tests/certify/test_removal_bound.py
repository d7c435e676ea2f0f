# SPDX-License-Identifier: Apache-2.0
"""Bounds on removal-based explanations: the operators written out, and nets whose Lipschitz constant is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tests.contract.nets import filled, net

import assay
from assay import certify, explain
from assay.basics.errors import CapabilityError, InputError
from assay.certify.removal_bound import ROW_NORMS, euclidean_radius
from assay.engine.coalitions.estimator import Design, all_masks, bernoulli, exact_banzhaf, exact_shapley
from assay.engine.recompute import recompute
from assay.nouns.catalogue import Cost

ZERO = assay.Constant(0.0)
EXACT = {"leave_one_out": {}, "shapley": {}, "banzhaf": {}, "rise": {}}


def operator(name, parts):
    """A (part, mask) with φ = A v, from the library's own estimators at unit games."""
    masks = all_masks(parts)
    games = np.eye(len(masks))
    if name == "leave_one_out":
        full = games[-1][None, :]
        return np.stack([full[0] - games[len(masks) - 1 - (1 << part)] for part in range(parts)])
    estimator = {"shapley": exact_shapley, "banzhaf": exact_banzhaf, "rise": bernoulli(0.5)}[name]
    design = estimator.design(parts, 2**parts, assay.Seed(0)) if name == "rise" else Design(masks)
    return estimator.estimate(design, games).values.T


@pytest.mark.parametrize("parts", range(4, 12))
@pytest.mark.parametrize("name", EXACT)
def test_the_row_norms_are_those_of_the_operators_written_out(name, parts):
    assert_allclose(np.abs(operator(name, parts)).sum(axis=1), ROW_NORMS[name], rtol=1e-9)


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("parts", [4, 7, 10])
def test_no_game_whose_values_move_by_the_length_of_what_it_sees_moves_the_explanation_further(name, parts):
    """The worst game moves v(S) by ±‖δ_S‖; each value then moves by Σ_S |A_iS| ‖δ_S‖."""
    generator = np.random.default_rng(parts)
    matrix, masks = np.abs(operator(name, parts)), all_masks(parts)
    factor = np.sqrt(2) if name in ("shapley", "banzhaf") else ROW_NORMS[name]
    shares = []
    for spread in (0.05, 0.5, 1.0, 5.0):
        delta = generator.gamma(spread, size=(20, parts))
        delta[0] = 1.0
        seen = np.sqrt((delta**2) @ masks.T)
        moved = np.linalg.norm(seen @ matrix.T, axis=1)
        shares.append(moved / (factor * np.sqrt(parts) * np.linalg.norm(delta, axis=1)))
    assert np.max(shares) <= 1 + 1e-9
    assert np.max(shares) > 0.6  # and it is not vacuous


def lipschitz_case(seed, rows=3, parts=5):
    """A random net of one layer with the product of its spectral norms, which bounds its Lipschitz constant."""
    generator = np.random.default_rng(seed)
    first, second = generator.normal(size=(parts, 8)), generator.normal(size=8)
    model = assay.model.function(
        lambda x: np.abs(x @ first) @ second if seed % 2 else np.tanh(x @ first) @ second,
        gives="values",
        fingerprint=f"lipschitz {seed}",
    )
    constant = float(np.linalg.norm(first, 2) * np.linalg.norm(second))
    return assay.case(model, generator.normal(size=(rows, parts))), constant


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("ball", [assay.Ball("l2", 0.4), assay.Ball("linf", 0.2), assay.Ball("l1", 0.5)], ids=repr)
def test_no_input_in_the_ball_changes_the_explanation_beyond_the_bound(name, seed, ball):
    case, constant = lipschitz_case(seed)
    for remove in (ZERO, assay.Marginal(np.random.default_rng(9).normal(size=(3, 5)))):
        values = getattr(explain, name)(case, remove=remove)
        found = certify.removal_bound(values, case, ball, lipschitz=constant)
        assert found.guarantee == "exact"
        for draw in range(4):
            moved = recompute(values, case.at(ball.draw(case.rows, assay.Seed(draw), edge=True)))
            assert (np.linalg.norm(moved.values - values.values, axis=1) <= found.change).all()


def test_a_linear_model_is_bounded_by_the_formula():
    case = assay.examples.linear((3.0, -4.0))
    values = explain.shapley(case, remove=ZERO)
    found = certify.removal_bound(values, case, assay.Ball("l2", 0.1), lipschitz=5.0)
    assert_allclose(found.change, 5.0 * np.sqrt(2) * np.sqrt(2) * 0.1)
    assert_allclose(found.extra["relative"], found.change / np.linalg.norm(values.values, axis=1))
    assert found.control["change"].tolist() == [0.0] * len(case)


def test_the_gradient_of_a_linear_model_is_found_without_a_constant():
    case = assay.examples.linear((3.0, -4.0))
    found = certify.removal_bound(explain.shapley(case, remove=ZERO), case, assay.Ball("l2", 0.1), draws=2)
    assert_allclose(found.extra["lipschitz"], 5.0)
    assert found.guarantee == "empirical"
    assert found.confidence == 0.0
    assert "empirical" in {note.code for note in found.notes}


def test_the_constant_found_grows_with_the_draws_and_stays_below_the_true_one():
    x = torch.as_tensor(np.random.default_rng(0).normal(size=(4, 4)))
    case = assay.case(assay.wrap(net()), x, target="logit", label=0)
    values = explain.occlusion(case, remove=ZERO)
    few, many = (
        certify.removal_bound(values, case, assay.Ball("l2", 1.0), draws=n).extra["lipschitz"] for n in (2, 20)
    )
    weights = [p.detach().numpy() for p in case.model.net.parameters() if p.ndim == 2]
    upper = np.prod([np.linalg.norm(w, 2) for w in weights])
    assert (few <= many).all()
    assert (few < many).any()
    assert (many <= upper * 1.2).all()  # smooth activations have slopes up to about 1.13


@pytest.mark.parametrize("remove", [ZERO, assay.Marginal(np.eye(4) * 2)], ids=["one filling", "four fillings"])
@pytest.mark.parametrize("name", ["shapley", "leave_one_out"])
def test_a_constant_from_propagated_intervals_is_above_the_gradients_found_and_the_bound_holds(name, remove):
    layers = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.ReLU(), torch.nn.Linear(6, 3)).double()
    x = np.random.default_rng(0).normal(size=(3, 4))
    case = assay.case(assay.wrap(filled(layers, 1)), torch.as_tensor(x), target="logit", label=2)
    values, ball = getattr(explain, name)(case, remove=remove), assay.Ball("l2", 0.5)
    proved = certify.removal_bound(values, case, ball, propagate=True)
    found = certify.removal_bound(values, case, ball, draws=60)
    assert (proved.guarantee, found.guarantee) == ("exact", "empirical")
    assert (proved.extra["lipschitz"] >= found.extra["lipschitz"]).all()
    assert (proved.extra["lipschitz"] < 5 * found.extra["lipschitz"]).all()
    for draw in range(20):
        moved = recompute(values, case.at(ball.draw(case.rows, assay.Seed(draw), edge=True)))
        assert (np.linalg.norm(moved.values - values.values, axis=1) <= proved.change).all()
    with pytest.raises(CapabilityError, match="'logit' or 'value'"):
        certify.removal_bound(values, case.with_target("probability"), ball, propagate=True)
    with pytest.raises(InputError, match="not both"):
        certify.removal_bound(values, case, ball, propagate=True, lipschitz=1.0)


@pytest.mark.parametrize("batch", [2, 4096])
@pytest.mark.parametrize("remove", [ZERO, assay.Marginal(np.eye(4))], ids=["one filling", "four fillings"])
def test_evaluations_are_those_declared_and_every_filling_is_tried(remove, batch):
    from assay.engine.cost import cost_of

    model = replace(assay.wrap(net()), batch=batch)
    case = assay.case(model, torch.as_tensor(np.ones((3, 4))), target="logit", label=0)
    values = explain.occlusion(case, remove=remove)
    _ = case.prediction
    before = model.meter.forwards, model.meter.backwards
    found = certify.removal_bound(values, case, assay.Ball("l2", 1.0), draws=8)
    declared = cost_of(certify.removal_bound.method, case, {"draws": 8})
    assert Cost(model.meter.forwards - before[0], model.meter.backwards - before[1]) == declared == Cost(24, 24)
    assert (found.extra["lipschitz"] > 0).all()


def test_conditional_removal_needs_how_fast_the_distribution_moves():
    case, constant = lipschitz_case(1)
    values = explain.shapley(case, remove=assay.Conditional(np.random.default_rng(2).normal(size=(20, 5)), k=3))
    ball = assay.Ball("l2", 0.1)
    with pytest.raises(CapabilityError, match="total variation"):
        certify.removal_bound(values, case, ball, lipschitz=constant)
    found = certify.removal_bound(values, case, ball, lipschitz=2.0, shift=0.5, magnitude=3.0)
    assert_allclose(found.change, (2.0 + 2 * 3.0 * 0.5) * 2 * np.sqrt(5) * 0.1)


def test_elements_in_no_feature_are_seen_by_every_set_and_take_the_looser_form():
    """f is ± the element that is never removed: a feature's value moves by twice as much as it does."""
    features = assay.Features(np.array([0, 1, 2, 3, -1]), tuple("abcd"))

    def product(x):
        return x[:, 4] * np.where(x[:, 0] > 0.5, 1.0, -1.0)

    case = assay.case(assay.model.function(product, gives="values"), np.ones((1, 5)), features=features)
    values = explain.banzhaf(case, remove=ZERO)
    found = certify.removal_bound(values, case, assay.Ball("l2", 0.3), lipschitz=1.0)
    moved = recompute(values, case.at(np.array([[1.0, 1.0, 1.0, 1.0, 1.3]])))
    change = np.linalg.norm(moved.values - values.values, axis=1)
    assert_allclose(found.change, 2 * np.sqrt(4) * 0.3)
    assert_allclose(change, 2 * 0.3)
    assert (change <= found.change).all()


def test_sampled_values_are_bounded_without_the_tighter_form_and_noted():
    generator = np.random.default_rng(3)
    weights = generator.normal(size=12)
    model = assay.model.function(lambda x: np.tanh(x @ weights), gives="values")
    case = assay.case(model, generator.normal(size=(2, 12)))
    values = explain.shapley(case, remove=ZERO, budget=64)
    found = certify.removal_bound(values, case, assay.Ball("l2", 0.1), lipschitz=1.0)
    assert_allclose(found.change, 2 * np.sqrt(12) * 0.1)
    assert "sampled" in {note.code for note in found.notes}


@pytest.mark.parametrize(
    ("ball", "length"),
    [
        (assay.Ball("l2", 0.5), 0.5),
        (assay.Ball("l1", 0.5), 0.5),
        (assay.Ball("linf", 0.5), 1.0),
        (assay.Ball("l0", 2, -1.0, 2.0), 3 * np.sqrt(2)),
        (assay.Ball("linf", 0.5, scale=(1.0, 0.0, 2.0, 0.0)), 0.5 * np.sqrt(5)),
        (assay.Ball("l2", 0.5, scale=(1.0, 0.0, 2.0, 0.0)), 1.0),
    ],
    ids=repr,
)
def test_the_euclidean_radius_is_the_largest_length_in_the_ball(ball, length):
    case = assay.case(assay.model.function(lambda x: x.sum(axis=1)), np.zeros((1, 4)))
    assert_allclose(euclidean_radius(ball, case), length)
    points = np.concatenate([ball.draw(case.rows, assay.Seed(i), edge=True) for i in range(300)])
    lengths = np.linalg.norm(points, axis=1)
    assert lengths.max() <= length + 1e-9


def test_what_has_no_such_operator_is_refused_by_name():
    case = assay.examples.linear((3.0, -4.0))
    with pytest.raises(CapabilityError, match="saliency is none of them"):
        certify.removal_bound(explain.saliency(case), case, assay.Ball("l2", 0.1), lipschitz=1.0)
    with pytest.raises(InputError, match="lipschitz"):
        certify.removal_bound(explain.shapley(case, remove=ZERO), case, assay.Ball("l2", 0.1), lipschitz=-1.0)
    from tests.contract.subjects import visual

    pictures = visual()
    blurred = explain.occlusion(pictures, remove=assay.Blur(2.0))
    with pytest.raises(CapabilityError, match="depends on the row"):
        certify.removal_bound(blurred, pictures, assay.Ball("l2", 0.1), lipschitz=1.0)
