from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tests.evaluate.settings import digits, replace_values

import assay
from assay import evaluate, explain
from assay.basics.errors import CapabilityError, InputError


def boxed(top: int, bottom: int, left: int, right: int) -> Any:
    heat = np.zeros((8, 8))
    heat[top, left] = heat[bottom - 1, right - 1] = 1.0
    return heat.ravel()


def literal(case: Any, row: int, box: tuple[int, int, int, int]) -> float:
    top, bottom, left, right = box
    crop = case.rows.x[row : row + 1, :, top:bottom, left:right]
    whole = torch.nn.functional.interpolate(crop, size=(8, 8), mode="bilinear", align_corners=False)
    p = torch.softmax(case.model.net(whole), dim=1)[0, int(case.label[row])]
    return float(np.log(max(0.05, (bottom - top) * (right - left) / 64)) - np.log(p.item()))


def test_it_equals_the_paper_on_a_crop_that_torch_resizes() -> None:
    case = digits(3)
    boxes = [(1, 7, 2, 6), (0, 8, 0, 8), (3, 4, 5, 6)]
    e = replace_values(explain.saliency(case), [boxed(*box) for box in boxes])
    score = evaluate.saliency_metric(e, case)
    with torch.no_grad():
        assert_allclose(score.values, [literal(case, row, box) for row, box in enumerate(boxes)], atol=1e-5)
    assert_allclose(score.extra["area"], [24 / 64, 1.0, 1 / 64])
    assert_allclose(score.values[1], score.extra["whole"][1], atol=1e-5)
    assert score.provenance.cost == {"forwards": 3}


def test_the_scale_of_the_attribution_does_not_matter() -> None:
    case = digits(4)
    e = explain.integrated_gradients(case, steps=4)
    one, two = (evaluate.saliency_metric(replace_values(e, k * e.values), case) for k in (1.0, 1e-3))
    assert_allclose(one.values, two.values)


def test_a_higher_threshold_makes_the_box_smaller() -> None:
    case = digits(4)
    e = explain.integrated_gradients(case, steps=4)
    areas = [evaluate.saliency_metric(e, case, threshold=t).extra["area"] for t in (0.0, 1.0, 4.0)]
    assert (areas[0] >= areas[1]).all()
    assert (areas[1] > areas[2]).any()


def test_the_threshold_is_a_multiple_of_the_mean_of_positive_pixels_only() -> None:
    case, heat = digits(1), np.zeros((8, 8))
    heat[1, 1], heat[2, 5], heat[6, 3], heat[7, 7] = 3.0, 2.0, 1.0, -9.0  # the mean of 3, 2 and 1 is 2
    e = replace_values(explain.saliency(case), [heat.ravel()])
    areas = {t: evaluate.saliency_metric(e, case, threshold=t).extra["area"][0] * 64 for t in (0.5, 0.51, 1.0, 1.01)}
    # boxes around all three (rows 1–6, columns 1–5), around 3 and 2 (rows 1–2, columns 1–5), around 3 alone
    assert_allclose(list(areas.values()), [30, 10, 10, 1])


def test_without_positive_attribution_there_is_no_box() -> None:
    case = digits(2)
    e = replace_values(explain.saliency(case), [-np.ones(64), np.ones(64)])
    score = evaluate.saliency_metric(e, case)
    assert score.defined.tolist() == [False, True]
    assert np.isnan(score.extra["area"]).tolist() == [True, False]


def test_a_box_around_the_evidence_beats_another_box() -> None:
    picture = torch.zeros(1, 1, 8, 8)
    picture[:, :, 2:5, 2:5] = 1.0
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 1))
    with torch.no_grad():
        net[1].weight.fill_(0.1), net[1].bias.fill_(-1.0)
    case = assay.case(assay.wrap(net.eval()), picture, label=1)
    e = explain.saliency(case)
    around, away = (replace_values(e, [boxed(*box)]) for box in ((2, 5, 2, 5), (5, 8, 5, 8)))
    assert evaluate.saliency_metric(around, case).mean < evaluate.saliency_metric(away, case).mean - 0.3


def test_what_has_no_classes_or_no_threshold_is_refused() -> None:
    case = assay.examples.additive((1.0, 2.0))
    with pytest.raises(CapabilityError, match="saliency_metric needs"):
        evaluate.saliency_metric(explain.saliency(case), case)
    with pytest.raises(InputError, match="threshold=-1"):
        evaluate.saliency_metric(explain.saliency(digits(1)), digits(1), threshold=-1.0)
