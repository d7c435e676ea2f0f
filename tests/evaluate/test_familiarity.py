from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from tests.contract.subjects import loan_pipeline
from tests.evaluate.settings import curved, digits, digits_net, replace_values

import assay
from assay import Blur, Constant, Marginal, evaluate, examples, explain, grid
from assay.basics.errors import CapabilityError, InputError
from assay.engine.neighbourhoods.typicality import predictive_entropy

REFERENCE = np.random.default_rng(9).normal(size=(30, 6))


def literal(inputs: Any, reference: Any, count: int) -> float:
    """Mean over inputs of the share of references that are lonelier, one distance at a time."""
    scaled = reference / reference.std(axis=0)

    def lonely(point: Any, others: Any) -> float:
        return float(np.mean(sorted(float(np.sqrt(((point - other) ** 2).sum())) for other in others)[:count]))

    usual = [lonely(scaled[i], np.delete(scaled, i, axis=0)) for i in range(len(scaled))]
    far = [lonely(point / reference.std(axis=0), scaled) for point in inputs]
    return float(np.mean([np.mean([float(u > d) + 0.5 * (u == d) for u in usual]) for d in far]))


def test_it_equals_the_literal_share_along_the_deletion_curve() -> None:
    case = curved()
    e = explain.saliency(case, signed=True)
    score = evaluate.familiarity(e, case, reference=REFERENCE, remove=Constant(0.5), steps=3, neighbours=2)
    for row in range(4):
        order = np.argsort(-e.values[row])
        inputs = []
        for gone in (2, 4, 6):
            x = case.rows.x[row].copy()
            x[order[:gone]] = 0.5
            inputs.append(x)
        assert_allclose(score.values[row], literal(inputs, REFERENCE, 2))
        assert_allclose(score.extra["intact"][row], literal([case.rows.x[row]], REFERENCE, 2))
    assert np.isnan(score.extra["entropy"]).all()  # a regression
    assert score.provenance.cost == {}  # distances between rows ask nothing of the model


def test_rows_like_the_references_get_a_half_and_rows_far_away_nothing() -> None:
    generator = np.random.default_rng(0)
    case = examples.quadratic(np.eye(3), generator.normal(size=(400, 3)))
    score = evaluate.familiarity(explain.saliency(case), case, reference=generator.normal(size=(400, 3)), steps=1)
    assert score.extra["intact"].mean() == pytest.approx(0.5, abs=0.05)
    away = evaluate.familiarity(
        explain.saliency(case), case, reference=generator.normal(size=(50, 3)), remove=Constant(50.0), steps=1
    )
    assert_allclose(away.values, 0.0)
    assert (away.extra["distance"] > 10).all()


def test_every_filling_counts() -> None:
    case = curved().take([0])
    e = explain.saliency(case)
    background = np.random.default_rng(2).normal(size=(3, 6))
    score = evaluate.familiarity(e, case, reference=REFERENCE, remove=Marginal(background), steps=1)
    each = [evaluate.familiarity(e, case, reference=REFERENCE, remove=Constant(b), steps=1).values for b in background]
    assert_allclose(score.values, np.mean(each, axis=0))


def test_of_a_net_the_last_hidden_layer_is_used_and_named() -> None:
    case = digits(4)
    images = digits_net()[1][100:160]
    e = explain.saliency(case)
    score = evaluate.familiarity(e, case, reference=images, steps=4)
    (note,) = [note for note in score.notes if note.code == "layer"]
    layer = note.text.split("'")[1]
    named = evaluate.familiarity(e, case, reference=images, steps=4, layer=layer)
    assert_allclose(named.values, score.values)
    assert_allclose(score.extra["intact_entropy"], predictive_entropy(case.model.values(case.rows), case), atol=1e-9)
    assert named.provenance.cost == {"forwards": 4 * 4 * 2 + 60 + 4}


def test_on_digits_grey_squares_are_stranger_than_other_digits() -> None:
    net, images, _ = digits_net()
    case = assay.case(assay.model.torch(net), images[:8], features=grid((1, 8, 8), 2))
    e = explain.shapley(case, budget=200)
    reference = images[80:200]
    grey = evaluate.familiarity(e, case, reference=reference, remove=Constant(1.0))
    digit = evaluate.familiarity(e, case, reference=reference, remove=Marginal(images[60:64]))
    blurred = evaluate.familiarity(e, case, reference=reference, remove=Blur(1.0))
    assert digit.mean > grey.mean
    assert digit.mean > 0.05
    assert grey.extra["distance"].mean() > digit.extra["distance"].mean()
    assert (blurred.extra["entropy"] > 0).all()


def test_words_that_differ_are_one_apart() -> None:
    frame, pipeline = loan_pipeline()
    case = assay.case(assay.wrap(pipeline), frame.iloc[:2], label=1)
    numbers = frame[["age", "sum"]].to_numpy(dtype=float)
    words = frame["purpose"].to_numpy()
    reference = frame.iloc[20:50]
    score = evaluate.familiarity(explain.constant(case), case, reference=reference, remove=Marginal(frame.iloc[50:51]))
    spread = numbers[20:50].std(axis=0)

    def far(i: int, others: Any) -> float:
        gaps = [((numbers[i] - numbers[j]) / spread) ** 2 for j in others]
        each = sorted(float(np.sqrt(gap.sum() + (words[i] != words[j]))) for gap, j in zip(gaps, others))
        return float(np.mean(each[:5]))

    usual = [far(i, [j for j in range(20, 50) if j != i]) for i in range(20, 50)]
    expected = [np.mean([u > far(i, range(20, 50)) for u in usual]) for i in (0, 1)]
    assert_allclose(score.extra["intact"], expected)


def test_undefined_explanations_have_none() -> None:
    case = curved()
    e = replace_values(explain.saliency(case), np.where(np.arange(4)[:, None] == 1, np.nan, 1.0) * np.ones((4, 6)))
    score = evaluate.familiarity(e, case, reference=REFERENCE)
    assert np.isnan(score.values).tolist() == [False, True, False, False]


def test_what_cannot_be_placed_is_refused() -> None:
    case = curved()
    e = explain.saliency(case)
    with pytest.raises(InputError, match="neighbours=30 of 30"):
        evaluate.familiarity(e, case, reference=REFERENCE, neighbours=30)
    with pytest.raises(InputError, match="has no accessible layers"):
        evaluate.familiarity(e, case, reference=REFERENCE, layer="head")
    with pytest.raises(InputError, match="have shape"):
        evaluate.familiarity(e, case, reference=REFERENCE[:, :5])
    import torch

    shallow = assay.case(assay.wrap(torch.nn.Sequential(torch.nn.Linear(6, 2))), REFERENCE[:3].astype(np.float32))
    with pytest.raises(CapabilityError, match="no hidden layer"):
        evaluate.familiarity(explain.saliency(shallow), shallow, reference=REFERENCE)


def test_what_only_rounding_moves_is_not_magnified() -> None:
    reference = REFERENCE.copy()
    reference[:, 2] = 1.0 + 1e-9 * reference[:, 2]
    case = curved()
    score = evaluate.familiarity(explain.saliency(case), case, reference=reference, remove=Constant(0.5), steps=1)
    assert (score.extra["distance"] < 10).all()
