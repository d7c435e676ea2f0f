"""Rules as boxes."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from tests.oracles import games

import assay
from assay.engine.surrogates.boxes import Box, box_shapley, predict, rule_columns, signed_boxes, unbounded_box
from assay.model.adapters.function import function
from assay.nouns.inputs.features import groups

GENERATOR = np.random.default_rng(1)
X, OTHERS = GENERATOR.normal(size=(4, 5)), GENERATOR.normal(size=(11, 5))
CUT = groups({"pair": ["a", "b"]}, ["a", "b", "c", "d", "e"])


def box(value: float, **bounds: tuple[float, float]) -> Box:
    low, high = np.full(5, -np.inf), np.full(5, np.inf)
    for name, (least, most) in bounds.items():
        low["abcde".index(name)], high["abcde".index(name)] = least, most
    return Box(low, high, value)


RULES = [
    box(3.0, a=(-0.5, np.inf), c=(-np.inf, 0.4)),
    box(-2.0, b=(-1.0, 0.7), d=(0.0, np.inf), a=(-np.inf, 1.0)),
    box(1.5, e=(-0.2, 0.9)),
    unbounded_box(5, 0.25),
]


@pytest.mark.parametrize("row", range(4))
def test_values_of_a_list_are_those_of_its_game(row: int) -> None:
    case = assay.case(function(lambda x: x[:, 0], fingerprint="any"), X, features=CUT)
    columns = rule_columns(case, OTHERS)
    inside, outside = columns.encode(X), columns.encode(OTHERS)

    def v(members: frozenset[int]) -> float:
        mixed = outside.copy()
        kept = np.isin(CUT.index, list(members))
        mixed[:, kept] = inside[row, kept]
        return float(predict(RULES, mixed).mean())

    values, base = box_shapley(signed_boxes(RULES), columns, inside, outside, 4)
    assert_allclose(values[row], games.shapley(v, 4), atol=1e-12)
    assert_allclose(base, v(frozenset()))


def test_signed_boxes_add_up_to_the_first_matching_rule() -> None:
    many = GENERATOR.normal(size=(300, 5))
    added = sum(one.value * one.contains(many) for one in signed_boxes(RULES))
    assert_allclose(added, predict(RULES, many))
    assert len(set(predict(RULES, many))) == 4


def test_conditions_are_described_with_names_and_levels() -> None:
    import pandas as pd

    frame = pd.DataFrame({"age": [20.0, 60.0], "job": ["none", "cook"]})
    case = assay.case(function(lambda f: f["age"].to_numpy(), fingerprint="age", columns=["age", "job"]), frame)
    columns = rule_columns(case, np.asarray(case.rows.x))
    assert columns.names == ("age", "job is none", "job is cook")
    low, high = np.array([30.5, -np.inf, 0.5]), np.array([50.0, 0.5, np.inf])
    assert Box(low, high, 1.0).describe(columns) == "30.5 < age ≤ 50 and job is not none and job is cook"
    assert unbounded_box(3).describe(columns) == ""
