"""Nets as people write them, against the net itself, autograd, and enumeration."""

from __future__ import annotations

import itertools
from collections import UserDict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
import torch.nn.functional as F
from numpy.testing import assert_allclose
from tests.model import nets_as_wrapped
from tests.model.nets_as_written import (
    CODES,
    IMAGES,
    NETS,
    TABLE,
    WINDOWS,
    CastingItself,
    ImageAndTable,
    NumbersAndCodes,
    OneCode,
    Recurrent,
    Segmenting,
    Tabular,
    Written,
)
from tests.oracles.games import shapley
from torch import nn

import assay
from assay import Marginal, explain
from assay.basics.errors import CapabilityError, InputError

EXPLAINED, BEHIND, MOST = slice(0, 2), slice(2, 5), 8
quiet = pytest.mark.filterwarnings("ignore")
SMOOTH = [name for name, kind in NETS.items() if not kind.whole and not kind.jumps]


def parts_of(x: Any) -> list[Any]:
    """The inputs of a net of several, or the one input."""
    return list(x.values()) if isinstance(x, Mapping) else list(x) if isinstance(x, tuple) else [x]


def like(x: Any, parts: list[Any]) -> Any:
    """Inputs in the form of others."""
    return dict(zip(x, parts)) if isinstance(x, Mapping) else tuple(parts) if isinstance(x, tuple) else parts[0]


def take(x: Any, which: Any) -> Any:
    """Some of the rows."""
    return like(x, [part[which] for part in parts_of(x)])


def flat(x: Any) -> np.ndarray:
    """The rows as a float64 matrix (row, element)."""
    return np.concatenate([np.asarray(torch.as_tensor(p).double()).reshape(len(p), -1) for p in parts_of(x)], axis=1)


def unflat(matrix: np.ndarray, x: Any) -> Any:
    """A matrix in the form, and the types, of the rows ``x``."""
    ends = np.cumsum([int(np.prod(part.shape[1:])) for part in parts_of(x)])[:-1]
    parts = []
    for part, values in zip(parts_of(x), np.split(matrix, ends, axis=1)):
        shaped = values.reshape(len(matrix), *part.shape[1:])
        is_numpy = isinstance(part, np.ndarray)
        parts.append(shaped.astype(part.dtype) if is_numpy else torch.as_tensor(shaped).to(part.dtype))
    return like(x, parts)


def enumerated(kind: Written, label: int) -> np.ndarray:
    """Shapley values (row, element) of the net's own mean score over the background."""
    rows, background = flat(take(kind.x, EXPLAINED)), flat(take(kind.x, BEHIND))
    masks = list(itertools.product((False, True), repeat=rows.shape[1]))
    filled = [np.where(mask, row, other) for row in rows for mask in masks for other in background]
    with torch.no_grad():
        scores = kind.run(unflat(np.array(filled), kind.x))[:, label].numpy()
    table = scores.reshape(len(rows), len(masks), len(background)).mean(axis=2)
    place = {frozenset(np.flatnonzero(mask).tolist()): i for i, mask in enumerate(masks)}
    return np.stack([shapley(lambda s, values=values: float(values[place[s]]), rows.shape[1]) for values in table])


def case_of(kind: Written, x: Any = None, **options: Any) -> Any:
    """A case of the last score."""
    label = kind.run(kind.x).shape[1] - 1
    return assay.case(
        kind.model(), kind.x if x is None else x, target=kind.target, **{"label": label} | kind.case | options
    )


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


def test_windows_of_different_length_are_packed_by_the_net() -> None:
    torch.manual_seed(0)
    net, lengths = nets_as_wrapped.Packed().eval(), torch.tensor([3, 2, 1, 3, 3, 2, 1])
    case = assay.case(assay.wrap(net), WINDOWS, carried={"lengths": lengths}, label=1, names=["a", "b"])
    found = explain.integrated_gradients(case)
    assert_allclose(found.residual, 0, atol=1e-5)
    assert (found.values.reshape(7, 3, 2)[lengths == 1][:, 1:] == 0).all()  # what the net never reads


class Ending(nn.Module):
    """A linear layer and a function."""

    def __init__(self, after: Callable[[Any], Any]) -> None:
        super().__init__()
        self.last, self.after = nn.Linear(4, 2), after

    def forward(self, x: torch.Tensor) -> Any:
        return self.after(self.last(x))


class AlwaysDropping(nn.Sequential):
    """A net whose dropout stays active in evaluation mode."""

    def train(self, mode: bool = True) -> Any:
        super().train(mode)
        self[1].training = True
        return self


RANDOM, TOGETHER = "other outputs for the same rows", "depend on the other rows of the batch or on their order"
REFUSED = {
    "batch norm without statistics": (
        lambda: nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5, track_running_stats=False), nn.Linear(5, 2)),
        TOGETHER,
    ),
    "batch norm by function": (lambda: Ending(lambda z: F.batch_norm(z, None, None, training=True)), TOGETHER),
    "a softmax over the rows": (lambda: Ending(lambda z: z.softmax(0)), TOGETHER),
    "scores less their mean": (lambda: Ending(lambda z: z - z.mean(0)), TOGETHER),
    "sorted scores": (lambda: Ending(lambda z: z.sort(0).values), TOGETHER),
    "dropout by function": (lambda: Ending(F.dropout), RANDOM),
    "dropout of whole channels": (lambda: Ending(lambda z: F.dropout1d(z[:, :, None], 0.5)[:, :, 0]), RANDOM),
    "dropout that stays active": (lambda: AlwaysDropping(nn.Linear(4, 5), nn.Dropout(0.5), nn.Linear(5, 2)), RANDOM),
    "noise": (lambda: Ending(lambda z: z + torch.randn_like(z)), RANDOM),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_net_that_is_no_function_of_a_row_is_refused(name: str) -> None:
    make, message = REFUSED[name]
    torch.manual_seed(0)
    with pytest.raises(CapabilityError, match=message):
        assay.case(assay.wrap(make().eval(), output="logits"), TABLE, label=1)


def test_layers_without_weights_yet_are_refused() -> None:
    with pytest.raises(InputError, match="call the net once"):
        assay.wrap(nn.Sequential(nn.LazyLinear(3)))


@pytest.mark.parametrize(
    ("after", "output", "message"),
    [
        (lambda z: {"a": z, "b": z}, "c", r"returns \['a', 'b'\], without"),
        (lambda z: {"a": z, "b": z}, None, "Select the tensor with output="),
        (lambda z: (z, z), 2, "2 entries, without this position"),
        (lambda z: (z, z), None, "Select the tensor with output="),
        (lambda z: z[:, :, None, None], None, "region_mean"),
    ],
)
def test_return_values_that_are_no_scores_are_refused(after: Any, output: Any, message: str) -> None:
    with pytest.raises((InputError, CapabilityError), match=message):
        assay.case(assay.wrap(Tabular(after), output=output), TABLE)


@pytest.mark.parametrize(
    ("after", "meaning"),
    [
        (lambda z: z, "logits"),
        (lambda z: z.softmax(1), "probabilities"),
        (lambda z: z.sigmoid(), "probabilities"),
        (lambda z: z[:, :1].sigmoid(), "probabilities"),
    ],
)
def test_the_mean_over_a_region_is_what_the_map_is(after: Any, meaning: str) -> None:
    torch.manual_seed(0)
    net, region = Segmenting(after).eval(), nets_as_wrapped.REGION
    case = assay.case(assay.wrap(net, output=assay.model.region_mean(region)), IMAGES, label=None)
    assert case.model.gives == meaning
    with torch.no_grad():
        assert_allclose(case.prediction, net(IMAGES)[:, :, region].mean(2), atol=1e-6)


MAPS = {
    "out": (lambda z: {"aux": -z, "out": z}, None),
    "logits": (lambda z: {"loss": z.mean(), "logits": z}, None),
    "a key": (lambda z: {"coarse": -z, "fine": z}, "fine"),
    "a position": (lambda z: (-z, z), 1),
    "a function": (lambda z: [[z]], lambda out: out[0][0]),
}


@pytest.mark.parametrize("name", MAPS)
def test_the_maps_are_found_in_what_the_net_returns(name: str) -> None:
    after, output = MAPS[name]
    torch.manual_seed(0)
    net = Segmenting(after).eval()
    select = assay.model.region_mean(nets_as_wrapped.REGION, output=output)
    found = assay.case(assay.wrap(net, output=select), IMAGES).prediction
    net.after = lambda z: z
    with torch.no_grad():
        assert_allclose(found, nets_as_wrapped.region_scores(net(IMAGES)), atol=1e-6)


@pytest.mark.parametrize(
    ("after", "region", "message"),
    [
        (lambda z: z, np.ones((3, 3), dtype=bool), "a mask of the positions"),
        (lambda z: z, np.zeros((2, 3), dtype=bool), "at least one true entry"),
        (lambda z: {"coarse": z, "fine": z}, np.ones((2, 3), dtype=bool), "name the maps"),
        (lambda z: (z, z), np.ones((2, 3), dtype=bool), "name the maps"),
    ],
)
def test_a_region_that_fits_no_map_is_refused(after: Any, region: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        assay.case(assay.wrap(Segmenting(after), output=assay.model.region_mean(region)), IMAGES)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_codes_that_half_precision_rounds_are_named(dtype: torch.dtype) -> None:
    class Many(CastingItself):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(5000, 2)

    x = torch.cat([torch.full((7, 1), 4001.0), TABLE[:, :3]], dim=1)
    case = assay.case(assay.wrap(Many().to(dtype)), x)
    assert any("4001 to" in note.text for note in case.notes if note.code == "rounded-codes")
    exact = assay.case(assay.wrap(Many().to(dtype)), x.clamp(max=100.0))
    assert not [note for note in exact.notes if note.code == "rounded-codes"]


def test_the_outputs_of_a_regression_of_several_are_named() -> None:
    case = assay.case(assay.wrap(Tabular().eval(), output="values", classes=["p", "q", "r"]), TABLE, label="q")
    assert set(explain.saliency(case).to_frame()["class"]) == {"q"}
    one = assay.case(assay.model.one_output(case.model, "q"), TABLE)
    assert_allclose(one.output, case.output, atol=1e-7)


BASE = pd.DataFrame(
    {
        "age": np.arange(20, 27),
        "income": TABLE[:, 0].double().numpy(),
        "old": CODES[:, 0].numpy() > 2,
        "rooms": CODES[:, 1].numpy().astype("float32"),
    }
)
FRAMES: dict[str, Any] = {
    "pandas": BASE,
    "pandas with an index": BASE.set_index(pd.Index(list("abcdefg"))),
    "nullable": BASE.astype({"age": "Int64", "income": "Float64", "old": "boolean"}),
    "pandas with Arrow types": BASE.convert_dtypes(dtype_backend="pyarrow"),
    "small integers": BASE.astype({"age": "int8"}),
    "sparse columns": BASE.astype({"income": pd.SparseDtype(float)}),
    "polars": pl.from_pandas(BASE),
    "pyarrow": pa.Table.from_pandas(BASE, preserve_index=False),
}


def cut(frame: Any, rows: slice) -> Any:
    """Some rows of a frame."""
    if isinstance(frame, pd.DataFrame):
        return frame.iloc[rows]
    return frame.slice(rows.start, rows.stop - rows.start)


@pytest.mark.parametrize("library", FRAMES)
def test_a_net_on_a_frame_reads_its_columns_as_numbers(library: str) -> None:
    frame = FRAMES[library]
    kind = Written(lambda: Tabular(columns=2), torch.as_tensor(BASE.astype("float32").to_numpy()))
    case = assay.case(assay.wrap(kind.net, classes=["no", "yes"]), cut(frame, EXPLAINED), label="yes")
    found = explain.shapley(case, remove=Marginal(cut(frame, BEHIND)))
    assert_allclose(found.values, enumerated(kind, 1), rtol=0, atol=1e-6)
    assert found.features.names == tuple(BASE.columns)
    assert type(found.to_frame()).__module__.partition(".")[0] == type(frame).__module__.partition(".")[0]
    assert found.ids == (("a", "b") if "index" in library else ("0", "1"))
    reordered = Marginal(BASE[["old", "rooms", "age", "income"]][BEHIND])
    assert_allclose(explain.shapley(case, remove=reordered).values, found.values, rtol=0, atol=1e-12)
    gradients = explain.integrated_gradients(case, start=cut(frame, slice(2, 3)))
    assert_allclose(gradients.residual, 0, atol=1e-5)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_frame_of_codes_reaches_an_embedding_as_whole_numbers(library: str) -> None:
    kind = NETS["codes alone, int64"]
    frame = pd.DataFrame(CODES.numpy(), columns=["a", "b"])
    frame = frame if library == "pandas" else pl.from_pandas(frame)
    case = assay.case(assay.wrap(kind.net), cut(frame, EXPLAINED), label=2)
    found = explain.shapley(case, remove=Marginal(cut(frame, BEHIND)))
    assert_allclose(found.values, enumerated(kind, 2), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (["x"] * 7, "not numeric"),
        (pd.Categorical(["a", "b"] * 3 + ["a"]), "not numeric"),
        (pd.Timestamp("2020-01-01"), "not numeric"),
        (np.nan, "missing values: 'rooms'"),
        (pd.array([None] + [True] * 6, dtype="boolean"), "missing values: 'rooms'"),
        (pd.array([None] + [3] * 6, dtype="Int64"), "missing values: 'rooms'"),
        (np.inf, "infinite"),
    ],
)
def test_columns_that_are_no_numbers_are_named(column: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        assay.case(assay.wrap(Tabular().eval()), BASE.assign(rooms=column))


def many(rows: int = 90) -> tuple[pd.DataFrame, np.ndarray]:
    """A table of numbers and truth values, and labels that follow it."""
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": generator.integers(0, 9, rows),
            "income": generator.normal(size=rows),
            "old": generator.normal(size=rows) > 0,
            "rooms": generator.normal(size=rows).astype("float32"),
        }
    )
    return frame, (frame.income + frame.old > 0.5).astype(int).to_numpy()


def test_an_audit_finds_the_same_of_a_net_on_pandas_and_on_polars() -> None:
    frame, labels = many()
    torch.manual_seed(0)
    net, found = Tabular(columns=2), []
    for rows in (frame.reset_index(drop=True), pl.from_pandas(frame)):
        run = assay.audit(
            assay.wrap(net, classes=["no", "yes"]),
            cut(rows, slice(60, 90)),
            labels[60:],
            train=(cut(rows, slice(0, 60)), labels[:60]),
            sensitive=("old",),
            ids=range(30),
            profile="quick",
        )
        assert not run.record.refusals
        found.append([(f.code, f.subject, f.verdict, f.estimate, f.interval, f.n) for f in run.findings])
    assert len(found[0]) > 40
    assert repr(found[0]) == repr(found[1])


SEVERAL = {
    "a mapping": lambda numbers, codes: {"numbers": numbers, "codes": codes},
    "a tuple": lambda numbers, codes: (numbers, codes),
}


@pytest.mark.parametrize("form", SEVERAL)
def test_an_audit_of_a_net_of_several_inputs_leaves_out_what_has_no_gradient(form: str) -> None:
    generator = np.random.default_rng(0)
    numbers, codes = generator.normal(size=(60, 4)).astype("float32"), generator.integers(0, 6, (60, 2))
    torch.manual_seed(0)
    net, make = NumbersAndCodes().eval(), SEVERAL[form]
    with torch.no_grad():
        labels = net(torch.as_tensor(numbers), torch.as_tensor(codes)).argmax(dim=1).numpy()
    run = assay.audit(
        assay.wrap(net),
        make(numbers[40:], codes[40:]),
        labels[40:],
        train=(make(numbers[:40], codes[:40]), labels[:40]),
        profile="quick",
    )
    assert not run.record.refusals
    explained = {finding.subject for finding in run.all("TRU001")}
    assert "shapley" in explained
    assert not explained & {"saliency", "integrated_gradients", "smooth_grad"}


def test_an_audit_of_a_net_on_windows_names_steps() -> None:
    generator = np.random.default_rng(0)
    windows = generator.normal(size=(60, 3, 2)).astype("float32")
    torch.manual_seed(0)
    net = Recurrent(nn.LSTM, True).eval()
    with torch.no_grad():
        labels = net(torch.as_tensor(windows)).argmax(dim=1).numpy()
    run = assay.audit(assay.wrap(net), windows[40:], labels[40:], train=(windows[:40], labels[:40]), profile="quick")
    assert not run.record.refusals
    assert {finding.subject for finding in run.all("TRU001")} >= {"integrated_gradients", "shapley"}
