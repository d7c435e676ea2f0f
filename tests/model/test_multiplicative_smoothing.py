# SPDX-License-Identifier: Apache-2.0
"""A model smoothed by masks is the mean of its votes or probabilities over frozen masks, and a model like any other."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tests.contract.nets import net
from tests.oracles import mus as oracle

import assay
from assay import attack, certify, evaluate, explain
from assay.basics.errors import CapabilityError, InputError
from assay.basics.seed import Seed
from assay.engine.feature_sets.smoothed_scores import smoothed_scores
from assay.model import multiplicative_smoothing
from assay.model.transformations.frozen_masks import BernoulliMasks, QuantisedMasks
from assay.nouns.inputs.output_kind import OutputKind
from assay.nouns.inputs.rows import Rows

ZERO = assay.Constant(0.0)
X = np.random.default_rng(0).normal(size=(5, 4))


def table_case(parts: int, seed: int = 0) -> assay.Case:
    """A classifier of n bits by a table of probabilities, at every input."""
    table = np.random.default_rng(seed).multinomial(16, np.ones(3) / 3, size=2**parts) / 16
    inputs = (np.arange(2**parts)[:, None] >> np.arange(parts) & 1).astype(float)
    model = assay.model.function(
        lambda x: table[(x > 0.5).astype(int) @ 2 ** np.arange(parts)],
        gives="probabilities",
        fingerprint=str(table.tolist()),
    )
    return assay.case(model, inputs, seed=seed)


def net_case(**options: object) -> assay.Case:
    return assay.case(assay.wrap(net()), torch.as_tensor(X), **options)


@pytest.mark.parametrize("votes", [True, False])
@pytest.mark.parametrize(("q", "k"), [(2, 1), (5, 2), (8, 8), (9, 4)])
def test_it_is_the_mean_over_the_quantised_noise_of_the_paper(q: int, k: int, votes: bool) -> None:
    case = table_case(4, seed=q)
    model = multiplicative_smoothing(
        case.model, case.features, remove=ZERO, smoothing=Fraction(k, q), q=q, votes=votes, seed=case.seed
    )
    offsets = QuantisedMasks.draw(4, Fraction(k, q), q, case.seed).offsets.tolist()
    noise = oracle.quantised_noise(offsets, q, Fraction(k, q))
    scores = np.eye(3)[case.prediction.argmax(axis=1)] if votes else case.prediction
    literal = [
        oracle.smooth(lambda m: [Fraction(s) for s in scores[int(np.dot(m, 2 ** np.arange(4)))]], tuple(row), noise)
        for row in case.rows.x.astype(int).tolist()
    ]
    assert_allclose(assay.case(model, case.rows.x).prediction, np.array(literal, dtype=float), atol=1e-14)


@pytest.mark.parametrize("votes", [True, False])
@pytest.mark.parametrize("remove", [ZERO, assay.Mean(X[:3])], ids=["constant", "mean"])
def test_the_certificate_is_of_this_model(votes: bool, remove: assay.Removal) -> None:
    """g at a set of features is the smoothed model where the other features are removed."""
    case = net_case(seed=3)
    model = multiplicative_smoothing(
        case.model, case.features, remove=remove, smoothing=0.5, q=8, votes=votes, seed=case.seed
    )
    smooth = assay.case(model, torch.as_tensor(X))
    keep, which = np.random.default_rng(1).random((20, 4)) < 0.5, np.arange(20) % 5
    masks = QuantisedMasks.draw(4, 0.5, 8, case.seed).masks
    wanted = smoothed_scores(case.game(remove), which, keep, masks, votes) / 8
    assert_allclose(smooth.game(remove).outputs(which, keep), wanted, atol=1e-12)
    found = certify.mus(case, keep[:5], smoothing=0.5, q=8, votes=votes, remove=remove)
    agreement = (smooth.predicted(smooth.rows.x) == case.predicted(case.rows.x)).mean()
    assert found.agreement == agreement


@pytest.mark.parametrize(("remove", "fills"), [(ZERO, 1), (assay.Marginal(X[:3]), 3)], ids=["one", "three"])
def test_one_evaluation_is_q_evaluations_of_the_model_for_each_filling(remove: assay.Removal, fills: int) -> None:
    case, seen = net_case(), []
    inner = case.model.forward

    def forward(rows: Rows) -> torch.Tensor:
        seen.append(len(rows))
        return inner(rows)

    counted = replace(case.model, forward=forward)
    model = multiplicative_smoothing(counted, case.features, remove=remove, smoothing=0.25, q=8)
    smooth = assay.case(model, torch.as_tensor(X), target="probability", label=0)
    seen.clear()
    before = model.meter.forwards
    smooth.value(smooth.rows.x)
    assert sum(seen) == 5 * 8 * fills  # rows that the net got
    assert model.meter.forwards - before == 5 * 8 * fills  # rows that the meter counted


def test_a_vote_is_of_the_mean_over_the_fillings() -> None:
    case, remove = net_case(), assay.Marginal(X[:3])
    model = multiplicative_smoothing(case.model, case.features, remove=remove, smoothing=0.5, q=4, seed=case.seed)
    masks = QuantisedMasks.draw(4, 0.5, 4, case.seed).masks
    wanted = smoothed_scores(case.game(remove), np.arange(5), np.ones((5, 4), dtype=bool), masks, True) / 4
    assert_allclose(assay.case(model, torch.as_tensor(X)).prediction, wanted, atol=1e-14)


def test_votes_follow_the_threshold_of_the_model() -> None:
    table = np.tile([0.9, 0.1], (16, 1))
    table[-1] = (0.7, 0.3)
    model = assay.model.function(
        lambda x: table[(x > 0.5).astype(int) @ 2 ** np.arange(4)],
        gives=OutputKind("probabilities").with_threshold(0.2),
    )
    case = assay.case(model, np.ones((1, 4)))
    smooth = multiplicative_smoothing(model, case.features, remove=ZERO, smoothing=1.0, q=2)
    assert assay.case(smooth, np.ones((1, 4))).prediction.tolist() == [[0.0, 1.0]]


def test_the_gradient_is_that_of_finite_differences() -> None:
    case = net_case()
    model = multiplicative_smoothing(case.model, case.features, remove=ZERO, smoothing=0.5, q=8, votes=False)
    smooth, step = assay.case(model, torch.as_tensor(X), target="probability", label=1), 1e-6
    slope = smooth.gradient(smooth.rows.x).numpy()
    assert np.abs(slope).max() > 0.01
    for j in range(4):
        moved = step * np.eye(4)[j]
        rise = smooth.value(torch.as_tensor(X + moved)) - smooth.value(torch.as_tensor(X - moved))
        assert_allclose(slope[:, j], rise / (2 * step), atol=1e-7)


def test_it_is_explained_scored_attacked_and_certified_like_any_other_model() -> None:
    case = net_case()
    model = multiplicative_smoothing(case.model, case.features, remove=ZERO, smoothing=0.75, q=4, votes=False)
    smooth = assay.case(model, torch.as_tensor(X), target="probability")
    values = explain.shapley(smooth, remove=ZERO)
    assert_allclose(values.residual, 0.0, atol=1e-12)
    assert evaluate.deletion(values, smooth, remove=ZERO).defined.all()
    assert explain.integrated_gradients(smooth, steps=16).values.shape == (5, 4)
    found = attack.pgd(smooth, assay.Ball("linf", 1.0), steps=5)
    assert (found.after < found.before).any()
    assert certify.soft_stability(smooth, values.top(0.5), radius=1, remove=ZERO).extra["exact"].all()


def test_votes_have_no_gradient() -> None:
    case = net_case()
    model = multiplicative_smoothing(case.model, case.features, remove=ZERO, smoothing=0.5, q=4)
    with pytest.raises(CapabilityError, match="needs gradients"):
        explain.saliency(assay.case(model, torch.as_tensor(X)))


def test_rows_have_the_same_outputs_alone_and_in_any_batch() -> None:
    case = net_case()
    model = multiplicative_smoothing(case.model, case.features, remove=ZERO, smoothing=0.5, q=16, votes=False)
    small = replace(case.model, batch=3)
    halved = multiplicative_smoothing(small, case.features, remove=ZERO, smoothing=0.5, q=16, votes=False)
    together = assay.case(model, torch.as_tensor(X)).prediction
    alone = [assay.case(model, torch.as_tensor(row[None])).prediction[0] for row in X]
    assert_allclose(together, alone, atol=1e-14)
    assert_allclose(together, assay.case(halved, torch.as_tensor(X)).prediction, atol=1e-14)


def test_the_fingerprint_follows_everything_that_the_model_depends_on() -> None:
    case = net_case()
    given = {"remove": ZERO, "smoothing": 0.5, "q": 8}
    variants = [
        {},
        {"seed": Seed(1)},
        {"q": 16},
        {"smoothing": 0.25},
        {"votes": False},
        {"noise": "bernoulli"},
        {"protected": (1,)},
        {"remove": assay.Constant(1.0)},
    ]
    found = [multiplicative_smoothing(case.model, case.features, **{**given, **one}).fingerprint for one in variants]
    assert len({*found, case.model.fingerprint}) == len(variants) + 1
    assert multiplicative_smoothing(case.model, case.features, **given).fingerprint == found[0]


def test_bernoulli_masks_are_frozen_and_keep_features_as_often_as_stated() -> None:
    masks = BernoulliMasks.draw(50, 0.7, 400, Seed(2)).masks
    assert abs(masks.mean() - 0.7) < 4 * np.sqrt(0.21 / masks.size)
    np.testing.assert_array_equal(masks[:10], BernoulliMasks.draw(50, 0.7, 10, Seed(2)).masks)
    case = net_case()
    model = multiplicative_smoothing(case.model, case.features, remove=ZERO, smoothing=0.7, q=9, noise="bernoulli")
    first, second = (assay.case(model, torch.as_tensor(X)).prediction for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_protected_features_are_in_every_mask() -> None:
    case = table_case(3)
    model = multiplicative_smoothing(
        case.model, case.features, remove=ZERO, smoothing=0.25, q=4, votes=False, protected=(0, 1, 2)
    )
    assert_allclose(assay.case(model, case.rows.x).prediction, case.prediction, atol=1e-14)


def test_a_net_of_images_keeps_the_channels_of_a_patch_together() -> None:
    from tests.contract.subjects import visual

    case = visual()
    model = multiplicative_smoothing(
        case.model, case.features, remove=ZERO, smoothing=0.5, q=4, votes=False, seed=case.seed
    )
    masks = QuantisedMasks.draw(len(case.features), 0.5, 4, case.seed).masks
    wanted = smoothed_scores(case.game(ZERO), np.arange(3), np.ones((3, len(case.features)), dtype=bool), masks, False)
    assert_allclose(assay.case(model, case.rows.x).prediction, wanted / 4, atol=1e-7)


def test_what_it_cannot_smooth_is_refused_by_name() -> None:
    case = net_case()
    given = {"smoothing": 0.5, "q": 8}
    linear = assay.examples.linear()
    per_row = assay.Features(np.tile(np.arange(4), (5, 1)), tuple("abcd"), per_row=True)
    with pytest.raises(CapabilityError, match="needs a classifier"):
        multiplicative_smoothing(linear.model, linear.features, remove=ZERO, **given)
    with pytest.raises(CapabilityError, match="one cut for all rows"):
        multiplicative_smoothing(case.model, per_row, remove=ZERO, **given)
    with pytest.raises(CapabilityError, match="depend on the features present"):
        multiplicative_smoothing(case.model, case.features, remove=assay.Conditional(X, k=2), **given)
    raw = assay.model.function(lambda x: x[:, :2], gives=OutputKind("margin", link="none"))
    with pytest.raises(CapabilityError, match="no log odds"):
        multiplicative_smoothing(raw, case.features, remove=ZERO, votes=False, **given)
    for wrong in ({"smoothing": 0.0}, {"smoothing": 0.3}, {"protected": (4,)}, {"noise": "gaussian"}):
        with pytest.raises(InputError):
            multiplicative_smoothing(case.model, case.features, remove=ZERO, **{**given, **wrong})


def test_it_is_audited_like_any_other_model() -> None:
    from sklearn.linear_model import LogisticRegression

    generator = np.random.default_rng(1)
    x = generator.normal(size=(100, 4))
    y = (x[:, 0] + x[:, 1] > 0).astype(int)
    model = assay.wrap(LogisticRegression().fit(x, y))
    smooth = multiplicative_smoothing(model, assay.elements((4,)), remove=assay.Mean(x), smoothing=0.5, q=4)
    run = assay.audit(smooth, x[:30], y[:30], profile="quick", methods=["shapley"], scores=["deletion"])
    assert "smoothed by masks" in repr(run)
    assert run.record.explanations
