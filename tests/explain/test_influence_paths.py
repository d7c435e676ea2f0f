"""Influence paths: completeness, planted paths, recurrent nets, and what is refused."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tests.contract.nets import filled
from tests.engine.influence_paths.path_nets import Causal, enumerated, jacobians, letters

import assay
from assay import explain
from assay.basics.errors import CapabilityError, InputError
from assay.model.nets.open_lstm import open_lstm


class Recurrent(torch.nn.Module):
    """Token ids to scores of the next token, by two layers of cells."""

    def __init__(self):
        super().__init__()
        self.embed = torch.nn.Embedding(11, 4)
        self.lstm = torch.nn.LSTM(4, 4, num_layers=2, batch_first=True)
        self.head = torch.nn.Linear(4, 3)

    def forward(self, ids, attention_mask):
        return self.head(self.lstm(self.embed(ids))[0][:, -1])


def recurrent(texts, **options):
    net = filled(Recurrent().double(), 6)
    model = assay.model.text(net, letters, embedding="embed", masked=False)
    return assay.case(model, texts, label=1, **options)


def causal(texts, **options):
    model = assay.model.text(filled(Causal().double(), 4), letters, embedding="embed")
    return assay.case(model, texts, label=1, **options)


@pytest.mark.parametrize("make", [recurrent, causal])
def test_values_are_integrated_gradients_and_add_up(make):
    case = make(["b d c a", "a c d"])
    other = ("e b d a", "e b c")
    start = case.model.encode(list(other)).x
    found = explain.influence_paths(case, start=start, steps=48, sources=4)
    lines = explain.integrated_gradients(case, start=start, steps=48)
    centred = explain.influence_paths(case, contrast=other, steps=48, sources=4)
    assert (centred.extra["residual"] < 0.01).all()
    assert_allclose(centred.values, lines.values, rtol=0.02, atol=0.02)
    assert_allclose(found.values, lines.values, rtol=1e-9, atol=1e-12)
    assert (found.extra["residual"] < 0.01).all()
    assert_allclose(found.extra["influence"][0], found.values[0][found.extra["sources"][0].astype(int)])


def test_the_paths_of_a_recurrent_net_are_those_of_its_cells():
    """All paths over layers and times, by explicit Jacobians of the opened layers, at the midpoint from 0."""
    case = recurrent(["b d c a"])
    found = explain.influence_paths(case, steps=1, sources=4, layers=("lstm.layers.0", "lstm.layers.1"))
    net = open_lstm(case.model).net
    layers = [lambda x, one=one: one(x, [(x.new_zeros(1, 4),) * 2])[0] for one in net.lstm.layers]
    x = case.rows.x[0]
    chain = jacobians(layers, x / 2)
    adjoint = torch.zeros_like(x)
    adjoint[-1] = net.head.weight[1].detach()
    for number, source in enumerate(found.extra["sources"][0].astype(int)):
        paths = enumerated(chain, adjoint, x, source)
        assert_allclose(found.values[0, source], sum(paths.values()), rtol=1e-6)
        if np.isfinite(found.extra["crossings"]).all() and source != 3:
            expected = [paths[(3, 3)], paths[(source, 3)]]
            assert_allclose(found.extra["crossings"][0, number], expected, rtol=1e-10)
    assert {note.code for note in found.notes} >= {"opened-lstm"}


def test_paths_are_not_ranked_where_the_sum_misses_the_difference():
    case = causal(["b d c a"])
    few = explain.influence_paths(case, steps=48)  # from 0 a norm has no derivative that quadrature could follow
    assert few.extra["residual"][0] > 0.1
    assert np.isnan(few.extra["crossings"]).all()
    assert np.isnan(few.extra["share"]).all()
    assert [note.rows for note in few.notes if note.code == "paths-unranked"] == [("0",)]
    many = explain.influence_paths(case, contrast=("f d c a",), steps=64)
    assert many.extra["residual"][0] < 0.1
    assert np.isfinite(many.extra["crossings"]).all()


def test_a_noun_with_the_same_embedding_makes_no_difference_on_any_path():
    net = filled(Causal().double(), 4)
    with torch.no_grad():
        net.embed.weight[3] = net.embed.weight[1]  # d is b in another spelling
    case = assay.case(assay.model.text(net, letters, embedding="embed"), ["b e c a"], label=1)
    same = explain.influence_paths(case, contrast=("d e c a",), sources=4)
    assert (same.values == 0).all()
    assert (same.extra["crossings"] == 0).all()
    assert same.extra["residual"][0] == 0
    other = explain.influence_paths(case, contrast=("f e c a",))
    assert np.flatnonzero(other.values[0]).tolist() == [0]
    assert_allclose(other.base, assay.case(case.model, ["f e c a"], label=1).output)


def test_a_planted_head_is_the_path_that_is_found():
    """Only the second head of the second layer reads position 0; all other mixers are cut off."""
    net = filled(Causal().double(), 4)
    with torch.no_grad():
        for place, block in enumerate(net.blocks):
            block.self_attn.o_proj.weight[:, :4] = 0.0
            if place != 1:
                block.self_attn.o_proj.weight.zero_()
    case = assay.case(assay.model.text(net, letters, embedding="embed"), ["b e c a"], label=1)
    found = explain.influence_paths(case, contrast=("f e c a",), steps=64)
    crossings, heads = found.extra["crossings"][0, 0], found.extra["heads"][0, 0]
    assert np.flatnonzero(np.abs(crossings) > 1e-12).tolist() == [1]
    assert_allclose(heads[1], [0.0, crossings[1]], atol=1e-12)
    assert_allclose(found.extra["share"], 1.0, rtol=1e-9)
    assert_allclose(found.extra["influence"][0, 0], crossings[1], rtol=1e-9)


def test_a_sequence_of_numbers_has_paths_of_its_elements():
    class Sequence(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm, self.head = torch.nn.LSTM(2, 3), torch.nn.Linear(3, 2)  # time first

        def forward(self, x):
            return self.head(self.lstm(x.transpose(0, 1))[0][-1])

    x = torch.as_tensor(np.random.default_rng(2).normal(size=(2, 5, 2)))
    case = assay.case(assay.wrap(filled(Sequence().double(), 2)), x, label=1)
    found = explain.influence_paths(case, sources=10)
    assert_allclose(found.values, explain.integrated_gradients(case, steps=16).values, rtol=1e-9, atol=1e-12)
    carried = found.extra["copy"] + found.extra["crossings"].sum(axis=2)
    assert_allclose(carried, found.extra["influence"], rtol=1e-9)  # one layer: an element crosses at most once
    one = explain.influence_paths(case.take([1]), sources=10)
    assert_allclose(one.extra["crossings"][0], found.extra["crossings"][1], rtol=1e-9)


def test_what_cannot_be_followed_is_refused_with_the_reason():
    case = causal(["b d c a"])
    with pytest.raises(InputError, match="2 texts for 1 rows"):
        explain.influence_paths(case, contrast=("a", "b"))
    with pytest.raises(InputError, match="tokens"):
        explain.influence_paths(case, contrast=("b d",))
    with pytest.raises(InputError, match=r"blocks\.0, blocks\.1, blocks\.2"):
        explain.influence_paths(case, layers=("blocks.0.self_attn",))
    pictures = assay.case(
        assay.wrap(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 2))), np.ones((1, 3, 2, 2)), label=1
    )
    with pytest.raises(CapabilityError, match="conductance"):
        explain.influence_paths(pictures)
