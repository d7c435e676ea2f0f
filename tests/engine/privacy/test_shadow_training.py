"""Nets trained as one program are the nets that a plain torch loop trains one after another."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from assay.basics.errors import CapabilityError, InputError, NumericalError
from assay.basics.seed import Seed
from assay.engine.privacy.shadow_training import ShadowTrainer, batch_template, initial_weights

GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(50, 6)).astype(np.float32)
Y = GENERATOR.integers(3, size=50)
MEMBERS = GENERATOR.random((5, 50)) < 0.5


class Residual(torch.nn.Module):
    """A net that is no plain sequence."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = torch.nn.Linear(6, 6), torch.nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(x + torch.nn.functional.gelu(self.first(x)))


def perceptron(activation: Any = torch.nn.ReLU, out: int = 3) -> torch.nn.Module:
    nn = torch.nn
    return nn.Sequential(nn.Flatten(), nn.Linear(6, 8), activation(), nn.Linear(8, 5), nn.Linear(5, out))


def one_after_another(trainer: ShadowTrainer, x: Any, y: Any, members: Any, seed: Seed) -> list[torch.nn.Module]:
    """The literal loop: torch's own layers, losses, autograd and optimisers, one net and one batch at a time."""
    rows, labels = torch.as_tensor(x), torch.as_tensor(y)
    steps = max(-(-int(line.sum()) // trainer.batch) for line in members)
    nets = []
    for number, line in enumerate(members):
        net = copy.deepcopy(trainer.net)
        start = initial_weights(trainer.net, np.array([number]), seed)
        net.load_state_dict({name: value[0].detach() for name, value in start.items()})
        make: Any = torch.optim.Adam if trainer.optimiser == "adam" else torch.optim.SGD
        more = {} if trainer.optimiser == "adam" else {"momentum": trainer.momentum}
        optimiser = make(net.parameters(), lr=trainer.rate, weight_decay=trainer.weight_decay, **more)
        order = seed.child("shadow batches", number).generator()
        which = np.flatnonzero(line)
        for _ in range(trainer.epochs):
            shuffled = which[order.permutation(len(which))]
            for part in np.array_split(shuffled, steps):
                outputs = net(rows[part])
                if trainer.loss == "squared_error":
                    loss = torch.nn.functional.mse_loss(outputs, labels[part].float().reshape(outputs.shape))
                else:
                    loss = torch.nn.functional.cross_entropy(outputs, labels[part])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
        nets.append(net)
    return nets


CASES = {
    "relu": (perceptron(), {}),
    "tanh": (perceptron(torch.nn.Tanh), {"weight_decay": 0.1}),
    "sigmoid": (perceptron(torch.nn.Sigmoid), {"optimiser": "sgd", "momentum": 0.9, "rate": 0.05}),
    "regression": (perceptron(out=1), {"loss": "squared_error"}),
    "any net": (Residual(), {"weight_decay": 0.01}),
    "a loss of the caller's": (
        perceptron(),
        {"loss": lambda out, y: torch.nn.functional.cross_entropy(out, y.long(), reduction="none")},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_nets_trained_as_one_program_equal_those_of_a_plain_torch_loop(name: str) -> None:
    net, options = CASES[name]
    trainer = ShadowTrainer(net, **{"rate": 0.01, "epochs": 3, "batch": 7, **options})
    y = X[:, 0] if name == "regression" else Y
    nets = trainer.train(X, y, MEMBERS, Seed(3))
    found = nets.outputs(X)
    if "caller" in name:
        trainer = ShadowTrainer(net, rate=0.01, epochs=3, batch=7)
    right = one_after_another(trainer, X, y, MEMBERS, Seed(3))
    for number, one in enumerate(right):
        with torch.no_grad():
            assert_allclose(found[number], one(torch.as_tensor(X)).numpy(), atol=2e-5)
            assert_allclose(nets.net(number)(torch.as_tensor(X)).numpy(), one(torch.as_tensor(X)).numpy(), atol=2e-5)


def test_a_row_outside_a_models_rows_changes_nothing_in_it() -> None:
    trainer = ShadowTrainer(perceptron(), epochs=2, batch=8)
    other = np.where(MEMBERS[0][:, None], X, X + 1)
    assert_allclose(
        trainer.train(X, Y, MEMBERS, Seed(0)).outputs(X)[0], trainer.train(other, Y, MEMBERS, Seed(0)).outputs(X)[0]
    )


def test_less_memory_trains_in_groups_and_gives_the_same_nets() -> None:
    seed, many = Seed(1), ShadowTrainer(perceptron(), epochs=2, batch=8)
    few = ShadowTrainer(perceptron(), epochs=2, batch=8, memory=1)
    assert_allclose(many.train(X, Y, MEMBERS, seed).outputs(X), few.train(X, Y, MEMBERS, seed).outputs(X), atol=1e-5)


def test_the_same_arguments_give_the_same_bytes_and_leave_torchs_stream_alone() -> None:
    trainer = ShadowTrainer(perceptron(), epochs=2)
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    one, two = (trainer.train(X, Y, MEMBERS, Seed(0)).outputs(X) for _ in range(2))
    assert (one == two).all()
    assert torch.equal(before, torch.random.get_rng_state())
    assert not np.allclose(one, trainer.train(X, Y, MEMBERS, Seed(1)).outputs(X))


@pytest.mark.parametrize(("rows", "steps"), [(10, 3), (3, 3), (7, 1), (2, 4)])
def test_a_template_has_every_row_once_in_batches_of_nearly_equal_size(rows: int, steps: int) -> None:
    template = batch_template(rows, steps)
    assert sorted(template[template >= 0].tolist()) == list(range(rows))
    sizes = (template >= 0).sum(axis=1)
    assert sizes.max() - sizes.min() <= 1


def test_a_recipe_of_the_trainer_trains_one_net_or_many() -> None:
    recipe = ShadowTrainer(perceptron(), epochs=2).recipe(X, Y, classes=("a", "b", "c"))
    one = recipe.train(X, Y, Seed(0))
    assert one.classes == ("a", "b", "c")
    assert len(recipe.train_many(X, Y, MEMBERS, Seed(0))) == 5


@pytest.mark.parametrize(
    ("net", "error"),
    [
        (torch.nn.Sequential(torch.nn.Linear(6, 3), torch.nn.Dropout(0.5)), "Dropout"),
        (torch.nn.Sequential(torch.nn.Linear(6, 3), torch.nn.BatchNorm1d(3)), "BatchNorm1d"),
    ],
)
def test_nets_with_random_numbers_or_statistics_of_their_own_are_refused(net: Any, error: str) -> None:
    with pytest.raises(CapabilityError, match=error):
        ShadowTrainer(net)


def test_what_cannot_be_trained_is_refused() -> None:
    with pytest.raises(InputError, match="rate=0"):
        ShadowTrainer(perceptron(), rate=0)
    with pytest.raises(InputError, match="no row"):
        ShadowTrainer(perceptron()).train(X, Y, np.zeros((2, 50), dtype=bool), Seed())
    with pytest.raises(InputError, match="members of shape"):
        ShadowTrainer(perceptron()).train(X, Y, MEMBERS[:, :9], Seed())
    with pytest.raises(NumericalError, match="smaller rate"):
        ShadowTrainer(perceptron(out=1), loss="squared_error", optimiser="sgd", rate=1e9).train(
            X, X[:, 0], MEMBERS, Seed()
        )
