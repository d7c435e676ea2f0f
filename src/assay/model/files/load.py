# SPDX-License-Identifier: Apache-2.0
"""One door for trained models kept in files; what could run code on the way in is refused."""

from __future__ import annotations

import io
import re
import shlex
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from assay.basics.errors import InputError, Refused, Unreadable
from assay.basics.optional import need
from assay.model.adapters.wrap import wrap
from assay.model.files.formats import LOADED_AS, File, opened
from assay.model.files.pickles import imports, ordinary, printable
from assay.model.files.user_code import called, is_code
from assay.model.model import Model
from assay.nouns.inputs.target import Gives

TRUSTED_VERSION = "sklearn 1.9, list 1"
TRUSTED = (
    "numpy.dtype",
    "sklearn._loss.loss.HalfTweedieLossIdentity",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.compose._column_transformer.make_column_selector",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.feature_selection._univariate_selection.chi2",
    "sklearn.feature_selection._univariate_selection.f_classif",
    "sklearn.feature_selection._univariate_selection.f_regression",
    "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
    "sklearn.gaussian_process.kernels.ConstantKernel",
    "sklearn.gaussian_process.kernels.Product",
    "sklearn.gaussian_process.kernels.RBF",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.metrics._dist_metrics.ManhattanDistance64",
    "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.tree._tree.Tree",
    "sklearn.utils._bunch.Bunch",
)
"""Types beyond skops's own that a skops file may name: the insides of scikit-learn's trees, histogram boosting,
neighbours, nets, ensembles, selection, calibration and Gaussian processes. None calls what the file names."""

KINDS = tuple(kind for kind in get_args(Gives) if kind != "units")


@dataclass(frozen=True)
class _Wanted:
    """What the caller said about the model."""

    architecture: str
    classes: Sequence[str] | None
    output: str | None
    trust: Sequence[str]


def load_model(
    place: str | Path,
    *,
    architecture: str = "",
    classes: Sequence[str] | None = None,
    output: str | None = None,
    trust: Sequence[str] = (),
    unsafe_pickle: bool = False,
) -> Model:
    """The model at ``place``: a file, or code of your own that returns it.

    Code is ``FILE.py:FUNCTION`` or ``package.module:function``; it is run. Files are read by their content, whatever
    their name: skops, native XGBoost and LightGBM, ONNX, and weights of a torch net (a state dict or safetensors),
    which need ``architecture``, code that returns the untrained net. ``trust`` adds types to those a skops file may
    name. ``output`` says what the scores are, as in ``wrap``; of an ONNX file also ``"NAME=KIND"``. Pickles and all
    that contain them raise ``Refused``, unless ``unsafe_pickle`` says that their code may run.
    """
    wanted = _Wanted(architecture, classes, output, trust)
    if is_code(str(place)) and not (":" in str(place) and Path(place).is_file()):
        return _wrapped(called(str(place)), wanted)
    file = opened(Path(place))
    reader = _READERS.get(file.format)
    model = reader(file, wanted) if reader is not None else None
    if model is None:  # the file, or what a torch file holds beside weights, could run code
        model = (_unsafe if unsafe_pickle else _refused)(file, wanted)
    return replace(model, about={**model.about, "file": f"{file.path.name} ({file.format})"})


def _wrapped(obj: Any, wanted: _Wanted) -> Model:
    """A loaded object as a model; of a net, ``output`` says what its tensor is."""
    from sys import modules

    if isinstance(obj, Model) and (wanted.classes is not None or wanted.output is not None):
        raise InputError("the function returns a Model; give its classes and output there, in the call of wrap.")
    torch = modules.get("torch")
    if torch is None or not isinstance(obj, torch.nn.Module):
        return wrap(obj, classes=wanted.classes, output=wanted.output)
    from assay.model.adapters.torch import torch as net

    gives = next((kind for kind in KINDS if kind == (wanted.output or "logits")), None)
    if gives is None:
        raise InputError(f"output={wanted.output!r}; a net gives {', '.join(KINDS)}.")
    return net(obj, classes=wanted.classes, gives=gives)


def _skops(file: File, wanted: _Wanted) -> Model:
    reader = need("skops.io", extra="files")
    try:
        named = reader.get_untrusted_types(data=file.data)
        strange = sorted(set(named) - set(TRUSTED) - set(wanted.trust))
        if strange:
            flags = " ".join(f"--trust {shlex.quote(printable(kind))}" for kind in strange)
            raise Refused(
                f"{file.path.name} names types that are not on the allow-list: {', '.join(map(printable, strange))}\n"
                f"  allowed beyond skops's own ({TRUSTED_VERSION}): {', '.join(TRUSTED)}\n"
                f"  if you trust these types:  {flags}   (in Python: trust={strange!r})"
            )
        loaded = reader.loads(file.data, trusted=list(named))
    except (zipfile.BadZipFile, ValueError, KeyError, TypeError, AttributeError, ImportError, EOFError) as error:
        raise Unreadable(
            f"skops could not read {file.path.name}: {_short(error)}. "
            f"Save it again with skops.io.dump in an environment with the same scikit-learn."
        ) from error
    return _wrapped(loaded, wanted)


def _xgboost(file: File, wanted: _Wanted) -> Model:
    library = need("xgboost", extra="trees")
    try:
        booster = library.Booster(model_file=bytearray(file.data))
    except (library.core.XGBoostError, ValueError) as error:
        raise Unreadable(
            f"xgboost could not read {file.path.name}: {_short(error)}. Save it again with save_model('model.ubj')."
        ) from error
    return replace(_wrapped(booster, wanted), name=file.path.name)


def _lightgbm(file: File, wanted: _Wanted) -> Model:
    library = need("lightgbm", extra="trees")
    try:
        booster = library.Booster(model_str=file.data.decode("utf-8"))
    except (library.basic.LightGBMError, ValueError) as error:
        raise Unreadable(
            f"lightgbm could not read {file.path.name}: {_short(error)}. "
            f"Save it again with booster.save_model('model.txt')."
        ) from error
    return replace(_wrapped(booster, wanted), name=file.path.name)


def _onnx(file: File, wanted: _Wanted) -> Model:
    from assay.model.adapters.onnx import onnx

    return onnx(file.data, output=wanted.output, classes=wanted.classes, name=file.path.name)


def _safetensors(file: File, wanted: _Wanted) -> Model:
    need("torch", extra="torch")
    reader = need("safetensors.torch", extra="torch")
    try:
        weights = reader.load(file.data)
    except (need("safetensors", extra="torch").SafetensorError, ValueError, KeyError) as error:
        raise Unreadable(f"{file.path.name} is a damaged safetensors file: {_short(error)}. Save it again.") from error
    return _filled(weights, file, wanted)


def _torch(file: File, wanted: _Wanted) -> Model | None:
    """The weights of a torch file in the named net; ``None`` where the file wants more than weights."""
    torch = need("torch", extra="torch")
    trouble = need("torch._weights_only_unpickler", extra="torch").UnpicklingError
    try:
        weights = torch.load(io.BytesIO(file.data), map_location="cpu", weights_only=True)
    except trouble:
        return None
    except (RuntimeError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise Unreadable(f"{file.path.name} is a damaged torch file: {_short(error)}. Save it again.") from error
    return _filled(weights, file, wanted)


def _filled(weights: Any, file: File, wanted: _Wanted) -> Model:
    """The named net with these weights, every one of them in its place."""
    torch = need("torch", extra="torch")
    if not isinstance(weights, dict) or not all(isinstance(value, torch.Tensor) for value in weights.values()):
        held = ", ".join(map(str, list(weights)[:8])) if isinstance(weights, dict) else type(weights).__name__
        raise InputError(
            f"{file.path.name} is no plain state dict; it holds {printable(held)}. "
            f"Save net.state_dict() alone: torch.save(net.state_dict(), 'weights.pt')."
        )
    if not wanted.architecture:
        raise InputError(
            f"{file.path.name} holds the weights of a net ({len(weights)} tensors), not the net. Say which code gives "
            f"the untrained net: --architecture FILE.py:FUNCTION (or package.module:function)."
        )
    net = called(wanted.architecture)
    if not isinstance(net, torch.nn.Module):
        raise InputError(f"{wanted.architecture} returns {type(net).__name__}; needed is the untrained torch module.")
    _fits(net.state_dict(), weights, file, wanted.architecture)
    net.load_state_dict(weights, strict=True)
    return _wrapped(net.eval(), wanted)


def _fits(own: Any, weights: Any, file: File, architecture: str) -> None:
    """Raise ``InputError`` naming keys or shapes that differ."""
    told = [
        f"{what}: {', '.join(map(printable, keys[:6]))}{' …' if len(keys) > 6 else ''}"
        for what, keys in (
            ("the file lacks", [key for key in own if key not in weights]),
            ("the net lacks", [key for key in weights if key not in own]),
            (
                "of another shape",
                [
                    f"{key} {tuple(weights[key].shape)} for {tuple(own[key].shape)}"
                    for key in own
                    if key in weights and own[key].shape != weights[key].shape
                ],
            ),
        )
        if keys
    ]
    if told:
        raise InputError(
            f"the weights in {file.path.name} do not fit {architecture}: {'; '.join(told)}. "
            f"Give the architecture that the weights were trained in."
        )


def _refused(file: File, wanted: _Wanted) -> Model:
    """Raise: ``Refused`` for what could run code, ``Unreadable`` for what is not known."""
    shown = printable(file.path.name)
    if file.format not in LOADED_AS:
        raise Unreadable(
            f"{shown} is no model file assay knows. Give skops, ONNX, safetensors, a torch state dict, native XGBoost "
            f"(.json, .ubj) or LightGBM (.txt), or FILE.py:FUNCTION that returns the model."
        )
    raise Refused(
        "\n".join(
            [
                f"{shown} {LOADED_AS[file.format]}; loading it can run code",
                *_named(file),
                f"  safer:  {_safer(file)}   (where you trust it)",
                f"  or, if you trust this file:  assay audit {shlex.quote(str(file.path))} --unsafe-pickle",
            ]
        )
    )


def _named(file: File, most: int = 12) -> list[str]:
    """The lines of a refusal that list what the file would import, what is not allowed first."""
    if file.format in ("hdf5", "keras", "numpy"):
        return []
    names, whole = imports(file.data)
    strange = [name for name in names if not ordinary(name)]
    usual = [name for name in names if ordinary(name)]
    lines: list[str] = []
    for listed, remark in ((strange, "   ← not on the allow-list"), (usual, "")):
        more = f" and {len(listed) - most} more" if len(listed) > most else ""
        if listed:
            lines.append(f"  {'it imports:' if not lines else '      and:'} {', '.join(listed[:most])}{more}{remark}")
    return lines if whole else [*lines, "  it could not be followed to its end: it may import more"]


def _safer(file: File) -> str:
    """A line for the shell that turns the file into one that cannot run code."""
    path, stem = str(file.path), str(file.path.with_suffix(""))
    stem += "-safe" if file.path.suffix in (".skops", ".safetensors") else ""
    if file.format == "torch":
        code = (
            f"import torch, safetensors.torch as s; "
            f"s.save_model(torch.load({path!r}, weights_only=False), {stem + '.safetensors'!r})"
        )
    elif file.format == "pickle":
        code = f"import skops.io as s, joblib; s.dump(joblib.load({path!r}), {stem + '.skops'!r})"
    else:
        return "export the model to ONNX or skops, or write FILE.py:FUNCTION that loads and returns it"
    plain = re.fullmatch(r"[\w./-]+", path) is not None
    return f'python -c "{code}"' if plain else f"python -c {shlex.quote(code)}"


def _unsafe(file: File, wanted: _Wanted) -> Model:
    """The model of a file whose code may run, since the user said so."""
    if file.format not in LOADED_AS:
        return _refused(file, wanted)
    from assay.model.files.unsafe import unpickled

    loaded = unpickled(file)
    return _filled(loaded, file, wanted) if isinstance(loaded, dict) else _wrapped(loaded, wanted)


def _short(error: Exception) -> str:
    return printable(" ".join(str(error).split()), 300).rstrip(".")


_READERS: dict[str, Callable[[File, _Wanted], Model | None]] = {
    "skops": _skops,
    "xgboost": _xgboost,
    "lightgbm": _lightgbm,
    "onnx": _onnx,
    "safetensors": _safetensors,
    "torch": _torch,
}
