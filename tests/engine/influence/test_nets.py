"""Influence on nets: gradients by weights, the Gauss–Newton matrix, EK-FAC and TracIn against autograd."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

import assay
from assay import explain
from assay.basics.errors import CapabilityError, InputError
from assay.engine.influence import curvature
from assay.engine.influence.curvature import gauss_newton, training_products
from assay.engine.influence.ek_fac import ek_fac, ek_fac_factors
from assay.engine.influence.training_rows import training_case
from assay.engine.influence.weight_gradients import target_gradients, weight_layers

MEMORY = 1 << 24


class Sequences(torch.nn.Module):
    """A layer applied at every position, and one layer applied twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.twice, self.head = torch.nn.Linear(3, 4), torch.nn.Linear(4, 4), torch.nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = torch.tanh(self.first(x)).mean(dim=1)
        return self.head(torch.tanh(self.twice(torch.tanh(self.twice(hidden)))))


def images() -> torch.nn.Module:
    conv = torch.nn.Conv2d(2, 3, 3, stride=2, padding=1)
    return torch.nn.Sequential(conv, torch.nn.ReLU(inplace=True), torch.nn.Flatten(), torch.nn.Linear(27, 3))


def signals() -> torch.nn.Module:
    conv = torch.nn.Conv1d(2, 3, 4, padding="same", bias=False)  # one more zero on the right than on the left
    return torch.nn.Sequential(conv, torch.nn.Tanh(), torch.nn.Flatten(), torch.nn.Linear(21, 3))


def perceptron(outs: int = 3) -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.Tanh(), torch.nn.Linear(5, outs))


SHAPES: dict[Callable[[], torch.nn.Module], tuple[int, ...]] = {
    perceptron: (3,),
    images: (2, 5, 6),
    signals: (2, 7),
    Sequences: (4, 3),
}


def prepared(make: Callable[[], torch.nn.Module], rows: int = 9) -> tuple[Any, Any, torch.nn.Module]:
    """A case of three rows, the case of training rows, and the net, in float64."""
    torch.manual_seed(0)
    net = make().double()
    x = torch.randn(rows + 3, *SHAPES[make], dtype=torch.float64)
    model = assay.wrap(net, output="logits")
    case = assay.case(model, x[:3], target="loss", label=[0, 1, 2])
    return case, training_case(case, (x[3:], [0, 1, 2] * (rows // 3))), net


def by_autograd(net: torch.nn.Module, x: torch.Tensor, label: int) -> torch.Tensor:
    """The gradient of one row's loss by all weights, each layer's bias as a last column."""
    loss = torch.nn.functional.cross_entropy(net(x[None]), torch.tensor([label]))
    names, weights = zip(*net.named_parameters())
    found = dict(zip(names, torch.autograd.grad(loss, weights)))
    parts = []
    for name in names:
        if name.endswith("weight"):
            bias = found.get(name.replace("weight", "bias"))
            flat = found[name].flatten(1)
            parts.append(flat if bias is None else torch.cat([flat, bias[:, None]], dim=1))
    return torch.cat([one.flatten() for one in parts])


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")  # torch may copy, and is right
@pytest.mark.parametrize("make", list(SHAPES))
def test_gradients_of_rows_by_weights_are_those_of_autograd(make: Callable[[], torch.nn.Module]) -> None:
    case, _, net = prepared(make)
    found = target_gradients(case, weight_layers(case.model)[0], MEMORY)
    right = [by_autograd(net, x, int(label)) for x, label in zip(case.rows.x, case.label)]
    assert_allclose(found.numpy(), torch.stack(right).numpy(), atol=1e-12)


def dense(net: torch.nn.Module, train: Any) -> torch.Tensor:
    """E over rows and labels of ∇ℓ ∇ℓᵀ."""
    total: Any = 0.0
    for x in train.rows.x:
        chances = torch.softmax(net(x[None]).detach()[0], 0)
        for label, chance in enumerate(chances):
            gradient = by_autograd(net, x, label)
            total = total + chance * torch.outer(gradient, gradient)
    return total / len(train)


@pytest.mark.parametrize("make", [perceptron, images, Sequences])
def test_the_gauss_newton_matrix_is_the_expected_outer_product(make: Callable[[], torch.nn.Module]) -> None:
    case, train, net = prepared(make)
    layers, _ = weight_layers(case.model)
    right = target_gradients(case, layers, MEMORY)
    found = gauss_newton(train, layers, damping=0.3, memory=MEMORY, weight_decay=0.01)
    matrix = dense(net, train)
    amount = 0.3 * matrix.diagonal().mean() + 0.01
    exact = torch.linalg.solve(matrix + amount * torch.eye(len(matrix), dtype=torch.float64), right.mT).mT
    assert found.damping == pytest.approx(float(amount), rel=1e-10)
    assert_allclose(found.solve(right)[0].numpy(), exact.numpy(), rtol=1e-7, atol=1e-9)


def test_conjugate_gradients_give_what_the_factorisation_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    case, train, _ = prepared(images)
    layers, _ = weight_layers(case.model)
    right = target_gradients(case, layers, MEMORY)
    exact = gauss_newton(train, layers, damping=0.1, memory=MEMORY)
    monkeypatch.setattr(curvature, "EXACT_WEIGHTS", 10)
    found = gauss_newton(train, layers, damping=0.1, memory=MEMORY)
    assert found.damping == pytest.approx(exact.damping, rel=1e-10)
    values, notes = found.solve(right)
    assert notes == ()
    assert_allclose(values.numpy(), exact.solve(right)[0].numpy(), rtol=1e-5, atol=1e-7)
    with pytest.raises(CapabilityError, match="takes more than memory"):
        gauss_newton(train, layers, damping=0.1, memory=2000)
    monkeypatch.setattr(curvature, "MAX_STEPS", 2)
    assert [note.code for note in gauss_newton(train, layers, damping=1e-4, memory=MEMORY).solve(right)[1]] == [
        "not-solved"
    ]


def test_values_have_the_gauss_newton_matrix_of_the_squared_error() -> None:
    torch.manual_seed(1)
    net = perceptron(1).double()
    x, y = torch.randn(12, 3, dtype=torch.float64), torch.randn(12, dtype=torch.float64)
    case = assay.case(assay.wrap(net, output="values"), x[:2], target="loss", label=y[:2])
    train = training_case(case, (x, y))
    layers, _ = weight_layers(case.model)
    right = target_gradients(case, layers, MEMORY)
    total: Any = 0.0
    for row in x:
        weights = list(net.parameters())
        slopes = torch.autograd.grad(net(row[None]).sum(), weights)
        flat = [torch.cat([slopes[i].flatten(1), slopes[i + 1][:, None]], dim=1).flatten() for i in (0, 2)]
        total = total + 2 * torch.outer(torch.cat(flat), torch.cat(flat)) / len(x)
    matrix = total + float(total.diagonal().mean()) * torch.eye(len(total), dtype=torch.float64)
    found = gauss_newton(train, layers, damping=1.0, memory=MEMORY).solve(right)[0]
    assert_allclose(found.numpy(), torch.linalg.solve(matrix, right.mT).mT.numpy(), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("make", [perceptron, images])
def test_ek_fac_has_the_factors_of_its_definition(make: Callable[[], torch.nn.Module]) -> None:
    case, train, net = prepared(make)
    layers, _ = weight_layers(case.model)
    factors = ek_fac_factors(train, layers, MEMORY)
    start = 0
    for layer, one in zip(layers, factors):
        assert_allclose(one.input_basis.mT @ one.input_basis, np.eye(layer.shape[1]), atol=1e-10)
        diagonal = one.input_basis.mT @ one.inputs @ one.input_basis
        assert_allclose(diagonal, np.diag(np.diag(diagonal)), atol=1e-10)
        total: Any = 0.0
        for x in train.rows.x:
            chances = torch.softmax(net(x[None]).detach()[0], 0)
            for label, chance in enumerate(chances):
                own = by_autograd(net, x, label)[start : start + layer.size].reshape(layer.shape)
                total = total + chance * (one.slope_basis.mT @ own @ one.input_basis) ** 2
        assert_allclose(one.eigenvalues, total / len(train), atol=1e-12)
        start += layer.size
    last = torch.stack([torch.tanh(net[0](x)) for x in train.rows.x]) if make is perceptron else None
    if last is not None:
        read = torch.cat([last, torch.ones(len(train), 1, dtype=torch.float64)], dim=1).detach()
        assert_allclose(factors[-1].inputs, read.mT @ read / len(train), atol=1e-12)
        chances = torch.softmax(net(train.rows.x), 1).detach()
        slopes = torch.diag(chances.mean(dim=0)) - chances.mT @ chances / len(train)
        assert_allclose(factors[-1].slopes, slopes, atol=1e-12)


@pytest.mark.parametrize("ends", ["one logit", "probabilities"])
def test_outputs_of_other_kinds_have_the_same_matrix(ends: str) -> None:
    """Two classes as two logits, as their difference, or as probabilities."""
    torch.manual_seed(0)
    two = torch.nn.Sequential(torch.nn.Linear(3, 2)).double()
    other = torch.nn.Sequential(torch.nn.Linear(3, 1)).double()
    other[0].load_state_dict({name: (value[1] - value[0])[None] for name, value in two[0].state_dict().items()})
    x, y = torch.randn(20, 3, dtype=torch.float64), torch.arange(20) % 2
    ended = torch.nn.Sequential(*two, torch.nn.Softmax(1))
    # one logit moves as the difference of two; its matrix has the same trace over half as many weights
    net, output, damping = (other, "logits", 0.5) if ends == "one logit" else (ended, "probabilities", 1.0)
    found = []
    for one, gives, amount in ((two, "logits", 1.0), (net, output, damping)):
        case = assay.case(assay.wrap(one, output=gives), x[:3], target="loss", label=y[:3])
        found.append(explain.training_influence(case, train=(x, y), method="gauss_newton", damping=amount).values)
    assert_allclose(found[0], found[1], rtol=1e-9)


def test_ek_fac_is_exact_for_one_layer_and_one_row() -> None:
    """Then the matrix is a Kronecker product."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(3, 3)).double()
    x = torch.randn(4, 3, dtype=torch.float64)
    case = assay.case(assay.wrap(net, output="logits"), x[:3], target="loss", label=[0, 1, 2])
    train = training_case(case, (x[3:], [1]))
    layers, _ = weight_layers(case.model)
    right = target_gradients(case, layers, MEMORY)
    exact = gauss_newton(train, layers, damping=0.5, memory=MEMORY).solve(right)[0]
    assert_allclose(ek_fac(train, layers, damping=0.5, memory=MEMORY).solve(right)[0], exact, rtol=1e-9)


def test_batches_and_memory_change_nothing() -> None:
    case, train, _ = prepared(perceptron)
    layers, _ = weight_layers(case.model)
    right = target_gradients(case, layers, MEMORY)
    one = training_products(train, layers, right, MEMORY)[0]
    assert_allclose(training_products(train, layers, right, 1)[0], one, atol=1e-14)


def trained(rate: float, time: float = 40.0) -> tuple[list[Any], Any, Any]:
    """Checkpoints before every full-batch step, the case of the last weights, and the training rows."""
    torch.manual_seed(0)
    net = perceptron().double()
    x, y = torch.randn(30, 3, dtype=torch.float64), torch.arange(30) % 3
    states = []
    for _ in range(round(time / rate)):
        states.append({name: value.clone() for name, value in net.state_dict().items()})
        loss = torch.nn.functional.cross_entropy(net(x), y)
        slopes = torch.autograd.grad(loss, list(net.parameters()))
        with torch.no_grad():
            for weight, slope in zip(net.parameters(), slopes):
                weight -= rate * slope
    case = assay.case(assay.wrap(net, output="logits"), x[:4] + 0.1, target="loss", label=y[:4])
    return states, case, (x, y)


def test_tracin_sums_to_the_fall_of_the_loss_up_to_the_learning_rate() -> None:
    errors = []
    for rate in (1.0, 0.5, 0.25):
        states, case, train = trained(rate, 20.0)
        found = explain.training_influence(
            case, train=train, method="tracin", checkpoints=states, rates=(rate,) * len(states)
        )
        start = assay.case(case.model.with_net(_net(states[0]), "start", "start"), case.rows.x, target="loss",
                           label=case.label)  # fmt: skip
        errors.append(np.abs(found.values.sum(axis=1) - (start.output - case.output)))
    assert_allclose(errors[0] / errors[1], 2.0, rtol=0.3)
    assert_allclose(errors[1] / errors[2], 2.0, rtol=0.2)


def _net(state: Any) -> torch.nn.Module:
    net = perceptron().double()
    net.load_state_dict(state)
    return net


def test_the_hessian_has_negative_eigenvalues_where_the_gauss_newton_matrix_has_none() -> None:
    case, train, net = prepared(perceptron)
    names = [name for name, _ in net.named_parameters()]
    flat = torch.cat([p.detach().flatten() for p in net.parameters()])

    def loss(weights: torch.Tensor) -> torch.Tensor:
        parts = weights.split([p.numel() for p in net.parameters()])
        own = {name: part.reshape(p.shape) for name, part, p in zip(names, parts, net.parameters())}
        outputs = torch.func.functional_call(net, own, (train.rows.x,))
        return torch.nn.functional.cross_entropy(outputs, torch.as_tensor(train.label))

    hessian = torch.autograd.functional.hessian(loss, flat)
    assert float(torch.linalg.eigvalsh(hessian)[0]) < -1e-3  # type: ignore[arg-type]  # torch types the Hessian of one tensor as a tuple
    assert float(torch.linalg.eigvalsh(dense(net, train))[0]) > -1e-12
    found = explain.training_influence(case, train=(train.rows.x, train.label))
    assert "negative eigenvalues before training" in next(n.text for n in found.notes if n.code == "gauss-newton")


def test_the_last_layer_of_a_net_is_the_logistic_regression_on_its_features() -> None:
    from sklearn.linear_model import LogisticRegression

    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(60, 4)), generator.integers(0, 3, 60)
    torch.manual_seed(0)
    below = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.Tanh()).double()
    features = below(torch.as_tensor(x)).detach().numpy()
    fit = LogisticRegression(C=0.5, fit_intercept=False, tol=1e-12, max_iter=9999).fit(features, y)
    head = torch.nn.Linear(6, 3, bias=False).double()
    head.weight.data = torch.as_tensor(fit.coef_)
    net = torch.nn.Sequential(*below, head)
    case = assay.case(assay.wrap(net, output="logits"), torch.as_tensor(x[:5]), target="loss", label=y[:5])
    found = explain.training_influence(
        case, train=(torch.as_tensor(x), y), method="newton", weight_decay=2.0 / 60, steps=6
    )
    other = assay.case(assay.wrap(fit), features[:5], target="loss", label=y[:5])
    exact = explain.training_influence(other, train=(features, y), steps=6)
    assert_allclose(found.values, exact.values, rtol=1e-6, atol=1e-10)
    codes = {note.code for note in found.notes}
    assert "last-layer" in codes
    assert "not-converged" not in codes


@pytest.mark.parametrize("method", ["gauss_newton", "ek_fac"])
def test_a_net_of_one_layer_has_the_influence_of_the_linear_regression(method: str) -> None:
    from sklearn.linear_model import LinearRegression

    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(60, 3)), generator.normal(size=60)
    fit = LinearRegression().fit(x, y)
    net = torch.nn.Sequential(torch.nn.Linear(3, 1)).double()
    net[0].weight.data, net[0].bias.data = torch.as_tensor(fit.coef_[None]), torch.as_tensor([fit.intercept_])
    case = assay.case(assay.wrap(net, output="values"), torch.as_tensor(x[:5]), target="loss", label=y[:5])
    options: Any = {"method": method, "damping": 1e-9}
    found = explain.training_influence(case, train=(torch.as_tensor(x), y), **options)
    other = assay.case(assay.wrap(fit), x[:5], target="loss", label=y[:5])
    exact = explain.training_influence(other, train=(x, y), method="gauss_newton")
    assert_allclose(found.values, exact.values, rtol=1e-5, atol=1e-9)
    assert_allclose(found.extra["self_influence"], exact.extra["self_influence"], rtol=1e-5, atol=1e-9)


def test_weights_of_other_layers_are_held_fixed_and_named() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4), torch.nn.Linear(4, 3)).double()
    x = torch.randn(8, 3, dtype=torch.float64)
    case = assay.case(assay.wrap(net, output="logits"), x[:2], label=1)
    found = explain.training_influence(case, train=(x, [0, 1] * 4))
    text = next(note.text for note in found.notes if note.code == "weights-fixed")
    assert text == "8 weights of other layers are held fixed: 1.weight, 1.bias"


def test_arguments_that_do_not_fit_are_refused() -> None:
    case, train, _ = prepared(perceptron)
    pair = (train.rows.x, train.label)
    with pytest.raises(InputError, match="has to be above 0"):
        explain.training_influence(case, train=pair, damping=0.0)
    with pytest.raises(InputError, match="needs checkpoints="):
        explain.training_influence(case, train=pair, method="tracin")
    with pytest.raises(InputError, match="does not fit the net"):
        explain.training_influence(case, train=pair, method="tracin", checkpoints=[{}], rates=(1.0,))
    with pytest.raises(InputError, match="names of groups for 9 training rows"):
        explain.training_influence(case, train=pair, groups=["a", "b"])
    with pytest.raises(CapabilityError, match="is a step function"):
        explain.training_influence(case.with_target("decision", 1), train=pair)


def test_many_classes_draw_one_label_a_row_whatever_the_batch() -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(3, 20)).double()
    x = torch.randn(30, 3, dtype=torch.float64)
    case = assay.case(assay.wrap(net, output="logits"), x[:2], label=1)
    one, other = (
        explain.training_influence(case, train=(x, list(range(20)) + list(range(10))), method="ek_fac", memory=memory)
        for memory in (1 << 24, 1)
    )
    assert_allclose(one.values, other.values, atol=1e-12)
