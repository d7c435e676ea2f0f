"""Layers whose output has the row on another axis than the first are read, replaced and differentiated row by row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn

import assay
from assay import explain
from assay.basics.errors import CapabilityError
from assay.cases.case import Case

WIDTH = 5


class Sequences(nn.Module):
    """A net of rows (token, 5) whose layer ``mid`` works on another order of axes; always the same function."""

    def __init__(self, order: str) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.order = order
        self.mid, self.head = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 3)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
        self.double()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows, tokens, _ = x.shape
        if self.order == "row first":
            h = torch.tanh(self.mid(x))
        elif self.order == "token first":
            h = torch.tanh(self.mid(x.transpose(0, 1))).transpose(0, 1)
        elif self.order == "rows and tokens merged":
            h = torch.tanh(self.mid(x.reshape(rows * tokens, WIDTH))).reshape(rows, tokens, WIDTH)
        else:
            h = torch.tanh(self.mid(x.transpose(0, 1).reshape(-1, WIDTH))).reshape(tokens, rows, WIDTH).transpose(0, 1)
        weight = torch.arange(1.0, tokens + 1, dtype=x.dtype) / tokens
        return self.head((h * weight[:, None]).mean(1))


def case_of(order: str, rows: int, tokens: int) -> Case:
    x = torch.randn((rows, tokens, WIDTH), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return assay.case(assay.wrap(Sequences(order)), x, label=[i % 3 for i in range(rows)])


SIZES = [(4, 3), (3, 3), (5, 3), (5, 5), (2, 1), (1, 1), (1, 4), (1, 5), (3, 2), (2, 3)]


@pytest.mark.parametrize(("rows", "tokens"), SIZES)
def test_a_layer_with_the_token_first_is_read_row_by_row(rows: int, tokens: int) -> None:
    case, expected = (case_of(order, rows, tokens) for order in ("token first", "row first"))
    for one, other in (
        (case.from_layer("mid").rows.x, expected.from_layer("mid").rows.x),
        (case.from_layer("mid").output, expected.output),
        (case.layer_gradient(case.rows.x, "mid").gradient, expected.layer_gradient(expected.rows.x, "mid").gradient),
        (explain.deep_lift(case.from_layer("mid")).values, explain.deep_lift(expected.from_layer("mid")).values),
        (explain.lrp(case.from_layer("mid")).values, explain.lrp(expected.from_layer("mid")).values),
        (explain.shapley(case.from_layer("mid")).values, explain.shapley(expected.from_layer("mid")).values),
    ):
        assert_allclose(np.asarray(one), np.asarray(other), atol=1e-12)
    conductance = [explain.conductance(one, layer="mid").values for one in (case, expected)]
    assert_allclose(conductance[0], conductance[1], atol=1e-12)


def test_the_axis_is_the_same_in_every_batch() -> None:
    """Batches of 2, 2 and 1 rows of 2 tokens, where the shapes alone do not tell."""
    case, expected = (case_of(order, 5, 2) for order in ("token first", "row first"))
    from dataclasses import replace

    small = replace(case, model=replace(case.model, batch=2))
    assert_allclose(small.from_layer("mid").rows.x.numpy(), expected.from_layer("mid").rows.x.numpy(), atol=1e-14)
    assert_allclose(small.from_layer("mid").output, expected.output, atol=1e-12)


@pytest.mark.parametrize(("rows", "tokens"), [(3, 4), (5, 4), (2, 2), (5, 5), (4, 5)])
@pytest.mark.parametrize("order", ["rows and tokens merged", "tokens and rows merged"])
def test_a_layer_that_merges_rows_and_tokens_is_refused(order: str, rows: int, tokens: int) -> None:
    case = case_of(order, rows, tokens)
    for read in (
        lambda: case.from_layer("mid"),
        lambda: case.layer_gradient(case.rows.x, "mid"),
        lambda: explain.conductance(case, layer="mid"),
    ):
        with pytest.raises(CapabilityError, match=r"layer 'mid' gives shape .* one of its axes must be the row"):
            read()


class Positions(nn.Module):
    """A net with a layer that gives the same for any rows."""

    def __init__(self) -> None:
        super().__init__()
        self.positions, self.head = nn.Embedding(9, WIDTH), nn.Linear(WIDTH, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head((x + self.positions(torch.arange(x.shape[1]))).mean(1))


def test_a_layer_without_rows_is_refused() -> None:
    case = assay.case(assay.wrap(Positions()), torch.randn(3, 4, WIDTH), label=1)
    with pytest.raises(CapabilityError, match="one of its axes must be the row"):
        case.from_layer("positions")


class Recurrent(nn.Module):
    """A net of token ids that wants the token first, as recurrent nets of torch do."""

    def __init__(self, how: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.how = how
        self.embed, self.unit, self.head = nn.Embedding(30, 8), nn.LSTM(8, 8), nn.Linear(8, 2)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        if self.how == "turned before":
            h = self.embed(ids.t())
        elif self.how == "turned after":
            h = self.embed(ids).transpose(0, 1)
        elif self.how == "reversed":
            h = self.embed(ids.flip(1)).transpose(0, 1)
        else:
            h = self.embed(ids.reshape(-1)).reshape(*ids.shape, 8).transpose(0, 1)
        return self.head(self.unit(h)[0][-1])


def tokenize(texts: Any) -> Any:
    ids = np.array([[ord(word[0]) % 30 for word in text.split()] for text in texts])
    return assay.model.Tokens(ids, np.tile(np.arange(ids.shape[1]), (len(ids), 1)))


TEXTS = ["a good film here", "the plot was bad", "x y z w", "p q r s"]


def texts_of(how: str, rows: int) -> Case:
    return assay.case(assay.model.text(Recurrent(how), tokenize, embedding="embed"), TEXTS[:rows], label=1)


@pytest.mark.parametrize("rows", [1, 2, 3, 4])
@pytest.mark.parametrize("method", ["integrated_gradients", "shapley", "saliency"])
def test_ids_turned_before_the_embedding_give_the_same_as_turned_after(method: str, rows: int) -> None:
    found, expected = (getattr(explain, method)(texts_of(how, rows)) for how in ("turned before", "turned after"))
    with torch.no_grad():
        right = Recurrent("turned before").eval()(torch.as_tensor(tokenize(TEXTS[:rows]).ids))[:, 1].numpy()
    assert_allclose(found.output, right, atol=1e-6)
    assert_allclose(found.values, expected.values, atol=1e-6)


@pytest.mark.parametrize(("how", "message"), [("reversed", "in another order"), ("merged", "must be the row")])
def test_a_net_that_reorders_or_merges_ids_is_refused(how: str, message: str) -> None:
    with pytest.raises(CapabilityError, match=message):
        texts_of(how, 3)


def folded(rows_first: bool) -> Callable[[nn.Module, torch.Tensor], torch.Tensor]:
    """A dense layer over rows and tokens merged into one axis, in either order."""

    def forward(m: Any, x: torch.Tensor) -> torch.Tensor:
        rows, tokens, width = x.shape
        if rows_first:
            return m.head(torch.relu(m.mid(x.reshape(-1, width))).reshape(rows, tokens, -1).mean(1))
        merged = x.transpose(0, 1).reshape(-1, width)
        return m.head(torch.relu(m.mid(merged)).reshape(tokens, rows, -1).mean(0))

    return forward


@pytest.mark.parametrize("composite", ["zero", "epsilon", "gamma", "alpha_beta", "epsilon_plus_flat"])
@pytest.mark.parametrize("rows_first", [True, False])
def test_relevance_of_rows_merged_with_another_axis_is_that_of_each_row_and_its_label(
    rows_first: bool, composite: Any
) -> None:
    from tests.model.rules import nets

    net = nets.filled(nets.Composed(folded(rows_first), mid=nn.Linear(3, 8), head=nn.Linear(8, 3)))
    x, labels = nets.normal_tensor(4, 5, 3), [0, 1, 2, 0]
    model = assay.wrap(net)
    found = explain.lrp(assay.case(model, x, label=labels), composite=composite)
    for row, label in enumerate(labels):
        alone = explain.lrp(assay.case(model, x[row : row + 1], label=label), composite=composite)
        assert_allclose(found.values[row], alone.values[0], atol=1e-10)
        assert_allclose(found.extra["absorbed"][row], alone.extra["absorbed"][0], atol=1e-10)
    assert_allclose(found.extra["conservation"], 0, atol=1e-9)


def test_passes_that_are_repeated_row_by_row_are_counted() -> None:
    from tests.model.rules import nets

    net = nets.filled(nets.Composed(folded(False), mid=nn.Linear(3, 8), head=nn.Linear(8, 3)))
    case = assay.case(assay.wrap(net), nets.normal_tensor(4, 5, 3), label=[0, 1, 2, 0])
    _ = case.output
    before = case.model.meter.backwards
    explain.lrp(case, composite="epsilon")
    assert case.model.meter.backwards - before == 8
