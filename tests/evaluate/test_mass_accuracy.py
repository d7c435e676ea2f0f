import numpy as np
from numpy.testing import assert_allclose
from tests.engine.test_located import MAPS, MASKS, pictures
from tests.evaluate.settings import replace_values
from tests.oracles import located as oracle

from assay import evaluate, examples, explain


def test_it_equals_the_literal_share() -> None:
    question, e = pictures(MAPS)
    expected = [oracle.mass(h.ravel(), m.ravel()) for h, m in zip(MAPS.sum(axis=1), MASKS)]
    assert_allclose(evaluate.mass_accuracy(e, question, inside=MASKS).values, expected)
    sizes = [oracle.mass(np.abs(h).ravel(), m.ravel()) for h, m in zip(MAPS.sum(axis=1), MASKS)]
    assert_allclose(evaluate.mass_accuracy(e, question, inside=MASKS, sign="absolute").values, sizes)


def test_attribution_that_cancels_has_bounds_all_the_same() -> None:
    case = examples.linear((1.0, 1.0, 1.0))
    e = replace_values(explain.saliency(case), [[5.0, -4.0, 0.5]])
    score = evaluate.mass_accuracy(e, case, inside=[[True, False, False]])
    assert_allclose(score.values, 5 / 5.5)


def test_without_mass_there_is_no_share() -> None:
    case = examples.linear((1.0, 1.0))
    e = replace_values(explain.saliency(case), [[-1.0, -2.0]])
    assert np.isnan(evaluate.mass_accuracy(e, case, inside=[[True, False]]).values).all()
    assert_allclose(evaluate.mass_accuracy(e, case, inside=[[True, False]], sign="absolute").values, 1 / 3)
