# SPDX-License-Identifier: Apache-2.0
"""The same model with every nn.LSTM written out as a loop of cells, so that its layers and gates can be read."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

from assay.basics.errors import CapabilityError
from assay.basics.fingerprint import digest
from assay.model.model import Model

GATES = ("input", "forget", "candidate", "output")
"""The gates of a cell, in torch's order: c ← forget · c + input · candidate; h = output · tanh c."""


def has_lstm(model: Model) -> bool:
    """Whether a model is a torch net with an nn.LSTM in it."""
    if model.net is None:
        return False
    import torch

    return any(isinstance(one, torch.nn.LSTM) for one in model.net.modules())


def open_lstm(model: Model) -> Model:
    """The model with each nn.LSTM as modules ``layers.0``, ``layers.1``, … with the same weights: the same function.

    A layer maps (row, time, width) to (row, time, unit), both directions side by side where there are two; its modules
    ``forwards.gates`` (and ``backwards.gates``) are called at every time with the gates (row, 4, unit) of that time, in
    the order of ``GATES``, after their sigmoid or tanh. Outputs differ by rounding. ``CapabilityError`` for a net
    without an nn.LSTM, or with projections; when it runs, for packed sequences.
    """
    from assay.model.adapters.torch import net_fingerprint

    if not has_lstm(model) or model.rebuild is None:
        raise CapabilityError(f"{model.name} has no nn.LSTM to open.")
    net = copy.deepcopy(model.net)
    net = opened_module(net)
    name = f"{model.name}, cells opened"
    other = model.with_net(net, digest(model.fingerprint, "opened", net_fingerprint(net)), name)
    return replace(other, meter=model.meter, batch=model.batch, memory=model.memory, classes=model.classes)


def opened_module(net: Any) -> Any:
    """The module itself, with each nn.LSTM in it replaced; a new module where it is one."""
    import torch

    if isinstance(net, torch.nn.LSTM):
        return _opened(net)
    for name, child in list(net.named_children()):
        setattr(net, name, opened_module(child))
    return net


def _opened(lstm: Any) -> Any:
    """A module that computes what ``lstm`` computes."""
    import torch

    if lstm.proj_size:
        raise CapabilityError("an nn.LSTM with proj_size cannot be opened; its state is not its output.")

    class Gates(torch.nn.Module):
        """The gates of one time, as they are."""

        def forward(self, gates: torch.Tensor, time: int) -> torch.Tensor:
            return gates

    class Direction(torch.nn.Module):
        """The cells of one layer in one direction."""

        weight_ih: torch.Tensor
        weight_hh: torch.Tensor
        bias_ih: torch.Tensor
        bias_hh: torch.Tensor

        def __init__(self, suffix: str, reverse: bool) -> None:
            super().__init__()
            self.reverse = reverse
            self.gates = Gates()
            for own in ("weight_ih", "weight_hh", *(("bias_ih", "bias_hh") if lstm.bias else ())):
                self.register_parameter(own, getattr(lstm, f"{own}_{suffix}"))

        def forward(self, x: torch.Tensor, state: tuple[torch.Tensor, torch.Tensor]) -> Any:
            h, c = state
            bias = self.bias_ih + self.bias_hh if lstm_bias else 0.0
            given = x @ self.weight_ih.T + bias
            found = [h] * x.shape[1]
            for time in reversed(range(x.shape[1])) if self.reverse else range(x.shape[1]):
                raw = (given[:, time] + h @ self.weight_hh.T).reshape(len(x), 4, -1)
                each = [torch.sigmoid(raw[:, 0]), torch.sigmoid(raw[:, 1]), torch.tanh(raw[:, 2])]
                gates = self.gates(torch.stack([*each, torch.sigmoid(raw[:, 3])], dim=1), time)
                c = gates[:, 1] * c + gates[:, 0] * gates[:, 2]
                h = gates[:, 3] * torch.tanh(c)
                found[time] = h
            return torch.stack(found, dim=1), (h, c)

    class Layer(torch.nn.Module):
        """One layer in all its directions."""

        def __init__(self, number: int) -> None:
            super().__init__()
            self.forwards = Direction(f"l{number}", reverse=False)
            self.backwards = Direction(f"l{number}_reverse", reverse=True) if lstm.bidirectional else None

        def forward(self, x: torch.Tensor, states: Any) -> Any:
            out, last = self.forwards(x, states[0])
            if self.backwards is None:
                return out, [last]
            other, first = self.backwards(x, states[1])
            return torch.cat([out, other], dim=2), [last, first]

    lstm_bias, batch_first, hidden = lstm.bias, lstm.batch_first, lstm.hidden_size
    directions = 2 if lstm.bidirectional else 1

    class OpenedLSTM(torch.nn.Module):
        """The layers one after the other, called as the nn.LSTM was."""

        def __init__(self) -> None:
            super().__init__()
            self.layers = torch.nn.ModuleList(Layer(number) for number in range(lstm.num_layers))

        def forward(self, x: Any, hx: Any = None) -> Any:
            if not isinstance(x, torch.Tensor) or x.ndim != 3:
                raise CapabilityError("an opened LSTM takes a tensor (row, time, width); packed sequences have none.")
            x = x if batch_first else x.transpose(0, 1)
            count = directions * len(self.layers)
            zero = x.new_zeros(count, len(x), hidden)
            first, cell = (zero, zero) if hx is None else hx
            last = []
            for number, layer in enumerate(self.layers):
                own = range(number * directions, (number + 1) * directions)
                x, states = layer(x, [(first[place], cell[place]) for place in own])
                last += states
            out = x if batch_first else x.transpose(0, 1)
            return out, (torch.stack([h for h, _ in last]), torch.stack([c for _, c in last]))

    return OpenedLSTM().train(lstm.training)
