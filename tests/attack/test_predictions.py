# SPDX-License-Identifier: Apache-2.0
"""Attacks on predictions against closed forms, a grid, and each other."""

import numpy as np
import pytest
import torch
from tests.attack.nets import codes, linear, linear_case, small_net
from torch import nn

import assay
from assay import attack
from assay.basics.errors import CapabilityError, InputError
from assay.engine.cost import cost_of
from assay.nouns.catalogue import Cost, find

FAST = {
    "fgsm": {},
    "bim": {},
    "pgd": {},
    "apgd": {"steps": 20},
    "deepfool": {"steps": 6},
    "fmn": {"steps": 40},
    "carlini_wagner": {"steps": 30, "searches": 3, "learning_rate": 0.05},
    "square": {"queries": 60},
    "auto": {"steps": 10, "queries": 30},
}
"""Every attack on predictions, with options that are fast."""

NORMS = {
    "fgsm": ("linf", "l2", "l1"),
    "bim": ("linf", "l2", "l1"),
    "pgd": ("linf", "l2", "l1"),
    "apgd": ("linf", "l2"),
    "deepfool": ("linf", "l2", "l1"),
    "fmn": ("linf", "l2", "l1", "l0"),
    "carlini_wagner": ("l2",),
    "square": ("linf", "l2"),
    "auto": ("linf", "l2", "l1", "l0"),
}
"""The norms that each attack is defined for."""

X = np.random.default_rng(0).random((10, 6)).astype("float32")
EVERY = pytest.mark.parametrize("name", FAST)
PAIRS = pytest.mark.parametrize(("name", "norm"), [(name, norm) for name, norms in NORMS.items() for norm in norms])


def run(name, case, ball, **options):
    return getattr(attack, name)(case, ball, **{**FAST[name], **options})


def ball_of(norm, radius=0.3):
    return assay.Ball(norm, 2.0 if norm == "l0" else radius, 0.0, 1.0)


def small_case(**options):
    return assay.case(assay.model.torch(small_net(**options)), X)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_deepfool_finds_the_distance_of_a_linear_model_exactly(norm):
    case, exact = linear_case()
    found = attack.deepfool(case, assay.Ball(norm, 1.0), overshoot=0.01)
    np.testing.assert_allclose(found.extra["minimal_distance"] / 1.01, exact[norm], rtol=1e-6)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_fmn_finds_the_distance_of_a_linear_model(norm):
    case, exact = linear_case()
    found = attack.fmn(case, assay.Ball(norm, float(np.median(exact[norm]))), steps=200)
    assert (found.extra["minimal_distance"] >= exact[norm] * (1 - 1e-9)).all()
    np.testing.assert_allclose(found.extra["minimal_distance"], exact[norm], rtol=0.01)
    assert "boundary-success" not in codes(found)


@pytest.mark.parametrize("bounds", [pytest.param((-np.inf, np.inf), marks=pytest.mark.judge), (-6.0, 6.0)])
def test_carlini_and_wagner_find_the_distance_of_a_linear_model(bounds):
    case, exact = linear_case(rows=4)
    ball = assay.Ball("l2", 0.5, *bounds)
    found = attack.carlini_wagner(case, ball, steps=250, searches=6)
    assert (found.extra["minimal_distance"] >= exact["l2"] * (1 - 1e-9)).all()
    np.testing.assert_allclose(found.extra["minimal_distance"], exact["l2"], rtol=0.01)


def test_fmn_changes_the_smallest_number_of_elements():
    """Columns weigh 4, 2 and 1, each may rise by 1: a gap of 3 needs one, of 5 two, of 6.5 three elements."""
    weights = np.array([[0.0, 0, 0, 0], [4.0, 2, 1, 0]])
    net = linear(weights, np.array([0.0, 0.0]))
    x = np.zeros((3, 4))
    x[:, 3] = 1
    cases = [assay.case(assay.model.torch(linear(weights, np.array([gap, 0.0]))), x[:1]) for gap in (3.0, 5.0, 6.5)]
    assert net.weight.shape == (2, 4)
    found = [attack.fmn(case, assay.Ball("l0", 4.0, 0.0, 1.0)).extra["minimal_distance"][0] for case in cases]
    assert found == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("name", ["pgd", "auto"])
def test_a_linear_model_falls_exactly_where_the_radius_exceeds_the_distance(name, norm):
    case, exact = linear_case(rows=20)
    radius = float(np.sort(exact[norm])[9:11].mean())
    found = run(name, case, assay.Ball(norm, radius), steps=60)
    np.testing.assert_array_equal(found.success, exact[norm] < radius)


@PAIRS
def test_perturbations_stay_in_the_ball_and_the_bounds(name, norm):
    ball = ball_of(norm)
    found = run(name, small_case(), ball)
    move = (found.x.astype(float) - X.astype(float)).reshape(len(X), -1)
    length = {
        "linf": np.abs(move).max(axis=1),
        "l2": np.sqrt((move**2).sum(axis=1)),
        "l1": np.abs(move).sum(axis=1),
        "l0": (move != 0).sum(axis=1),
    }[norm]
    assert (length <= ball.radius * (1 + 1e-6)).all()
    assert found.x.min() >= 0.0
    assert found.x.max() <= 1.0
    np.testing.assert_allclose(found.distance, length, rtol=1e-9)
    assert found.validity["inside_ball_and_bounds"]


@EVERY
def test_success_is_what_a_fresh_pass_says(name):
    case = small_case()
    found = run(name, case, ball_of(NORMS[name][-1] if name != "auto" else "linf", 0.5))
    model = assay.case(case.model, found.x)
    np.testing.assert_array_equal(found.success, model.predicted(model.rows.x) != case.predicted(case.rows.x))
    assert found.robust_accuracy == (~found.success).mean()


@EVERY
def test_a_tiny_radius_changes_nothing_and_a_large_one_everything(name):
    norm = NORMS[name][0]
    case, exact = linear_case(rows=6)
    tiny = run(name, case, assay.Ball(norm, float(exact[norm].min()) / 100, -50.0, 50.0))
    assert tiny.robust_accuracy == 1.0
    assert not tiny.success.any()
    large = run(name, case, assay.Ball(norm, 5 * float(exact[norm].max()), -50.0, 50.0), **LONG.get(name, {}))
    assert large.robust_accuracy == 0.0


LONG = {"square": {"queries": 400}, "carlini_wagner": {"steps": 60, "searches": 4}, "fmn": {"steps": 100}}


@pytest.mark.parametrize("name", ["pgd", "apgd", "fmn", "auto"])
def test_robust_accuracy_falls_with_the_radius(name):
    case = small_case(seed=3)
    found = [run(name, case, assay.Ball("linf", radius)).robust_accuracy for radius in (0.01, 0.05, 0.1, 0.2, 0.4)]
    assert found == sorted(found, reverse=True)
    assert found[0] > found[-1]


@EVERY
def test_targeted_runs_reach_the_class_that_they_aim_at(name):
    case, _ = linear_case(classes=4, rows=6)
    aim = ((case.predicted(case.rows.x) + 1) % 4).tolist()
    norm = NORMS[name][0]
    found = run(name, case, assay.Ball(norm, 60.0, -70.0, 70.0), target_label=aim, **LONG.get(name, {}))
    reached = case.predicted(torch.tensor(found.x)) == np.array(aim)
    np.testing.assert_array_equal(found.success, reached)
    assert reached.mean() >= (0.5 if name in ("fgsm", "square") else 1.0)
    assert found.validity["robust_accuracy_of"] == "rows that do not reach the target class"


@EVERY
def test_one_output_and_two_outputs_are_attacked_to_the_same_end(name):
    generator = np.random.default_rng(4)
    w, x = generator.normal(size=5), generator.normal(size=(9, 5))
    one = assay.case(assay.model.torch(linear(w[None], np.array([0.2])), gives="logits"), x)
    two = assay.case(assay.model.torch(linear(np.stack([0 * w, w]), np.array([0.0, 0.2]))), x)
    norm = NORMS[name][0]
    exact = np.abs(x @ w + 0.2) / {"linf": np.abs(w).sum(), "l2": np.linalg.norm(w)}[norm]
    radius = float(np.sort(exact)[3:5].mean())
    found = [run(name, case, assay.Ball(norm, radius, -9.0, 9.0), **LONG.get(name, {})) for case in (one, two)]
    for result in found:
        assert not (result.success & (exact > radius)).any()
    if name != "square":
        np.testing.assert_array_equal(found[0].success, exact < radius)
        np.testing.assert_array_equal(found[1].success, exact < radius)


def test_the_ensemble_finds_every_change_that_a_grid_finds():
    net = small_net(5, inputs=2, classes=3, hidden=16)
    x = np.random.default_rng(1).normal(size=(40, 2)).astype("float32")
    case = assay.case(assay.model.torch(net), x)
    for radius in (0.2, 0.5):
        found = attack.auto(case, assay.Ball("linf", radius), steps=20, queries=40)
        line = np.linspace(-radius, radius, 41)
        moves = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 1, 2)
        with torch.no_grad():
            classes = net(torch.tensor(x[None] + moves, dtype=torch.float32)).argmax(dim=2).numpy()
        flips = (classes != case.predicted(case.rows.x)).any(axis=0)
        assert flips.any()
        assert not flips.all()
        assert not (flips & ~found.success).any()


def test_the_ensemble_is_as_strong_as_each_attack():
    case, ball = small_case(seed=3), assay.Ball("linf", 0.12, 0.0, 1.0)
    every = {name: run(name, case, ball) for name in FAST if "linf" in NORMS[name]}
    best = attack.auto(case, ball)
    assert 0 < best.robust_accuracy < 1
    for name, other in every.items():
        assert best.robust_accuracy <= other.robust_accuracy, name
    assert [name for name, _ in best.validity["stages"]][:2] == ["clean", "pgd, short"]
    counts = [count for _, count in best.validity["stages"]]
    assert counts == sorted(counts, reverse=True)


def test_trees_are_attacked_without_gradients():
    from sklearn.ensemble import RandomForestClassifier

    generator = np.random.default_rng(0)
    x = generator.normal(size=(300, 4))
    model = assay.wrap(RandomForestClassifier(20, max_depth=4, random_state=0).fit(x, x[:, 0] + x[:, 1] > 0))
    case = assay.case(model, x[:30])
    found = attack.square(case, assay.Ball("linf", 0.3), queries=150)
    assert 0.1 < found.success.mean() < 0.9
    assert "zero_gradient_rows" not in found.validity
    ensemble = attack.auto(case, assay.Ball("linf", 0.3), queries=150)
    assert "stages-left-out" in codes(ensemble)
    np.testing.assert_array_equal(ensemble.success, found.success)
    with pytest.raises(CapabilityError, match="needs gradients"):
        attack.apgd(case, assay.Ball("linf", 0.3))


def test_columns_move_in_units_of_their_scale():
    case, _ = linear_case()
    scale = (1.0, 0.0, 2.0, 0.5, 1.0, 3.0)
    for name in FAST:
        for norm in NORMS[name][:1]:
            found = run(name, case, assay.Ball(norm, 0.4, -9.0, 9.0, scale=scale))
            move = found.x - case.rows.x.numpy()
            assert not move[:, 1].any(), name
            divided = np.delete(move, 1, axis=1) / np.delete(scale, 1)
            length = {
                "linf": np.abs(divided).max(1),
                "l2": np.linalg.norm(divided, axis=1),
                "l1": np.abs(divided).sum(1),
            }
            assert (length[norm] <= 0.4 * (1 + 1e-6)).all(), name


def test_true_labels_make_it_a_robust_accuracy():
    case = small_case(seed=3)
    predicted = case.predicted(case.rows.x)
    labels = predicted.copy()
    labels[:3] = (labels[:3] + 1) % 3
    found = attack.pgd(case, assay.Ball("linf", 1e-5), labels=labels.tolist())
    assert found.success.tolist() == [True] * 3 + [False] * 7
    np.testing.assert_array_equal(found.x[:3], X[:3])
    assert not found.distance[:3].any()
    assert found.validity["robust_accuracy_of"] == "rows that are classified correctly"
    assert found.robust_accuracy == 0.7
    low, high = found.validity["robust_accuracy_interval"]
    assert low < 0.7 < high


def test_probabilities_are_attacked_as_well_as_the_scores_behind_them():
    net = small_net(3)
    with torch.no_grad():
        net[-1].weight *= 40
    soft = nn.Sequential(net, nn.Softmax(dim=1))
    ball = assay.Ball("linf", 0.12)
    scores = attack.auto(assay.case(assay.model.torch(net), X), ball, steps=20, queries=30)
    chances = attack.auto(assay.case(assay.model.torch(soft), X), ball, steps=20, queries=30)
    np.testing.assert_array_equal(scores.success, chances.success)


def test_a_loss_that_needs_more_classes_is_replaced_and_noted():
    case = assay.case(assay.model.torch(small_net(classes=2)), X)
    found = attack.pgd(case, assay.Ball("linf", 0.1), loss="dlr", steps=5)
    assert "loss-replaced" in codes(found)
    three = attack.apgd(small_case(), assay.Ball("linf", 0.1), loss="dlr", targets=2, steps=5)
    assert "loss-replaced" in codes(three)
    assert "loss-replaced" not in codes(attack.pgd(small_case(), assay.Ball("linf", 0.1), loss="dlr", steps=5))


def test_a_threshold_moves_the_boundary():
    w, x = np.array([[1.0, 0.0]]), np.array([[0.5, 0.0], [2.0, 0.0]])
    case = assay.case(assay.model.torch(linear(w, np.zeros(1)), gives="logits", threshold=0.8), x)
    found = attack.deepfool(case, assay.Ball("linf", 1.0), overshoot=0.0001)
    np.testing.assert_allclose(found.extra["minimal_distance"], np.abs(x[:, 0] - np.log(4.0)), rtol=1e-3)


@pytest.mark.parametrize("subject", ["neural", "visual"])
@EVERY
def test_model_evaluations_equal_the_declared_cost(name, subject):
    from tests.contract.subjects import SUBJECTS

    method, case = find("attack", name), SUBJECTS[subject]()
    meter, _ = case.model.meter, (case.output, case.prediction)
    before = Cost(meter.requested, meter.backwards)
    found = run(name, case, assay.Ball(NORMS[name][0], 0.05))
    declared = cost_of(method, case, found.provenance.options)
    spent = Cost(meter.requested - before.forwards, meter.backwards - before.backwards)
    if method.has_exact_cost:
        assert spent == declared
    else:
        assert spent.forwards <= declared.forwards
        assert spent.backwards <= declared.backwards


@EVERY
def test_rows_are_attacked_in_the_same_way_alone_and_together(name):
    case, norm = small_case(seed=3), NORMS[name][0]
    together = run(name, case, assay.Ball(norm, 0.15, 0.0, 1.0))
    alone = run(name, case.take([7, 3]), assay.Ball(norm, 0.15, 0.0, 1.0))
    np.testing.assert_array_equal(alone.success, together.success[[7, 3]])
    np.testing.assert_allclose(alone.x, together.x[[7, 3]], atol=2e-3)


@EVERY
def test_a_result_survives_a_round_trip_through_a_file(name, tmp_path):
    found = run(name, small_case(), ball_of(NORMS[name][0]))
    again = assay.load(found.save(tmp_path / "attack.assay"))
    assert again.validity == found.validity
    assert again.extra.keys() == found.extra.keys()
    assert repr(again) == repr(found)
    assert "robust accuracy" in repr(found)


def test_norms_and_options_that_are_undefined_are_refused():
    case = small_case()
    with pytest.raises(InputError, match="'l0'; this attack is defined for linf, l2"):
        attack.apgd(case, assay.Ball("l0", 2.0, 0.0, 1.0))
    with pytest.raises(InputError, match="does not exist"):
        attack.pgd(case, assay.Ball("linf", 0.1), target_label=7)
    with pytest.raises(InputError, match="own label"):
        attack.pgd(case, assay.Ball("linf", 0.1), labels=1, target_label=1)
    with pytest.raises(InputError, match="targets=2"):
        attack.apgd(case, assay.Ball("linf", 0.1), targets=2, target_label=0)
    with pytest.raises(InputError, match="queries=0"):
        attack.square(case, assay.Ball("linf", 0.1), queries=0)
    with pytest.raises(InputError, match="window=2"):
        attack.square(case, assay.Ball("linf", 0.1), window=2.0)


def test_a_plot_shows_each_row_before_and_after():
    found = attack.pgd(small_case(seed=3), assay.Ball("linf", 0.2, 0.0, 1.0))
    plot = found.plot()
    assert plot.kind == "attacked rows"
    np.testing.assert_array_equal(plot.data["after"], found.after)
    assert "Robust accuracy" in plot.svg
    assert "Not drawn: 7 more rows" in found.plot(most=3).svg
