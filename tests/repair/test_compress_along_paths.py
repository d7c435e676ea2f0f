# SPDX-License-Identifier: Apache-2.0
"""Compression along paths: what is averaged, what stays, and the numbers before and after."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tests.contract.nets import filled
from tests.engine.influence_paths.path_nets import HEADS, LETTERS, Causal, letters
from tests.explain.test_influence_paths import Recurrent

import assay
from assay import repair
from assay.basics.errors import CapabilityError, InputError
from assay.engine.gradients.distributions import Line
from assay.engine.influence_paths.path_gates import path_gates
from assay.model.nets.ablated_sites import ablate_sites
from assay.repair.compress_along_paths import SHARE

DRAW = np.random.default_rng(0)
TEXTS = [" ".join(DRAW.choice(list(LETTERS), 4)) for _ in range(12)]
TESTS = [" ".join(DRAW.choice(list(LETTERS), 4)) for _ in range(30)]
LABELS = [str(one) for one in DRAW.integers(3, size=30)]

LINE = Line(0.1, 32)


def recurrent():
    net = filled(Recurrent().double(), 6)
    model = assay.model.text(net, letters, embedding="embed", classes=["0", "1", "2"], masked=False)
    return net, assay.case(model, TEXTS, label="1")


def causal():
    net = filled(Causal().double(), 4)
    return net, assay.case(assay.model.text(net, letters, embedding="embed", classes=["0", "1", "2"]), TEXTS, label="1")


def outputs(model):
    return assay.case(model, TESTS, label="1").prediction


@pytest.mark.parametrize("make", [recurrent, causal])
def test_keeping_everything_changes_nothing(make):
    _, case = make()
    gates = path_gates(case, LINE, (1,), 1)
    every = {site: np.ones(mean.shape, dtype=bool) for site, mean in gates.means.items()}
    assert_allclose(outputs(ablate_sites(gates.case.model, every, gates.means, "all")), outputs(case.model), atol=1e-9)


def test_keeping_no_gate_gives_every_text_the_same_output():
    _, case = recurrent()
    gates = path_gates(case, LINE, (1,), 1)
    none = {site: np.zeros(mean.shape, dtype=bool) for site, mean in gates.means.items()}
    found = outputs(ablate_sites(gates.case.model, none, gates.means, "none"))
    assert_allclose(found, np.broadcast_to(found[0], found.shape), atol=1e-12)
    assert np.ptp(outputs(case.model), axis=0).min() > 0.01


def test_the_means_of_the_first_gates_are_those_of_their_formula():
    net, case = recurrent()
    gates = path_gates(case, LINE, (1,), 1)
    lstm = net.lstm
    raw = case.rows.x[:, 0] @ lstm.weight_ih_l0.T + lstm.bias_ih_l0 + lstm.bias_hh_l0
    i, f, g, o = raw.detach().reshape(12, 4, 4).unbind(1)
    expected = torch.stack([i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()]).mean(1)
    assert_allclose(gates.means["lstm.layers.0.forwards.gates"][0], expected, atol=1e-12)


def test_a_path_of_cells_is_written_at_the_source_and_read_at_the_end():
    _, case = recurrent()
    gates = path_gates(case, LINE, (1,), 2)  # both layers: the union of the two paths
    lower, upper = (gates.on_path[f"lstm.layers.{k}.forwards.gates"][:, :, 0].astype(int) for k in (0, 1))
    assert lower.tolist() == [[0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert upper.tolist() == [[0, 0, 0, 0], [1, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert np.flatnonzero(gates.reads["lstm.layers.1.forwards.gates"].all(axis=(1, 2))).tolist() == [3]
    assert gates.model("keep", "one")[1] == 11 / 32
    assert gates.model("drop", "others")[1] == 1 - 7 / 32
    last = path_gates(case, LINE, (3,), 1)
    assert all(np.flatnonzero(mask.all(axis=(1, 2))).tolist() == [3] for mask in last.on_path.values())
    assert "stays at its position" in last.text


def test_a_word_whose_path_is_dropped_changes_nothing_and_one_kept_alone_changes_all():
    case = recurrent()[1]
    gates = path_gates(case, LINE, (1,), 2)
    for mode, place, same in (("drop", 1, True), ("keep", 0, True), ("keep", 2, True), ("keep", 1, False)):
        model, _ = gates.model(mode, mode)
        words = [text.split() for text in TESTS]
        swapped = [" ".join([*one[:place], "f" if one[place] != "f" else "g", *one[place + 1 :]]) for one in words]
        change = assay.case(model, swapped, label="1").prediction - outputs(model)
        assert (np.abs(change).max() < 1e-12) == same, (mode, place)


def test_a_path_of_attention_is_a_head_at_the_position_that_is_read():
    net, case = causal()
    found = repair.compress_along_paths(
        case, held_out=(TESTS, LABELS), sources=(1,), contrast=tuple(reversed(TEXTS)), crossings=1
    )
    assert found.after[SHARE] == 1 / (4 * 3 * HEADS)
    everywhere = repair.compress_along_paths(
        case, held_out=(TESTS, LABELS), sources=(1,), contrast=tuple(reversed(TEXTS)), crossings=1, mode="drop"
    )
    assert everywhere.after[SHARE] == 1 - 1 / (4 * 3 * HEADS)
    _, _, place = everywhere.change.rpartition("blocks.")
    block, head = int(place[0]), int(place[-1])
    states = []
    mixer = net.blocks[block].self_attn.o_proj
    handle = mixer.register_forward_pre_hook(lambda module, args: states.append(args[0].clone()))
    rows = case.model.encode(TEXTS)
    net(torch.as_tensor(rows.carried["assay at rows"]), torch.ones(12, 4, dtype=torch.int64))
    handle.remove()
    mean = states[0].mean(0)

    def averaged(module, args):
        given = args[0].clone()
        given[:, 3, head * 4 : head * 4 + 4] = mean[3, head * 4 : head * 4 + 4]
        return (given,)

    handle = mixer.register_forward_pre_hook(averaged)
    ids = torch.as_tensor(case.model.encode(TESTS).carried["assay at rows"])
    expected = net(ids, torch.ones(30, 4, dtype=torch.int64)).detach()
    handle.remove()
    assert_allclose(outputs(everywhere.model), expected, atol=1e-9)


def test_accuracy_and_loss_are_those_of_the_outputs():
    _, case = recurrent()
    found = repair.compress_along_paths(case, held_out=(TESTS, LABELS), sources=(0,), start=0.1, crossings=1)
    truth = np.array(list(map(int, LABELS)))
    for numbers, model in ((found.before, case.model), (found.after, found.model)):
        scores = torch.log_softmax(torch.as_tensor(outputs(model)), dim=1).numpy()
        assert_allclose(numbers["accuracy"], (scores.argmax(1) == truth).mean())
        assert_allclose(numbers["language-model loss"], -scores[np.arange(30), truth].mean(), rtol=1e-9)
        assert numbers["accuracy, low"] <= numbers["accuracy"] <= numbers["accuracy, high"]
        assert numbers["language-model loss, low"] < numbers["language-model loss"]
    assert found.before[SHARE] == 1
    assert found.after[SHARE] < 0.5
    assert {note.code for note in found.notes} >= {"held-out", "sparsity"}


def test_what_cannot_be_averaged_position_by_position_is_refused():
    _, case = causal()
    short = assay.case(case.model, ["a b c", "a b"], label="1")
    with pytest.raises(InputError, match="different numbers of positions"):
        repair.compress_along_paths(short, held_out=(TESTS, LABELS))
    found = repair.compress_along_paths(case, held_out=(TESTS, LABELS), sources=(1,))
    with pytest.raises(CapabilityError, match="4 positions; this row has 3"):
        assay.case(found.model, ["a b c"], label="1").prediction  # noqa: B018  # the pass is what is refused
    with pytest.raises(InputError, match="4 parts"):
        repair.compress_along_paths(case, held_out=(TESTS, LABELS), sources=(7,))
    plain = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2)).double()
    table = assay.case(assay.wrap(filled(plain, 1)), torch.ones(3, 4, dtype=torch.float64))
    with pytest.raises(CapabilityError, match=r"no stack of nn\.LSTM"):
        repair.compress_along_paths(table, held_out=(torch.ones(3, 4, dtype=torch.float64), [0, 1, 0]))
