"""Nets as people write them, against the net itself, autograd, and enumeration."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from numpy.testing import assert_allclose
from tests.model import nets_as_wrapped
from tests.model.enumerated_nets import BEHIND, EXPLAINED, MOST, case_of, enumerated, flat, like, parts_of, take, unflat
from tests.model.nets_as_written import (
    CODES,
    IMAGES,
    NETS,
    TABLE,
    WINDOWS,
    ImageAndTable,
    NumbersAndCodes,
    OneCode,
    Written,
)

import assay
from assay import Marginal, explain
from assay.basics.errors import CapabilityError, InputError

quiet = pytest.mark.filterwarnings("ignore")
SMOOTH = [name for name, kind in NETS.items() if not kind.whole and not kind.jumps]


@quiet
@pytest.mark.parametrize("name", NETS)
def test_the_outputs_are_the_nets_own(name: str) -> None:
    kind = NETS[name]
    with torch.no_grad():
        assert_allclose(case_of(kind).prediction, kind.run(kind.x), rtol=0, atol=kind.tolerance)


@quiet
@pytest.mark.parametrize("name", [name for name, kind in NETS.items() if flat(kind.x).shape[1] <= MOST])
def test_shapley_values_are_those_of_enumeration(name: str) -> None:
    kind = NETS[name]
    case = case_of(kind, take(kind.x, EXPLAINED))
    found = explain.shapley(case, budget=2**MOST, remove=Marginal(take(kind.x, BEHIND)))
    assert_allclose(found.values, enumerated(kind, int(case.label[0])), rtol=0, atol=kind.tolerance)
    frame = found.to_frame()
    assert list(frame["part"])[: len(kind.parts)] == list(kind.parts)
    if len(parts_of(kind.x)[0].shape) <= 3:
        assert_allclose([float(cell) for cell in frame["cell"]], flat(take(kind.x, EXPLAINED)).ravel(), rtol=1e-5)


def autograd(kind: Written, label: int) -> np.ndarray:
    """The derivative (row, element) of the net's score by its inputs."""
    leaves = [torch.as_tensor(part).clone().requires_grad_(True) for part in parts_of(kind.x)]
    score = kind.run(like(kind.x, leaves))[:, label].sum()
    return np.concatenate([g.double().flatten(1).numpy() for g in torch.autograd.grad(score, leaves)], axis=1)


@quiet
@pytest.mark.parametrize("name", SMOOTH)
def test_gradients_are_those_of_autograd(name: str) -> None:
    kind = NETS[name]
    case = case_of(kind)
    found = explain.input_x_gradient(case)
    expected = flat(kind.x) * autograd(kind, int(case.label[0]))
    assert_allclose(found.values, expected, rtol=0, atol=4 * kind.tolerance)


@quiet
@pytest.mark.parametrize("name", SMOOTH)
def test_integrated_gradients_add_up_to_the_difference_of_the_nets_scores(name: str) -> None:
    kind = NETS[name]
    case = case_of(kind)
    start = unflat(np.full_like(flat(kind.x), 0.25), kind.x)
    found = explain.integrated_gradients(case, start=start)
    with torch.no_grad():
        expected = (kind.run(kind.x) - kind.run(start))[:, int(case.label[0])].numpy()
    assert_allclose(found.values.sum(axis=1), expected, rtol=0, atol=max(20 * kind.tolerance, 1e-4))


@quiet
@pytest.mark.parametrize("method", [explain.lrp, explain.deep_lift])
@pytest.mark.parametrize("name", ["an image and a table", "shared and tied layers", "a map", "3-d convolutions"])
def test_backward_rules_account_for_the_score(name: str, method: Any) -> None:
    case = case_of(NETS[name])
    found = method(case)
    accounted = found.values.sum(axis=1) + (found.extra["absorbed"] if method is explain.lrp else found.base)
    assert np.abs(found.values).max() > 1e-3
    assert_allclose(accounted, case.output, rtol=0, atol=1e-5)


class OneArgument(torch.nn.Module):
    """A net whose forward pass takes all its inputs as one mapping or tuple."""

    def __init__(self, net: torch.nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, batch: Any, scale: float = 1.0) -> torch.Tensor:
        return scale * self.net(*(batch if isinstance(batch, tuple) else (batch["numbers"], batch["codes"])))


class OneTuple(OneArgument):
    """The same, without a further argument."""

    def forward(self, batch: Any) -> torch.Tensor:
        return self.net(*batch)


@pytest.mark.parametrize("kind", ["mapping", "tuple"])
def test_all_inputs_may_be_one_argument(kind: str) -> None:
    torch.manual_seed(3)
    net = NumbersAndCodes().eval()
    x: Any = {"codes": CODES, "numbers": TABLE} if kind == "mapping" else (TABLE, CODES)
    one = OneArgument(net) if kind == "mapping" else OneTuple(net)
    found, expected = (
        explain.shapley(assay.case(assay.wrap(each), x, label=0), remove=Marginal(x)).values for each in (one, net)
    )
    assert_allclose(found, expected, rtol=0, atol=1e-7)


INPUTS = {"numbers": TABLE, "codes": CODES}
BACKGROUNDS = {
    "the same mapping": INPUTS,
    "a mapping in another order": {"codes": CODES, "numbers": TABLE},
    "a user's own mapping": UserDict(codes=CODES, numbers=TABLE),
    "numpy arrays": {"numbers": TABLE.double().numpy(), "codes": CODES.numpy().astype(np.int32)},
    "one matrix": torch.cat([TABLE, CODES.float()], dim=1),
}


@pytest.mark.parametrize("form", BACKGROUNDS)
def test_a_background_may_have_any_form_that_names_the_inputs(form: str) -> None:
    case = assay.case(assay.wrap(NETS["a mapping in another order"].net), INPUTS, label=0)
    given, expected = (explain.shapley(case, remove=Marginal(one)).values for one in (BACKGROUNDS[form], INPUTS))
    assert_allclose(given, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("background", "message"),
    [
        ((TABLE, CODES), "have inputs"),
        ({"numbers": TABLE, "kodes": CODES}, "have inputs"),
        ({"numbers": TABLE}, "have inputs"),
        ({"numbers": TABLE[:, :3], "codes": CODES}, "have inputs"),
        ({"numbers": TABLE, "codes": CODES[:2]}, "the same number everywhere"),
        ({"numbers": TABLE, "codes": CODES + 50}, "an id is outside the net's table"),
    ],
)
def test_a_background_of_other_inputs_is_refused(background: Any, message: str) -> None:
    case = assay.case(assay.wrap(NumbersAndCodes().eval()), INPUTS, label=0)
    with pytest.raises(InputError, match=message):
        explain.shapley(case, remove=Marginal(background))


@pytest.mark.parametrize("remove", [assay.Constant(0.5), assay.Mean(INPUTS)], ids=["constant", "mean"])
def test_a_removal_that_invents_codes_is_refused(remove: Any) -> None:
    with pytest.raises(InputError, match="'codes' takes whole numbers; a removal or a step gave fractions"):
        explain.shapley(assay.case(assay.wrap(NumbersAndCodes().eval()), INPUTS, label=0), remove=remove)


@pytest.mark.parametrize("method", ["saliency", "integrated_gradients", "lrp", "conductance", "smooth_grad"])
def test_gradients_by_codes_are_refused_with_what_to_do(method: str) -> None:
    case = assay.case(assay.wrap(NumbersAndCodes().eval()), INPUTS, label=0)
    needed = "numeric inputs" if method == "lrp" else "gradients; NumbersAndCodes gives none with respect to whole"
    with pytest.raises(CapabilityError, match=rf"needs {needed}.*carried="):
        getattr(explain, method)(case)
    inner = explain.integrated_gradients(case.from_layer("table"))  # one of the two ways out
    assert_allclose(inner.residual, 0, atol=1e-5)
    other = assay.case(case.model, TABLE, carried={"codes": CODES}, label=0)
    assert_allclose(explain.integrated_gradients(other).residual, 0, atol=1e-5)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([TABLE, CODES], "several inputs of a net are a tuple or a mapping"),
        ((TABLE, CODES[:3]), r"\[7, 3\] rows"),
        ((TABLE,), "missing 1 required positional argument"),
        ({"numbers": TABLE, "kodes": CODES}, "unexpected keyword argument"),
        ((TABLE, np.array(["a"] * 7)), "numbers or truth values"),
        ((TABLE, CODES + 50), "an id is outside the net's table"),
        ((TABLE * float("nan"), CODES), "NaN"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(x: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        assay.case(assay.wrap(NumbersAndCodes().eval()), x)


def test_the_inputs_are_never_written_into() -> None:
    class InPlace(OneCode):
        def forward(self, numbers: torch.Tensor, code: torch.Tensor) -> torch.Tensor:
            return super().forward(numbers.mul_(2), code.add_(1).remainder_(6))

    x = {"numbers": TABLE.double(), "code": CODES[:, 0].clone()}
    before = {name: part.clone() for name, part in x.items()}
    case = assay.case(assay.wrap(InPlace().double().eval()), x, label=0)
    first, second = (explain.shapley(case, remove=Marginal(x)).values for _ in range(2))
    assert_allclose(first, second, rtol=0, atol=0)
    assert all(torch.equal(x[name], before[name]) for name in x)


@pytest.mark.parametrize("view", [False, True])
def test_a_convolution_beside_other_inputs_may_be_viewed_as_a_row(view: bool) -> None:
    class Viewing(ImageAndTable):
        def forward(self, image: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
            maps = torch.tanh(self.convolution(image))
            rows = maps.view(len(maps), -1) if view else maps.flatten(1)
            return self.last(torch.cat([rows, table], dim=1))

    net, x = Viewing().eval(), {"image": IMAGES, "table": TABLE[:, :2]}
    with torch.no_grad():
        assert_allclose(assay.case(assay.wrap(net), x).prediction, net(**x), atol=1e-6)


MASK = torch.tensor([1.0, 1.0, 0.5, 0.0]).repeat(len(TABLE), 1)
SCALE = torch.arange(1.0, len(TABLE) + 1)
FORMS: dict[str, Callable[[torch.Tensor], Any]] = {
    "tensors": lambda x: x,
    "numpy": lambda x: x.numpy().astype(np.float64),
    "lists": lambda x: x.tolist(),
    "pandas": lambda x: pd.DataFrame(x.numpy()) if x.ndim == 2 else pd.Series(x.numpy()),
    "polars": lambda x: pl.DataFrame(x.numpy()) if x.ndim == 2 else pl.Series(x.numpy()),
}


@pytest.mark.parametrize("form", FORMS)
def test_further_inputs_are_carried_as_they_are(form: str) -> None:
    torch.manual_seed(0)
    net = nets_as_wrapped.Scaled().eval()
    carried = {"mask": FORMS[form](MASK), "scale": FORMS[form](SCALE)}
    case = assay.case(assay.wrap(net), TABLE, carried=carried, label=1)
    with torch.no_grad():
        assert_allclose(case.prediction, net(TABLE, mask=MASK, scale=SCALE), atol=1e-6)
    kind = Written(lambda: net, TABLE[:2])

    def run(x: torch.Tensor) -> torch.Tensor:
        row = torch.arange(len(x)) // (len(x) // 2)
        return net(x, mask=MASK[row], scale=SCALE[row]).double()

    object.__setattr__(kind, "x", TABLE)
    object.__setattr__(kind, "run", run)
    found = explain.shapley(case.take([0, 1]), remove=Marginal(TABLE[BEHIND]))
    assert_allclose(found.values, enumerated(kind, 1), atol=1e-6)


@pytest.mark.parametrize(
    ("carried", "message"),
    [
        ({"mask": True}, "not one entry a row"),
        ({"mask": np.float32(1.0)}, "not one entry a row"),
        ({"mask": MASK[:3]}, "has 3 rows; there are 7"),
        ({"mask": ["a"] * 7}, "numbers are needed"),
        ({"maks": MASK}, "unexpected keyword argument 'maks'"),
    ],
)
def test_further_inputs_that_do_not_fit_are_refused(carried: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        assay.case(assay.wrap(nets_as_wrapped.Scaled().eval()), TABLE, carried=carried)


class ByName(torch.nn.Module):
    """A net that reads its further inputs from keywords of any name."""

    def forward(self, x: torch.Tensor, **further: torch.Tensor) -> torch.Tensor:
        return x[:, :2] * further["mask"]


class Linear(torch.nn.Module):
    """A net of rows alone."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :2]


class Masked(torch.nn.Module):
    """A net of rows and a mask."""

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return x[:, :2] * mask


@quiet
@pytest.mark.parametrize("output", [None, "logits"])
@pytest.mark.parametrize(
    ("net", "carried", "message"),
    [
        (Linear, {"mask": MASK}, r"'mask'.*\(carried=\): mask"),
        (torch.nn.Flatten, {"mask": MASK}, r"'mask'.*\(carried=\): mask"),
        (Masked, {"maks": MASK}, r"'maks'.*\(carried=\): maks"),
        (Masked, {"x": MASK}, r"multiple values for argument 'x'"),
        (Masked, {"mask": np.ones((7, 5), np.float32)}, "size of tensor"),
        (Masked, {}, "'mask'"),
        (ByName, {"maks": MASK}, r"KeyError: 'mask'.*\(carried=\): maks"),
        (lambda: torch.jit.script(Masked()), {"maks": MASK}, r"'mask'.*\(carried=\): maks"),
        (lambda: torch.nn.Linear(9, 2), {}, "shape.*Give rows of the shape"),
    ],
    ids=lambda value: ",".join(value) or "nothing" if isinstance(value, dict) else getattr(value, "__name__", ""),
)
def test_inputs_that_a_net_lacks_are_refused_whether_or_not_its_outputs_are_stated(
    net: Any, carried: Any, message: str, output: str | None
) -> None:
    with pytest.raises(InputError, match=f"cannot take rows of shape.*{message}"):
        explain.occlusion(assay.case(assay.wrap(net().eval(), output=output), TABLE, carried=carried))


def test_further_inputs_of_what_takes_rows_alone_are_refused() -> None:
    model = assay.wrap(lambda x: x[:, 0], output="values")
    with pytest.raises(CapabilityError, match="takes rows alone"):
        assay.case(model, np.ones((7, 2)), carried={"mask": MASK})
    with pytest.raises(InputError, match="carried has the name 1"):
        assay.case(assay.wrap(Linear(), output="logits"), TABLE, carried={1: MASK})


def test_windows_of_different_length_are_packed_by_the_net() -> None:
    torch.manual_seed(0)
    net, lengths = nets_as_wrapped.Packed().eval(), torch.tensor([3, 2, 1, 3, 3, 2, 1])
    case = assay.case(assay.wrap(net), WINDOWS, carried={"lengths": lengths}, label=1, names=["a", "b"])
    found = explain.integrated_gradients(case)
    assert_allclose(found.residual, 0, atol=1e-5)
    assert (found.values.reshape(7, 3, 2)[lengths == 1][:, 1:] == 0).all()  # what the net never reads
