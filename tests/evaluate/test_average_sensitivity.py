import numpy as np
import pytest
from numpy.testing import assert_allclose
from tests.evaluate.settings import curved

from assay import Ball, evaluate, examples, explain
from assay.basics.errors import InputError

BALL = Ball("linf", 0.1)


def test_it_equals_the_mean_in_the_extra_of_max_sensitivity() -> None:
    case = curved()
    e = explain.saliency(case, signed=True)
    most, mean = (f(e, case, ball=BALL) for f in (evaluate.max_sensitivity, evaluate.average_sensitivity))
    assert_allclose(mean.values, most.extra["mean"])
    assert_allclose(mean.stderr, most.extra["mean stderr"])
    assert (mean.values < most.values).all()


def test_more_draws_narrow_it_and_do_not_raise_it() -> None:
    case = curved()
    e = explain.saliency(case, signed=True)
    few, many = (evaluate.average_sensitivity(e, case, ball=BALL, draws=n) for n in (10, 200))
    assert (np.abs(few.values - many.values) < 4 * few.stderr).all()
    assert (many.stderr < few.stderr).all()


def test_the_gradient_of_a_linear_model_does_not_move() -> None:
    case = examples.linear((2.0, -1.0))
    assert_allclose(evaluate.average_sensitivity(explain.saliency(case), case, ball=BALL).values, 0.0)


def test_one_draw_has_no_error_and_no_draw_is_refused() -> None:
    case = curved()
    e = explain.saliency(case)
    assert np.isnan(evaluate.average_sensitivity(e, case, ball=BALL, draws=1).stderr).all()
    with pytest.raises(InputError, match="draws=0"):
        evaluate.average_sensitivity(e, case, ball=BALL, draws=0)
