"""What nets return, and nets on frames: endings, regions, names of outputs, columns, audits."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
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
from tests.model.enumerated_nets import BEHIND, EXPLAINED, enumerated
from tests.model.nets_as_written import (
    CODES,
    IMAGES,
    NETS,
    TABLE,
    CastingItself,
    NumbersAndCodes,
    Recurrent,
    Segmenting,
    Tabular,
    Written,
)
from torch import nn

import assay
from assay import Marginal, explain
from assay.basics.errors import CapabilityError, InputError


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
    "dropout that rarely drops": (lambda: Ending(lambda z: F.dropout(z, 1e-6)), RANDOM),
    "attention that drops": (
        lambda: Ending(lambda z: F.scaled_dot_product_attention(z[:, None], z[:, None], z[:, None], None, 1e-6)[:, 0]),
        RANDOM,
    ),
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
        (lambda z: z.tolist(), None, "list, not a tensor.*output=torch.as_tensor"),
        (lambda z: z.numpy(), None, "ndarray, not a tensor.*output=torch.as_tensor"),
        (lambda z: z[:, :, None, None].expand(-1, -1, 2, 2), None, "region_mean"),
    ],
)
def test_return_values_that_are_no_scores_are_refused(after: Any, output: Any, message: str) -> None:
    with pytest.raises((InputError, CapabilityError), match=message):
        assay.case(assay.wrap(Tabular(after), output=output), TABLE)


BESIDE: dict[str, tuple[Callable[[Any], Any], Any, str]] = {
    "logits before probabilities": (lambda z: (z, z.softmax(1)), 0, "logits"),
    "probabilities before logits": (lambda z: (z.softmax(1), z * 2), 0, "probabilities"),
    "probabilities after logits": (lambda z: (z, z.softmax(1)), 1, "probabilities"),
    "labels beside a penalty": (lambda z: {"labels": z.sigmoid(), "penalty": z.square().sum()}, "labels", "labels"),
    "logits beside labels": (
        lambda z: {"logits": z.clone(), "labels": z.sigmoid()},
        lambda out: out["logits"],
        "logits",
    ),
    "written into zeros": (lambda z: (torch.zeros_like(z).copy_(z.softmax(1)), z + 1), 0, "probabilities"),
    "a view of logits": (lambda z: (z.t().contiguous().t(), z.sigmoid()), 0, "logits"),
    "joined late": (lambda z: (torch.cat([z[:, :1], z[:, 1:]], dim=1), z.softmax(1)), 0, "logits"),
}


@pytest.mark.parametrize("name", BESIDE)
def test_the_selected_tensor_says_what_it_is_whatever_is_computed_after_it(name: str) -> None:
    after, output, meaning = BESIDE[name]
    torch.manual_seed(0)
    case = assay.case(assay.wrap(Tabular(after).eval(), output=output), TABLE, label=1)
    assert case.model.gives == ("probabilities" if meaning == "labels" else meaning)
    assert case.model.kind.exclusive == (meaning != "labels")


NAMED_AS_KIND: dict[str, Callable[[Any], Any]] = {
    "a mapping": lambda z: {"loss": None, "logits": z, "values": -z},
    "attributes": lambda z: SimpleNamespace(logits=z, values=-z),
    "the scores alone": lambda z: z,
}


@pytest.mark.parametrize("after", NAMED_AS_KIND.values(), ids=NAMED_AS_KIND)
def test_an_entry_named_as_the_kind_of_outputs_is_taken(after: Callable[[Any], Any]) -> None:
    torch.manual_seed(0)
    net = Tabular(after).eval()
    model = assay.wrap(net, output="logits")
    net.after = lambda z: z
    with torch.no_grad():
        assert_allclose(assay.case(model, TABLE, label=1).output, net(TABLE)[:, 1], atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 3), (3, 1), (3, 1, 1), (1, 3, 1)], ids=str)
def test_axes_of_length_one_are_left_out(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    net = Tabular(lambda z: z.reshape(len(z), *shape)).eval()
    with torch.no_grad():
        expected = net(TABLE).reshape(len(TABLE), 3)[:, 2]
    assert_allclose(assay.case(assay.wrap(net), TABLE, label=2).output, expected, atol=1e-6)


@pytest.mark.parametrize("method", ["output", "shapley", "occlusion", "saliency", "integrated_gradients", "lrp"])
def test_missing_outputs_of_some_rows_are_refused_by_name(method: str) -> None:
    torch.manual_seed(0)
    net = Tabular(lambda z: torch.where(z > 0, torch.nan, z), 1)
    with torch.no_grad():
        net.last.bias -= net.last(torch.tanh(net.first(TABLE))).median()
    case = assay.case(assay.wrap(net.eval(), output="values"), TABLE, ids=list("abcdefg"))
    options = {"remove": Marginal(TABLE)} if method in ("shapley", "occlusion") else {}
    with pytest.raises(InputError, match=r"gives NaN for \d of 7 rows"):
        _ = case.output if method == "output" else getattr(explain, method)(case, **options)


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
