import pytest
from numpy.testing import assert_allclose
from tests.engine.test_located import pictures
from tests.evaluate.test_rank_accuracy import HEAT, INSIDE
from tests.oracles import located as oracle

from assay import evaluate
from assay.basics.errors import InputError


@pytest.mark.parametrize(("share", "count"), [(0.1, 1), (1 / 3, 3), (0.5, 5), (1.0, 9)])
def test_it_equals_the_mean_over_every_way_to_break_ties(share: float, count: int) -> None:
    question, e = pictures(HEAT)
    score = evaluate.top_k_overlap(e, question, inside=INSIDE, share=share)
    assert_allclose(score.values, [oracle.rank(h.ravel(), m.ravel(), count) for h, m in zip(HEAT, INSIDE)])
    assert_allclose(score.extra["best"], [min(1.0, m.sum() / count) for m in INSIDE])
    assert (score.values <= score.extra["best"] + 1e-12).all()


@pytest.mark.parametrize("share", [0.0, 1.5])
def test_no_top_is_refused(share: float) -> None:
    question, e = pictures(HEAT)
    with pytest.raises(InputError, match="share"):
        evaluate.top_k_overlap(e, question, inside=INSIDE, share=share)
