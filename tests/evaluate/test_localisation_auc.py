import numpy as np
from numpy.testing import assert_allclose
from sklearn.metrics import average_precision_score
from tests.engine.test_located import MAPS, MASKS, pictures
from tests.evaluate.test_rank_accuracy import HEAT, INSIDE
from tests.oracles import located as oracle

from assay import evaluate


def test_it_equals_the_share_of_pairs_in_order_ties_counting_half() -> None:
    question, e = pictures(HEAT)
    expected = [oracle.auc(h.ravel(), m.ravel()) for h, m in zip(HEAT, INSIDE)]
    assert_allclose(evaluate.localisation_auc(e, question, inside=INSIDE).values, expected)


def test_the_average_precision_is_that_of_scikit_learn() -> None:
    for maps, masks in ((HEAT, INSIDE), (MAPS, MASKS)):
        question, e = pictures(maps)
        score = evaluate.localisation_auc(e, question, inside=masks)
        expected = [average_precision_score(m.ravel(), h.sum(axis=0).ravel()) for h, m in zip(maps, masks)]
        assert_allclose(score.extra["average_precision"], expected)


def test_turned_round_it_is_one_less_itself() -> None:
    question, e = pictures(MAPS)
    _, turned = pictures(-MAPS)
    score = evaluate.localisation_auc(e, question, inside=MASKS).values
    assert_allclose(evaluate.localisation_auc(turned, question, inside=MASKS).values, 1 - score)
    assert np.ptp(score) > 0
