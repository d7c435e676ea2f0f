"""Rollout against a literal loop over the definition."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from tests.explain.test_raw_attention import attention_matrices, make_case
from tests.model.texts import TEXTS, bert, gpt2

from assay import explain


def followed(layers):
    """Ã_L … Ã_1 entry by entry, Ã = ½ A + ½ I with heads averaged."""
    size = layers.shape[-1]
    total = np.eye(size)
    for heads in layers:
        new = np.zeros((size, size))
        for i in range(size):
            for j in range(size):
                for k in range(size):
                    new[i, j] += (0.5 * sum(h[i, k] for h in heads) / len(heads) + 0.5 * (i == k)) * total[k, j]
        total = new
    return total


@pytest.mark.parametrize(("kind", "position"), [(bert, 0), (gpt2, -1)])
def test_it_is_the_product_over_layers(kind, position):
    given = {"answers": ["yes", "no"]} if kind is gpt2 else {}
    case = make_case(kind(), **given)
    found = explain.attention_rollout(case)
    for row in range(len(TEXTS)):
        line = followed(attention_matrices(kind("eager"), row))[position]
        assert line.sum() == pytest.approx(1.0, abs=1e-6)
        index = case.features.index[row, : len(line), 0]
        assert_allclose(
            found.values[row, : index.max() + 1], [line[index == p].sum() for p in range(index.max() + 1)], atol=1e-6
        )


def test_the_class_does_not_enter():
    case = make_case(bert())
    assert_allclose(
        explain.attention_rollout(case).values, explain.attention_rollout(case.with_target(label=0)).values, atol=1e-12
    )
