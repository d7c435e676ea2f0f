import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from tests.evaluate.settings import digits, replace_values

from assay import evaluate, explain
from assay.basics.errors import InputError
from assay.engine.recompute import recompute
from assay.model.transformations.randomise_weights import randomise_weights


def _entropy(values: Any, bins: int) -> float:
    count, _ = np.histogram(values, bins=bins)
    return -sum(c / len(values) * math.log(c / len(values)) for c in count if c)


@pytest.mark.parametrize("bins", [7, 100])
def test_it_equals_the_literal_rise_of_the_histograms_entropy(bins: int) -> None:
    case = digits(4)
    e = explain.saliency(case, signed=True)
    lost = recompute(e, replace(case, model=randomise_weights(case.model, case.seed.child("scramble")))).values
    before, after = ([_entropy(v, bins) for v in values] for values in (e.values, lost))
    score = evaluate.efficient_parameter_randomisation(e, case, bins=bins)
    assert_allclose(score.extra["before"], before)
    assert_allclose(score.extra["after"], after)
    assert_allclose(score.values, [(b - a) / a for a, b in zip(before, after)])


def test_a_small_entropy_is_undefined_with_a_reason_and_forms_no_quotient() -> None:
    case = digits(2)
    e = explain.saliency(case)
    spike = np.where(np.arange(64) == 5, 1.0, 0.0)  # two bins, 1/64 and 63/64: 0.08 nats
    score = evaluate.efficient_parameter_randomisation(replace_values(e, [spike, e.values[1]]), case)
    assert np.isnan(score.values[0])
    assert np.isfinite(score.values[1])
    (note,) = [n for n in score.notes if n.code == "small entropy"]
    assert note.rows == (case.rows.ids[0],)
    lenient = evaluate.efficient_parameter_randomisation(replace_values(e, [spike, e.values[1]]), case, least=0.01)
    assert lenient.values[0] > 10  # what the guard guards against


def test_a_constant_explanation_is_undefined() -> None:
    case = digits(2)
    same = replace_values(explain.saliency(case), np.full((2, 64), 0.3))
    assert not evaluate.efficient_parameter_randomisation(same, case).defined.any()


def test_it_is_free_after_parameter_randomisation() -> None:
    case = digits(2)
    e = explain.saliency(case)
    evaluate.parameter_randomisation(e, case)
    assert evaluate.efficient_parameter_randomisation(e, case).provenance.cost == {}
    assert (
        evaluate.parameter_randomisation(e, case, cascade=True).provenance.cost["backwards"] == 2
    )  # of its two stages, one


@pytest.mark.parametrize("given", [{"bins": 1}, {"least": 0.0}])
def test_bad_options_are_refused(given: Any) -> None:
    case = digits(1)
    with pytest.raises(InputError, match="bins="):
        evaluate.efficient_parameter_randomisation(explain.saliency(case), case, **given)
