"""Influence paths of the toxicity net, a trained recurrent net that reads both ways and ends in a maximum over time."""

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose
from tests.real.toxic_net import Toxic
from tests.shared import folder

import assay
from assay import explain

TEXT, OTHER = "you are so dumb and stupid", "you are so kind and stupid"


@pytest.fixture(scope="module")
def toxic():
    from safetensors.torch import load_file

    place = folder("toxic-bilstm")
    net, vocabulary = Toxic(), json.loads((place / "vocab.json").read_text())
    net.load_state_dict(load_file(place / "model.safetensors"))

    def tokenize(texts):
        ids = np.array([[vocabulary[word] for word in text.split()] for text in texts])
        pieces = [text.split() for text in texts]
        return assay.model.Tokens(ids, np.tile(np.arange(ids.shape[1]), (len(ids), 1)), {}, pieces)

    model = assay.model.text(net.eval(), tokenize, embedding="emb", gives="values", masked=False)
    return assay.case(model, [TEXT], label=0)


def test_the_paths_of_one_word_add_up_to_the_difference_it_makes(toxic):
    found = explain.influence_paths(toxic, contrast=(OTHER,), steps=64)
    assert np.flatnonzero(found.values[0]).tolist() == [3]
    assert found.output[0] > found.base[0]
    assert found.extra["residual"][0] < 0.01
    lines = explain.integrated_gradients(toxic, start=toxic.model.encode([OTHER]).x, steps=64)
    assert_allclose(found.values, lines.values, rtol=0.01, atol=1e-3)
    assert found.extra["crossings"].shape == (1, 1, 1)  # one layer: what does not cross in it stays at the word
    carried = found.extra["copy"] + found.extra["crossings"][..., 0]
    assert_allclose(carried, found.extra["influence"], rtol=1e-4)
    assert_allclose(found.extra["share"], 1.0, rtol=1e-4)
