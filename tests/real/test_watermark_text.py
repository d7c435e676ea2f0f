"""The watermark that EfficientNet-Lite0 takes for a carton: flagged (Latin text is not), and projected out."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from tests.watermark_text import CARTON, CHINESE, LATIN, photographs, watermark

import assay
from assay import diagnose, repair
from assay.demos.image import efficientnet_lite0
from assay.repair.class_artefact_compensation import PASTED

pytestmark = pytest.mark.judge


@cache
def subject() -> tuple[Any, Any, list[str]]:
    """The model, half of the photographs, and the names of their classes."""
    pytest.importorskip("efficientnet_lite_pytorch")
    x, y = photographs(every=2)
    model = efficientnet_lite0()
    return model, x, [model.classes[label] for label in y]


def test_the_chinese_watermark_is_flagged_beside_latin_text_and_latin_text_is_not() -> None:
    model, x, names = subject()
    case, carton = assay.case(model, x, label=None), model.classes[CARTON]
    odds, lost = diagnose.pasted_artefact(
        case, artefact=watermark(CHINESE), control=watermark(LATIN), toward=carton, labels=names
    )
    assert odds.verdict == "fail"
    assert odds.evidence["share of rows that rise"] > 0.9
    assert odds.evidence["median factor of probability"] > 10
    assert lost.estimate > 0.05
    latin, latin_lost = diagnose.pasted_artefact(case, artefact=watermark(LATIN), toward=carton, labels=names)
    assert latin.verdict != "fail"
    assert latin_lost.verdict != "fail"


def test_the_projection_recovers_accuracy_on_held_out_photographs_at_no_clean_cost() -> None:
    model, x, names = subject()
    half = np.arange(len(x)) % 2 == 0
    train, held_out = ((x[which], [names[row] for row in np.flatnonzero(which)]) for which in (half, ~half))
    made = repair.class_artefact_compensation(
        assay.case(model, x[:1], label=None), artefact=watermark(CHINESE), train=train, held_out=held_out
    )
    lost = made.before["accuracy"] - made.before[f"accuracy {PASTED}"]
    assert made.after[f"accuracy {PASTED}"] - made.before[f"accuracy {PASTED}"] > 0.25 * lost
    assert made.after["accuracy"] > made.before["accuracy"] - 0.02
