"""Everything that works on a net runs where the net is, without a silent transfer: a fake device fails at each."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose
from tests.contract import subjects
from tests.contract.nets import Rectified, filled, net, picture_net, pooled_net
from tests.contract.subjects import pictures, required_options, supports
from tests.fake_device import DeviceTensor, fake_device
from tests.model import nets_as_wrapped as wrapped
from tests.model import nets_as_written as written
from torch import nn

import assay
from assay import attack, certify, explain
from assay.model.transformations.randomise_weights import randomise_weights
from assay.nouns.catalogue import Method
from assay.nouns.inputs.features import grid
from assay.nouns.inputs.recipe import Recipe
from assay.nouns.inputs.rows import to_floats

X = np.random.default_rng(0).normal(size=(6, 4))
IMAGES = np.random.default_rng(1).uniform(0.1, 1.0, (3, 3, 8, 8))
WINDOWS = np.random.default_rng(2).normal(size=(6, 3, 2))
ZERO = assay.Constant(0.0)
quiet = pytest.mark.filterwarnings("ignore")


def table(device: str, module: Any = None, x: Any = X, **options: Any) -> Any:
    """A case of a small net of numbers, on the device."""
    model = assay.wrap(net() if module is None else module, device=device)
    return assay.case(model, x, **{"label": 1} | options)


def image(device: str, module: Any, **options: Any) -> Any:
    """A case of a net on pictures, cut into four patches."""
    return assay.case(
        assay.wrap(module, device=device), pictures(), features=grid((3, 8, 8), 4), **{"label": 1} | options
    )


CASES: dict[str, Callable[[str], Any]] = {
    "neural": lambda device: table(device, x=subjects.ROWS),
    "visual": lambda device: image(device, picture_net()),
    "pooled": lambda device: image(device, pooled_net()),
    "rectified": lambda device: image(device, filled(Rectified().double(), 9), label="predicted"),
    "textual": lambda device: assay.case(
        assay.model.text(
            subjects.reader().to(device), subjects.whitespace, embedding="embed", classes=["x", "y", "z"], read="mean"
        ),
        subjects.TEXTS,
        label="y",
    ),
}
SLOW = {("integrated_hessians", "textual"), ("integrated_hessians", "rectified")}
SCORED = ("neural", "visual")


def pairs() -> list[Any]:
    """Methods with the subjects on which they run."""
    found = [(m, s) for m in subjects.methods("explain") for s in CASES if (m.name, s) not in SLOW]
    found += [(m, s) for m in subjects.methods("evaluate") for s in SCORED if "train" not in m.needs]
    offered = [(m, s) for m, s in found if supports(m, s)]
    first = {(m.verb, m.name): s for m, s in reversed(offered)}  # the others: make judge
    marks = {True: (), False: (pytest.mark.judge,)}
    explainers = sorted(name for verb, name in first if verb == "explain")
    on_texts = set(explainers[::3])  # on texts every third method, the others: make judge
    return [
        pytest.param(
            m, s, id=f"{m.name}-{s}", marks=marks[s == first[m.verb, m.name] or (s == "textual" and m.name in on_texts)]
        )
        for m, s in offered
    ]


def values(method: Method, case: Any) -> Any:
    """What a method gives for a case: of an explanation, or of a score of integrated gradients."""
    if method.verb == "explain":
        return subjects.explain_case(method, case).values
    return method.call(explain.integrated_gradients(case), case, **required_options(method, case)).values


@quiet
@pytest.mark.parametrize(("method", "subject"), pairs())
def test_a_method_gives_the_same_numbers_on_the_device(method: Method, subject: str) -> None:
    expected = values(method, CASES[subject]("cpu"))
    with fake_device() as device:
        case = CASES[subject](device)
        assert isinstance(case.rows.x, DeviceTensor)
        found = values(method, case)
    assert_allclose(to_floats(found), to_floats(expected), rtol=0, atol=1e-6)


class Normalised(nn.Module):
    """Convolutions with batch norm, and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 5, 3), nn.Linear(5, 3)
        self.norm, self.other = nn.BatchNorm2d(4), nn.BatchNorm2d(5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.other(self.second(torch.relu(self.norm(self.first(x))))))
        return self.last(x.mean((2, 3)))


class Encoder(nn.Module):
    """A transformer on windows."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(2, 8), nn.Linear(8, 3)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.layer(self.first(x)).mean(1))


def fresh(make: Callable[[], nn.Module]) -> nn.Module:
    """A net in double precision and evaluation mode, with the same weights at each call."""
    torch.manual_seed(0)
    return make().double().eval()


def there(array: Any, device: str) -> torch.Tensor:
    """A tensor on the device."""
    return torch.as_tensor(array).to(device)


NUMBERS, CODES = X, np.random.default_rng(3).integers(0, 6, (6, 2))
MASK, SCALE = np.tile([1.0, 1.0, 0.5, 0.0], (6, 1)), np.arange(1.0, 7.0)
KEPT = np.tile(np.arange(4) < 2, (6, 1))
FRAME = pd.DataFrame(X, columns=list("abcd"))
LABELS = [0, 1, 2, 0, 1, 2]

Run = Callable[[str], Any]
RUNS: dict[str, Run] = {}
"""What is run on the device, by name: a function of the device that gives numbers."""

for name, removal in {
    "a number": lambda d: ZERO,
    "a row": lambda d: assay.Constant(X[0]),
    "a row on the device": lambda d: assay.Constant(there(X[0], d)),
    "a mean": lambda d: assay.Mean(X),
    "a background of numpy": lambda d: assay.Marginal(X[:3]),
    "a background on the CPU": lambda d: assay.Marginal(torch.as_tensor(X[:3])),
    "a background on the device": lambda d: assay.Marginal(there(X[:3], d)),
    "neighbours": lambda d: assay.Conditional(X, k=2),
}.items():
    RUNS[f"removal: {name}"] = lambda d, r=removal: explain.shapley(table(d), remove=r(d)).values
RUNS["removal: none named"] = lambda d: explain.shapley(table(d)).values
for name, removal in {
    "blur": assay.Blur(1.0),
    "inpainting": assay.NoisyLinear(),
    "a mean of images": assay.Mean(IMAGES),
}.items():
    RUNS[f"removal: {name}"] = lambda d, r=removal: explain.shapley(image(d, picture_net()), remove=r).values
for name in ("lrp", "deep_lift", "grad_cam", "integrated_gradients", "guided_backprop", "score_cam", "conductance"):
    RUNS[f"batch norm: {name}"] = lambda d, n=name: getattr(explain, n)(image(d, fresh(Normalised))).values
for name in ("lrp", "deep_lift", "attn_lrp", "integrated_gradients"):
    RUNS[f"transformer: {name}"] = lambda d, n=name: getattr(explain, n)(table(d, fresh(Encoder), WINDOWS)).values
for kind in (nn.LSTM, nn.GRU):
    RUNS[f"{kind.__name__}: shapley"] = lambda d, k=kind: (
        explain.shapley(
            table(d, fresh(lambda: written.Recurrent(k, True)), WINDOWS), remove=assay.Marginal(WINDOWS[:2])
        ).values
    )
    RUNS[f"{kind.__name__}: gradients"] = lambda d, k=kind: (
        explain.integrated_gradients(table(d, fresh(lambda: written.Recurrent(k, False)), WINDOWS)).values
    )
for name, form in {
    "tensors": torch.as_tensor,
    "numpy": np.asarray,
    "lists": np.ndarray.tolist,
}.items():
    for method in ("shapley", "integrated_gradients", "lrp", "occlusion"):
        RUNS[f"carried {name}: {method}"] = lambda d, f=form, m=method: (
            getattr(explain, m)(table(d, fresh(wrapped.Scaled), carried={"mask": f(MASK), "scale": f(SCALE)})).values
        )
RUNS["carried on the device"] = lambda d: (
    explain.shapley(table(d, fresh(wrapped.Scaled), carried={"mask": there(MASK, d), "scale": there(SCALE, d)})).values
)
for name, form in {
    "a tuple": lambda d: (NUMBERS, CODES),
    "a mapping": lambda d: {"numbers": NUMBERS, "codes": CODES},
    "tensors": lambda d: (torch.as_tensor(NUMBERS), torch.as_tensor(CODES)),
    "tensors on the device": lambda d: (there(NUMBERS, d), there(CODES, d)),
    "tensors here and there": lambda d: (there(NUMBERS, d), torch.as_tensor(CODES)),
}.items():
    RUNS[f"several inputs: {name}"] = lambda d, f=form: (
        explain.shapley(table(d, fresh(written.NumbersAndCodes), f(d)), remove=assay.Marginal(f(d))).values
    )
RUNS["codes alone"] = lambda d: (
    explain.shapley(
        table(d, fresh(lambda: nn.Sequential(nn.Embedding(6, 2), nn.Flatten(), nn.Linear(4, 3))), CODES)
    ).values
)
RUNS["an image and a table"] = lambda d: (
    explain.deep_lift(
        table(d, fresh(written.ImageAndTable), {"image": written.IMAGES, "table": written.TABLE[:, :2]})
    ).values
)
RUNS["a region of a map"] = lambda d: (
    explain.integrated_gradients(
        assay.case(
            assay.wrap(fresh(written.Segmenting), device=d, output=assay.model.region_mean(wrapped.REGION)),
            written.IMAGES,
            label=1,
        )
    ).values
)
RUNS["a frame"] = lambda d: explain.shapley(table(d, x=FRAME), remove=assay.Marginal(FRAME[:3])).values
RUNS["a frame by folds"] = lambda d: explain.qii(table(d, x=FRAME), comparison=FRAME, folds=2).values
RUNS["curves of a frame"] = lambda d: explain.partial_dependence(table(d, x=FRAME), background=FRAME).values
for target in ("logit", "margin", "log_odds", "probability", "loss", "decision"):
    label: Any = LABELS if target == "loss" else "predicted"
    RUNS[f"target {target}"] = lambda d, t=target, y=label: table(d, classes3(), target=t, label=y).output
    if target != "decision":
        RUNS[f"gradient of {target}"] = lambda d, t=target, y=label: (
            explain.input_x_gradient(table(d, classes3(), target=t, label=y)).values
        )
RUNS["labels on the device"] = lambda d: (
    explain.saliency(table(d, classes3(), target="loss", label=there(LABELS, d))).values
)
RUNS["SAGE"] = lambda d: explain.sage(table(d, classes3(), target="loss", label=LABELS), background=X).values
RUNS["a unit of a layer"] = lambda d: table(d, target=assay.unit("1", 0)).output
RUNS["from a layer"] = lambda d: explain.shapley(table(d).from_layer("1")).values
RUNS["preprocess"] = lambda d: (
    explain.integrated_gradients(
        assay.case(assay.wrap(net(), device=d, preprocess=lambda x: (x - 0.5) * 2), X, label=1)
    ).values
)
for name, start in {
    "a number": lambda d: 0.5,
    "numpy": lambda d: X[0],
    "a list": lambda d: X[0].tolist(),
    "the CPU": lambda d: torch.as_tensor(X[0]),
    "the device": lambda d: there(X[0], d),
    "one a row": lambda d: X[::-1].copy(),
}.items():
    for method in ("integrated_gradients", "deep_lift", "integrated_hessians"):
        RUNS[f"start of {method}: {name}"] = lambda d, s=start, m=method: (
            getattr(explain, m)(table(d), start=s(d)).values
        )
RUNS["a background of gradients"] = lambda d: explain.expected_gradients(table(d), background=torch.as_tensor(X)).values
RUNS["a bound of memory"] = lambda d: (
    explain.integrated_gradients(assay.case(assay.model.torch(net(), device=d, memory=2000), X, label=1)).values
)
RUNS["half precision"] = lambda d: explain.integrated_gradients(table(d, net().half())).values
RUNS["smoothed"] = lambda d: (
    explain.saliency(assay.case(assay.model.smooth(assay.wrap(net(), device=d), sigma=0.1, draws=4), X, label=1)).values
)
RUNS["an exported program"] = lambda d: explain.saliency(table(d, exported())).values
for norm in ("linf", "l2"):
    RUNS[f"attack.pgd in {norm}"] = lambda d, n=norm: attack.pgd(table(d), assay.Ball(n, 0.3), steps=5, restarts=2).x
RUNS["certify.mus"] = lambda d: certify.mus(table(d), KEPT, smoothing=0.25, q=16, remove=ZERO).incremental
RUNS["certify.soft_stability"] = lambda d: (
    certify.soft_stability(table(d), KEPT, radius=2, draws=150, remove=ZERO).rate_low
)


def classes3() -> nn.Module:
    """A net of three classes."""
    return fresh(lambda: nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)))


def exported() -> Any:
    """An exported program of four rows."""
    return torch.export.export(classes3(), (torch.zeros(4, 4, dtype=torch.float64),))


def top_k(device: str) -> Any:
    """What remains of the top features after an attack."""
    case = table(device)
    return attack.top_k(explain.saliency(case), case, assay.Ball("linf", 0.3), steps=5).after


def shapley_error(device: str) -> Any:
    """The certified error of Shapley values."""
    case = table(device, target="probability")
    exact = explain.shapley(case, remove=ZERO)
    return certify.shapley_error(exact, case, bounds=(0, 1), budget=500, remove=ZERO).error


def audited(device: str) -> Any:
    """What a quick audit of a net on a frame finds, with every diagnosis, an attack and a repair."""
    rows = pd.DataFrame(np.random.default_rng(4).normal(size=(50, 4)), columns=list("abcd"))
    rows["d"], labels = rows["d"] > 0, np.arange(50) % 2
    model = assay.wrap(fresh(lambda: written.Tabular(columns=2)), classes=["no", "yes"], device=device)
    run = assay.audit(
        model,
        rows[30:],
        labels[30:],
        train=(rows[:30], labels[:30]),
        sensitive=("d",),
        suspects=("a",),
        ball=assay.Ball("linf", 0.1),
        recipe=Recipe(lambda x, y, seed, strength: randomise_weights(model, seed), rows[:30], labels[:30]),
        profile="quick",
        methods=("shapley", "saliency"),
        scores=("deletion", "max_sensitivity"),
    )
    assert not run.record.refusals
    return [np.nan if finding.estimate is None else finding.estimate for finding in run.findings]


def of_words(name: str, device: str) -> Any:
    """Values of the words of texts: by gradients, relevance, removal and attention."""
    from tests.model import texts

    module = getattr(texts, name)()
    given = {} if name == "bert" else {"answers": ["yes", "no"]}
    model = assay.model.transformers(module, texts.tokenizer(), device=device, **given)
    case = assay.case(model, texts.TEXTS, label=1)
    methods = (explain.integrated_gradients, explain.attn_lrp, explain.shapley, explain.attention_rollout)
    return np.concatenate([method(case).values for method in methods])


RUNS |= {"attack.top_k": top_k, "certify.shapley_error": shapley_error, "an audit": audited}
RUNS |= {f"words: {name}": partial(of_words, name) for name in ("bert", "gpt2", "llama")}


@quiet
@pytest.mark.parametrize("name", RUNS)
def test_it_gives_the_same_numbers_on_the_device(name: str) -> None:
    expected = RUNS[name]("cpu")
    with fake_device() as device:
        found = to_floats(RUNS[name](device))
    assert np.isfinite(to_floats(expected)).any()
    assert_allclose(found, to_floats(expected), rtol=0, atol=1e-6)


SEEN: list[bool] = []
"""Whether cuDNN was on, at each pass of a watched net."""


class Watched(written.Recurrent):
    """A recurrent net that notes whether cuDNN is on, which has no gradient of recurrent layers in evaluation mode."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        SEEN.append(torch.backends.cudnn.enabled)
        return super().forward(x)


@pytest.mark.parametrize("method", [explain.saliency, explain.conductance], ids=["saliency", "conductance"])
def test_gradients_of_recurrent_nets_do_without_cudnn_on_the_device(method: Any) -> None:
    before = torch.backends.cudnn.enabled
    with fake_device() as device:
        case = table(device, fresh(lambda: Watched(nn.LSTM, True)), WINDOWS)
        case.value(case.rows.x)
        assert before in SEEN
        SEEN.clear()
        method(case)
    assert False in SEEN
    assert torch.backends.cudnn.enabled == before


def test_a_net_has_one_fingerprint_on_every_device() -> None:
    here = assay.wrap(net())
    with fake_device() as device:
        there = assay.wrap(net(), device=device)
        assert there.device == device
        assert there.fingerprint == here.fingerprint
