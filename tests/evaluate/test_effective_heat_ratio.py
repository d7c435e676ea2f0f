import numpy as np
import pytest
from numpy.testing import assert_allclose
from tests.engine.test_located import MAPS, MASKS, pictures
from tests.evaluate.test_rank_accuracy import HEAT, INSIDE
from tests.oracles import located as oracle

from assay import evaluate
from assay.basics.errors import InputError


@pytest.mark.parametrize("levels", [1, 3, 10])
def test_it_equals_the_literal_mean_over_levels(levels: int) -> None:
    for maps, masks in ((HEAT, INSIDE), (MAPS, MASKS)):
        question, e = pictures(maps)
        positive = np.maximum(maps.sum(axis=1), 0.0)
        expected = [oracle.heat_ratio(h.ravel(), m.ravel(), levels) for h, m in zip(positive, masks)]
        assert_allclose(evaluate.effective_heat_ratio(e, question, inside=masks, quantiles=levels).values, expected)


def test_the_first_level_is_the_mass_accuracy() -> None:
    question, e = pictures(MAPS)
    one = evaluate.effective_heat_ratio(e, question, inside=MASKS, quantiles=1)
    assert_allclose(one.values, evaluate.mass_accuracy(e, question, inside=MASKS).values)


def test_without_heat_it_is_undefined_and_without_levels_refused() -> None:
    question, e = pictures(-np.abs(MAPS))
    assert np.isnan(evaluate.effective_heat_ratio(e, question, inside=MASKS).values).all()
    with pytest.raises(InputError, match="quantiles=0"):
        evaluate.effective_heat_ratio(e, question, inside=MASKS, quantiles=0)
