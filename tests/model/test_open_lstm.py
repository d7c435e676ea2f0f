"""A recurrent net written out as a loop of cells: the same function."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from tests.contract.nets import filled
from tests.shared import folder

import assay
from assay.basics.errors import CapabilityError
from assay.model.nets.open_lstm import has_lstm, open_lstm


class Reader(torch.nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.lstm = torch.nn.LSTM(5, 4, **options)
        self.head = torch.nn.Linear(4 * (2 if options.get("bidirectional") else 1), 3)
        self.first = options.get("batch_first", False)

    def forward(self, x):
        out, (h, c) = self.lstm(x if self.first else x.transpose(0, 1))
        last = out[:, -1] if self.first else out[-1]
        return self.head(last) + h.mean() * 0 + c.sum(0)[:, :3]


ROWS = torch.as_tensor(np.random.default_rng(0).normal(size=(6, 7, 5)))


@pytest.mark.parametrize(
    "options",
    [
        {"batch_first": True},
        {"num_layers": 2},
        {"num_layers": 3, "batch_first": True, "bias": False},
        {"num_layers": 2, "bidirectional": True, "batch_first": True},
        {"bidirectional": True},
    ],
)
def test_the_opened_net_gives_the_same_outputs_and_gradients(options):
    model = assay.wrap(filled(Reader(**options).double(), 3))
    case = assay.case(model, ROWS, label=1)
    opened = open_lstm(model)
    other = assay.case(opened, ROWS, label=1)
    assert has_lstm(model)
    assert not has_lstm(opened)
    assert opened.fingerprint != model.fingerprint
    assert_allclose(other.prediction, case.prediction, rtol=1e-6, atol=1e-9)
    assert_allclose(other.gradient(ROWS), case.gradient(ROWS), rtol=1e-6, atol=1e-9)


def test_a_net_without_an_lstm_and_one_with_projections_are_refused():
    with pytest.raises(CapabilityError, match=r"no nn\.LSTM"):
        open_lstm(assay.wrap(filled(torch.nn.Sequential(torch.nn.Linear(4, 2)).double(), 1)))
    net = torch.nn.Sequential(torch.nn.LSTM(5, 4, proj_size=2, batch_first=True))
    with pytest.raises(CapabilityError, match="proj_size"):
        open_lstm(assay.wrap(net))


def test_the_toxicity_net_is_the_same_when_opened():
    from safetensors.torch import load_file

    weights = load_file(folder("toxic-bilstm") / "model.safetensors")
    found = {name: tuple(value.shape) for name, value in weights.items()}
    width, hidden = found["lstm.weight_ih_l0"][1], found["lstm.weight_hh_l0"][1]
    lstm = torch.nn.LSTM(width, hidden, batch_first=True, bidirectional="lstm.weight_ih_l0_reverse" in found)
    lstm.load_state_dict({name[5:]: value for name, value in weights.items() if name.startswith("lstm.")})

    class Maximum(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = lstm

        def forward(self, x):
            return self.lstm(x)[0].max(dim=1).values[:, :2]

    rows = torch.as_tensor(np.random.default_rng(1).normal(size=(3, 9, width)), dtype=torch.float32)
    model = assay.wrap(Maximum().eval(), output="logits")
    one, two = (assay.case(each, rows).prediction for each in (model, open_lstm(model)))
    assert_allclose(two, one, atol=1e-6)
