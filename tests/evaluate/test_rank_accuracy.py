import numpy as np
from numpy.testing import assert_allclose
from tests.engine.test_located import pictures
from tests.oracles import located as oracle

from assay import evaluate

HEAT = np.random.default_rng(3).integers(0, 4, (4, 1, 3, 3)).astype(float)  # many ties
INSIDE = np.random.default_rng(4).random((4, 3, 3)) < 0.4


def test_it_equals_the_mean_over_every_way_to_break_ties() -> None:
    question, e = pictures(HEAT)
    expected = [oracle.rank(h.ravel(), m.ravel(), int(m.sum())) for h, m in zip(HEAT, INSIDE)]
    assert_allclose(evaluate.rank_accuracy(e, question, inside=INSIDE).values, expected)


def test_the_order_of_tied_pixels_does_not_matter() -> None:
    question, e = pictures(HEAT)
    turned, f = pictures(HEAT[:, :, ::-1, ::-1].copy())
    there = evaluate.rank_accuracy(f, turned, inside=INSIDE[:, ::-1, ::-1].copy())
    assert_allclose(there.values, evaluate.rank_accuracy(e, question, inside=INSIDE).values)


def test_magnitudes_rank_where_sign_is_absolute() -> None:
    question, e = pictures(-HEAT)
    expected = evaluate.rank_accuracy(pictures(HEAT)[1], question, inside=INSIDE).values
    assert_allclose(evaluate.rank_accuracy(e, question, inside=INSIDE, sign="absolute").values, expected)
