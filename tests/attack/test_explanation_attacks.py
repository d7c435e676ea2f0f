# SPDX-License-Identifier: Apache-2.0
"""Attacks on explanations: the centre of mass, a target map, and the search without gradients."""

from itertools import product

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from sklearn.ensemble import RandomForestClassifier
from tests.attack.test_top_k import BALL, digits
from tests.contract.subjects import SUBJECTS, required_options
from torch import nn

import assay
from assay import attack, explain
from assay.basics.errors import CapabilityError, InputError
from assay.engine.attributions.map_objectives import centre_objective, normalised, target_objective
from assay.engine.cost import cost_of
from assay.nouns.catalogue import Cost, find
from assay.nouns.inputs.features import grid


class Cubic(nn.Module):
    """Σ x³ / 3 as the score of the predicted class: the saliency of an element is its square."""

    def forward(self, x):
        score = (x**3 / 3).flatten(1).sum(dim=1, keepdim=True)
        return torch.cat([score, score - 10.0], dim=1)


def cubic(x):
    return assay.case(assay.model.torch(Cubic()), np.asarray(x, dtype=float))


def image_case(rows=16, patch=0):
    model, x = digits()
    return assay.case(model, x[:rows], features=grid((1, 8, 8), patch) if patch else None)


def test_the_shift_of_the_centre_is_the_closed_form():
    """Of two pixels with saliency x₁² and x₂², the centre is x₂² / (x₁² + x₂²); corners of the ball are extreme."""
    case = cubic([[[[1.0, 1.0]]]])
    found = attack.mass_centre(explain.saliency(case), case, assay.Ball("linf", 0.1), steps=25)
    np.testing.assert_allclose(found.after, 1.1**2 / (1.1**2 + 0.9**2) - 0.5, atol=1e-6)
    assert found.before.tolist() == [0.0]
    assert found.quantity == "shift of the centre of mass"


@pytest.mark.parametrize("shape", [(2, 6), (1, 4, 5), (2, 3, 4, 2)])
def test_the_centre_of_mass_is_that_of_a_loop_over_all_elements(shape):
    generator = np.random.default_rng(0)
    values, moved = generator.normal(size=(2, 3, np.prod(shape)))
    case = assay.case(assay.model.torch(Cubic()), np.ones((3, *shape)))
    explained = explain.saliency(case)
    object.__setattr__(explained, "values", values)

    def centre(one):
        total, place = np.abs(one).sum(), np.zeros(len(shape) - 1)
        for element, index in enumerate(np.ndindex(*shape)):
            place += np.abs(one[element]) / total * np.array(index[1:])
        return place

    shift = [np.linalg.norm(centre(after) - centre(before)) for before, after in zip(values, moved)]
    objective = centre_objective(explained, case)
    np.testing.assert_allclose(objective.measure(moved), shift)
    np.testing.assert_allclose(objective.ascent(torch.tensor(moved)).numpy(), np.square(shift))


def test_a_target_within_reach_is_reached():
    case = cubic([[1.0, 0.9], [0.9, 1.0]])
    found = attack.target_map(explain.saliency(case), case, assay.Ball("linf", 0.1), steps=20)
    np.testing.assert_allclose(found.after, 0.0, atol=1e-8)  # the map of the other row
    np.testing.assert_allclose(found.x, case.rows.x.numpy()[::-1], atol=1e-6)
    assert found.success.all()


def test_the_distance_from_a_target_is_that_of_normalised_sizes():
    case = image_case(4)
    made = explain.input_x_gradient(case)
    toward = np.random.default_rng(1).normal(size=made.values.shape)
    found = attack.target_map(made, case, BALL, toward=toward, steps=3)
    again = np.abs(explain.input_x_gradient(case.at(torch.tensor(found.x))).values)
    sizes = again / again.sum(axis=1, keepdims=True)
    target = np.abs(toward) / np.abs(toward).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found.after, ((sizes - target) ** 2).sum(axis=1), rtol=1e-5)


@pytest.mark.parametrize("name", ["mass_centre", "target_map"])
def test_both_change_a_trained_net_more_than_random_perturbations_do_and_keep_every_class(name):
    case = image_case()
    made = explain.saliency(case)
    found = getattr(attack, name)(made, case, BALL, steps=12)
    gain = (found.random - found.after) * (1 if name == "target_map" else -1)
    assert gain.mean() > 0.15 * found.random.mean()
    np.testing.assert_array_equal(found.success, gain > 0)
    np.testing.assert_array_equal(case.predicted(torch.tensor(found.x)), case.predicted(case.rows.x))
    assert found.prediction_unchanged.all()
    assert (np.abs(found.x - case.rows.x.numpy()).max(axis=(1, 2, 3)) <= 0.1 + 1e-6).all()
    assert {note.code for note in found.notes} == {"surrogate"}


def test_a_heavier_output_weight_holds_the_probabilities_closer():
    case = image_case()
    made = explain.saliency(case)

    def change(weight):
        found = attack.target_map(made, case, assay.Ball("linf", 0.2, 0.0, 1.0), steps=10, output_weight=weight)
        return np.abs(case.at(torch.tensor(found.x)).output - case.output).mean()

    assert change(1000.0) < 0.5 * change(0.0)


EXPLAINERS = {
    "occlusion": {"remove": assay.Constant(0.0)},
    "shapley": {"remove": assay.Constant(0.0), "budget": 40},
    "lime": {"remove": assay.Constant(0.0), "budget": 40},
    "grad_cam": {"layer": "1"},
}


@pytest.mark.parametrize("name", EXPLAINERS)
def test_the_search_changes_explanations_without_a_derivative_more_than_random_perturbations_do(name):
    case = image_case(8, patch=0 if name == "grad_cam" else 2)
    made = getattr(explain, name)(case, **EXPLAINERS[name])
    with pytest.raises(CapabilityError, match="explanation_search needs no gradient"):
        attack.top_k(made, case, BALL)
    found = attack.explanation_search(made, case, assay.Ball("linf", 0.3, 0.0, 1.0), k=0.25, queries=20)
    assert found.after.mean() < found.random.mean()
    assert found.prediction_unchanged.all()
    assert (found.distance <= 0.3 + 1e-6).all()


def test_the_search_finds_the_best_corner_of_a_square():
    case = cubic([[1.0, 0.9], [0.3, 0.2]])
    made = explain.saliency(case)
    toward = np.array([[0.2, 0.8], [0.9, 0.1]])
    objective, radius = target_objective(made, toward), 0.15
    corners = [case.rows.x.numpy() + radius * np.array(signs) for signs in product([-1.0, 1.0], repeat=2)]
    best = np.min([objective.measure(corner**2) for corner in corners], axis=0)
    ball = assay.Ball("linf", radius)
    found = attack.explanation_search(made, case, ball, objective="target_map", toward=toward, k=0.5, queries=60)
    assert (found.after <= best + 0.01).all()
    assert (found.after < objective.measure(case.rows.x.numpy() ** 2)).all()


def test_the_search_explains_forests_and_asks_for_so_many_explanations():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(200, 5))
    model = assay.wrap(RandomForestClassifier(10, random_state=0).fit(x, x[:, 0] + x[:, 1] > 0))
    case = assay.case(model, x[:6])
    made = explain.occlusion(case, remove=assay.Constant(0.0))
    found = attack.explanation_search(made, case, assay.Ball("linf", 0.5), k=0.2, queries=12)
    assert found.after.mean() < found.random.mean()
    assert found.validity["queries"] == 12
    part = case.take([4, 1])
    alone = attack.explanation_search(
        explain.occlusion(part, remove=assay.Constant(0.0)), part, assay.Ball("linf", 0.5), k=0.2, queries=12
    )
    np.testing.assert_array_equal(alone.x, found.x[[4, 1]])


@pytest.mark.parametrize("name", ["top_k", "explanation_search"])
def test_the_report_has_overlap_and_rank_correlation_of_the_explanation_computed_again(name):
    case = image_case(6)
    made = explain.saliency(case)
    found = getattr(attack, name)(made, case, BALL, k=0.2, **({"steps": 4} if name == "top_k" else {"queries": 4}))
    again = explain.saliency(case.at(torch.tensor(found.x))).values
    expected = [spearmanr(np.abs(one), np.abs(two)).statistic for one, two in zip(made.values, again)]
    np.testing.assert_allclose(found.extra["rank_correlation"], expected, atol=1e-6)
    np.testing.assert_array_equal(found.extra["top_k_overlap"], found.after)
    np.testing.assert_array_equal(found.extra["random_top_k_overlap"], found.random)
    mean = found.validity["top_k_overlap"]
    assert mean["low"] < mean["mean"] == found.after.mean() < mean["high"]
    assert found.validity["evaluated"] == case.model.name
    assert "robust accuracy" not in repr(found)


def test_another_seed_changes_what_samples_only():
    case = image_case(4, patch=2)
    ball = assay.Ball("linf", 0.1, 0.0, 1.0)
    for name, options, changes in (("occlusion", {}, False), ("lime", {"budget": 24}, True)):
        made = getattr(explain, name)(case, remove=assay.Constant(0.0), **options)
        found = attack.explanation_search(made, case, ball, queries=1)
        assert ((found.extra["reseeded_rank_correlation"] < 1 - 1e-9).all()) == changes


def test_flat_maps_stay_zero_and_are_counted():
    np.testing.assert_array_equal(normalised(np.zeros((2, 3))), 0.0)
    case = assay.case(assay.model.torch(nn.Linear(5, 3)), np.ones((2, 5)))
    made = explain.constant(case)
    found = attack.explanation_search(made, case, assay.Ball("linf", 0.1), k=0.2, queries=2)
    assert found.validity["constant_maps"] == 2
    assert found.validity["rank_correlation"]["undefined"] == 2
    assert not found.success.any()


COSTS = [
    ("mass_centre", "saliency", "visual", {"steps": 3}),
    ("target_map", "integrated_gradients", "visual", {"steps": 3}),
    ("target_map", "saliency", "neural", {"steps": 3, "output_weight": 0.0}),
    ("explanation_search", "shapley", "neural", {"queries": 3}),
    ("explanation_search", "saliency", "visual", {"queries": 3, "objective": "mass_centre"}),
]


@pytest.mark.parametrize(("name", "explainer", "subject", "options"), COSTS)
def test_model_evaluations_equal_the_declared_cost(name, explainer, subject, options):
    method, case = find("attack", name), SUBJECTS[subject]()
    given = required_options(find("explain", explainer), case)
    explanation = find("explain", explainer).call(case, **given)
    meter, _ = case.model.meter, (case.output, case.prediction)
    requested, backwards = meter.requested, meter.backwards
    result = method.call(explanation, case, assay.Ball("linf", 0.05), **options)
    again = cost_of(find("explain", explainer), case, explanation.provenance.options)
    declared = cost_of(method, case, result.provenance.options, again)
    assert Cost(meter.requested - requested, meter.backwards - backwards) == declared


def test_objectives_and_options_out_of_place_are_refused():
    case = image_case(2)
    made = explain.saliency(case)
    table = cubic([[1.0, 0.9]])
    with pytest.raises(CapabilityError, match="signals"):
        attack.mass_centre(explain.saliency(table), table, BALL)
    with pytest.raises(CapabilityError, match="centre of mass needs signals"):
        attack.explanation_search(explain.saliency(table), table, BALL, objective="mass_centre")
    with pytest.raises(InputError, match="map of the next row"):
        attack.target_map(explain.saliency(table), table, BALL)
    for toward in (np.zeros((2, 64)), np.ones((2, 3)), "abc", explain.saliency(table)):
        with pytest.raises(InputError, match="toward="):
            attack.target_map(made, case, BALL, toward=toward)
    with pytest.raises(InputError, match="at least 0"):
        attack.target_map(made, case, BALL, output_weight=-1.0)
    with pytest.raises(InputError, match="defined for linf, l2"):
        attack.explanation_search(made, case, assay.Ball("l1", 0.1))
    for options in ({"queries": 0}, {"window": 0.0}, {"k": 0.0}):
        with pytest.raises(InputError):
            attack.explanation_search(made, case, BALL, **options)
