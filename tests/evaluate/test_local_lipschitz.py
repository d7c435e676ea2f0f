import numpy as np
from numpy.testing import assert_allclose
from tests.evaluate.settings import MATRIX, ROWS, curved, digits, replace_values

from assay import Ball, evaluate, examples, explain

BALL = Ball("linf", 0.1)


def test_it_equals_the_literal_maximum_over_the_same_moves() -> None:
    case = curved()
    score = evaluate.local_lipschitz(explain.saliency(case, signed=True), case, ball=BALL, draws=6)
    for row in range(4):
        moves = [BALL.draw(case.rows, case.seed.child("neighbourhood", d))[row] - ROWS[row] for d in range(6)]
        assert_allclose(
            score.values[row], max(np.linalg.norm(m @ (MATRIX + MATRIX.T)) / np.linalg.norm(m) for m in moves)
        )


def test_of_a_quadratic_model_it_never_exceeds_the_greatest_curvature_and_comes_near() -> None:
    case = curved()
    score = evaluate.local_lipschitz(explain.saliency(case, signed=True), case, ball=BALL, draws=300)
    greatest = np.abs(np.linalg.eigvalsh(MATRIX + MATRIX.T)).max()
    assert (score.values <= greatest + 1e-9).all()
    assert (score.values > 0.8 * greatest).all()


def test_the_radius_does_not_matter_where_the_gradient_is_linear() -> None:
    case = examples.additive((1.0,))
    e = explain.saliency(case, signed=True)
    near, far = (evaluate.local_lipschitz(e, case, ball=Ball("linf", r)).values for r in (0.01, 1.0))
    assert_allclose([near, far], 2.0)  # φ = 2x


def test_q8_a_row_is_not_scaled_by_other_rows() -> None:
    case = digits(3)
    e = explain.saliency(case, signed=True)
    loud = replace_values(e, e.values * np.array([[1.0], [1.0], [100.0]]))
    alone = evaluate.local_lipschitz(e, case, ball=Ball("linf", 0.02), draws=3).values
    together = evaluate.local_lipschitz(loud, case, ball=Ball("linf", 0.02), draws=3).values
    assert_allclose(together[:2], alone[:2])


def test_a_row_that_cannot_move_is_undefined() -> None:
    case = examples.linear((2.0, -1.0), x=[[1.0, 1.0]])
    pinned = Ball("linf", 1e-300, 0.0, 1.0)  # too little to move anything
    assert np.isnan(evaluate.local_lipschitz(explain.saliency(case), case, ball=pinned).values).all()
