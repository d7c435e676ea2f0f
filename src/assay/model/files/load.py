# SPDX-License-Identifier: Apache-2.0
"""Loading of trained models from files; files that could run code are refused."""

from __future__ import annotations

import io
import json
import re
import shlex
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from assay.basics.archives import open_archive
from assay.basics.errors import InputError, Refused, Unreadable
from assay.basics.optional import need
from assay.model.adapters.wrap import wrap
from assay.model.files.column_types import column_types
from assay.model.files.formats import UNSAFE_FORMATS, File, read_model_file
from assay.model.files.pickles import imports, is_allowed_import, printable
from assay.model.files.sibling_modules import defining_files, has_module, import_trusted, importable_siblings
from assay.model.files.user_code import call_user_function, is_code
from assay.model.model import Model
from assay.nouns.inputs.output_kind import OUTPUTS

TRUSTED_VERSION = "sklearn 1.9, list 3"
TRUSTED = (
    "numpy.dtype",
    "scipy._lib.array_api_compat.numpy._aliases.asarray",
    "scipy.interpolate._bsplines.BSpline",
    "scipy.interpolate._bsplines._BSpline",
    "sklearn._loss.loss.HalfTweedieLossIdentity",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.calibration._TemperatureScaling",
    "sklearn.compose._column_transformer.make_column_selector",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.feature_selection._univariate_selection.chi2",
    "sklearn.feature_selection._univariate_selection.f_classif",
    "sklearn.feature_selection._univariate_selection.f_regression",
    "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
    "sklearn.gaussian_process.kernels.ConstantKernel",
    "sklearn.gaussian_process.kernels.Product",
    "sklearn.gaussian_process.kernels.RBF",
    "sklearn.metrics._classification.accuracy_score",
    "sklearn.metrics._classification.balanced_accuracy_score",
    "sklearn.metrics._classification.f1_score",
    "sklearn.metrics._classification.log_loss",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.metrics._dist_metrics.ManhattanDistance64",
    "sklearn.metrics._ranking.roc_auc_score",
    "sklearn.metrics._regression.mean_squared_error",
    "sklearn.metrics._regression.r2_score",
    "sklearn.metrics._scorer._CurveScorer",
    "sklearn.metrics._scorer._PassthroughScorer",
    "sklearn.metrics._scorer._Scorer",
    "sklearn.model_selection._split.KFold",
    "sklearn.model_selection._split.ShuffleSplit",
    "sklearn.model_selection._split.StratifiedKFold",
    "sklearn.model_selection._split.StratifiedShuffleSplit",
    "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.tree._tree.Tree",
    "sklearn.utils._bunch.Bunch",
    "sklearn.utils._metadata_requests.MetadataRequest",
    "sklearn.utils._metadata_requests.MethodMetadataRequest",
)
"""Types beyond skops's own list that a skops file may name: internal types of scikit-learn's trees, histogram
boosting, neighbours, nets, ensembles, selection, calibration, splines, searches and Gaussian processes. None of them
calls a function that the file names while it is read or predicts; scorers would when they score, which assay never
asks."""


@dataclass(frozen=True)
class _LoadOptions:
    """The options of ``load_model`` that describe the model."""

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
    """Load a model from ``place``: a file, or your own code that returns the model.

    Code is ``FILE.py:FUNCTION`` or ``package.module:function``; it is run, and it may import the modules in its folder.
    The format of a file is detected from its content: skops, native XGBoost and LightGBM, ONNX, and weights of a torch
    net (a state dict or safetensors), which need ``architecture``, code that returns the untrained net. ``trust`` adds
    types that a skops file may name; they may be defined in a module in the file's folder. ``output`` is the kind of
    output, as in ``wrap``; for an ONNX file also ``"NAME=KIND"``. Pickles and files that contain them raise
    ``Refused``, unless ``unsafe_pickle`` allows their code to run.
    """
    options = _LoadOptions(architecture, classes, output, trust)
    if is_code(str(place)) and not (":" in str(place) and Path(place).is_file()):
        return _wrap(call_user_function(str(place)), options)
    file = read_model_file(Path(place))
    reader = _READERS.get(file.format)
    model = reader(file, options) if reader is not None else None
    if model is None:  # the file, or the part of a torch file that is not weights, could run code
        model = (_load_unsafe if unsafe_pickle else _refuse)(file, options)
    return replace(model, about={**model.about, "file": f"{file.path.name} ({file.format})"})


def _wrap(obj: Any, options: _LoadOptions) -> Model:
    """A loaded object as a model, with the column types that it was trained on."""
    from sys import modules

    if isinstance(obj, Model):
        if options.classes is not None or options.output is not None:
            raise InputError("the function returns a Model; pass classes and output to wrap inside that function.")
        return obj
    torch = modules.get("torch")
    if torch is not None and isinstance(obj, torch.nn.Module) and options.output not in (None, *OUTPUTS):
        raise InputError(f"output={options.output!r}; a net gives {', '.join(OUTPUTS)}.")
    model = wrap(obj, classes=options.classes, output=options.output)
    return replace(model, column_types=column_types(obj))


def _skops(file: File, options: _LoadOptions) -> Model:
    reader = need("skops.io", extra="files")
    named: list[str] = []
    try:
        with open_archive(io.BytesIO(file.data), file.path.name):
            named = reader.get_untrusted_types(data=file.data)
        untrusted = sorted(set(named) - set(TRUSTED) - set(options.trust))
        if untrusted:
            flags = " ".join(f"--trust {shlex.quote(printable(kind))}" for kind in untrusted)
            raise Refused(
                f"{file.path.name} names types that are not on the allow-list: {', '.join(map(printable, untrusted))}\n"
                f"  allowed beyond skops's own ({TRUSTED_VERSION}): {', '.join(TRUSTED)}\n"
                f"  if you trust these types:  {flags}   (in Python: trust={untrusted!r})"
            )
        import_trusted(sorted(set(named) & set(options.trust)), file.path.parent)
        loaded = reader.loads(file.data, trusted=list(named))
    except InputError:
        raise
    except (zipfile.BadZipFile, ValueError, KeyError, TypeError, AttributeError, ImportError, EOFError) as error:
        advice = _advice_on_own_types([kind for kind in named if kind in options.trust], file.path.parent)
        raise Unreadable(
            f"skops could not read {file.path.name}: {_one_line(error)}. "
            f"{advice or 'Save it again with skops.io.dump in an environment with the same scikit-learn.'}"
        ) from error
    return _wrap(loaded, options)


def _advice_on_own_types(kinds: Sequence[str], folder: Path) -> str:
    """Where the user's own types must be defined to be found; empty where none is missing."""
    for kind in kinds:
        module, _, name = kind.rpartition(".")
        files = defining_files(folder, name)
        where = f" {name} is defined in {' and '.join(files)}." if files else ""
        if module == "__main__":
            return (
                f"{kind} was defined in the script or notebook that saved the model. Define it in a module, such as "
                f"{name.lower()}.py in the folder of the model, import it from there and save the model again.{where}"
            )
        if not has_module(folder, module.partition(".")[0]):
            return f"Put {module.partition('.')[0]}.py, which defines {kind}, into the folder of the model.{where}"
    return ""


def _xgboost(file: File, options: _LoadOptions) -> Model:
    library = need("xgboost", extra="trees")
    try:
        booster = library.Booster(model_file=bytearray(file.data))
    except (library.core.XGBoostError, ValueError) as error:
        raise Unreadable(
            f"xgboost could not read {file.path.name}: {_one_line(error)}. Save it again with save_model('model.ubj')."
        ) from error
    return replace(_wrap(booster, options), name=file.path.name)


def _lightgbm(file: File, options: _LoadOptions) -> Model:
    library = need("lightgbm", extra="trees")
    try:
        booster = library.Booster(model_str=file.data.decode("utf-8"))
    except (library.basic.LightGBMError, ValueError) as error:
        raise Unreadable(
            f"lightgbm could not read {file.path.name}: {_one_line(error)}. "
            f"Save it again with booster.save_model('model.txt')."
        ) from error
    return replace(_wrap(booster, options), name=file.path.name)


def _onnx(file: File, options: _LoadOptions) -> Model:
    from assay.model.adapters.onnx import onnx

    return onnx(file.data, output=options.output, classes=options.classes, name=file.path.name)


def _safetensors(file: File, options: _LoadOptions) -> Model:
    need("torch", extra="torch")
    reader = need("safetensors.torch", extra="torch")
    try:
        weights = reader.load(file.data)
    except (need("safetensors", extra="torch").SafetensorError, ValueError, KeyError) as error:
        raise Unreadable(
            f"{file.path.name} is a damaged safetensors file: {_one_line(error)}. Save it again."
        ) from error
    return _load_weights(weights | _tied_weights(file.data, weights), file, options)


def _tied_weights(data: bytes, weights: Mapping[str, Any]) -> dict[str, Any]:
    """Tensors that ``safetensors.torch.save_model`` left out, since they are shared: its metadata names their twins."""
    size = int.from_bytes(data[:8], "little")
    twins = json.loads(data[8 : 8 + size]).get("__metadata__") or {}
    return {name: weights[twin] for name, twin in twins.items() if twin in weights and name not in weights}


def _torch(file: File, options: _LoadOptions) -> Model | None:
    """The net with the weights of a torch file; ``None`` if the file holds more than weights."""
    torch = need("torch", extra="torch")
    unpickling_error = need("torch._weights_only_unpickler", extra="torch").UnpicklingError
    try:
        weights = torch.load(io.BytesIO(file.data), map_location="cpu", weights_only=True)
    except unpickling_error:
        return None
    except (RuntimeError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise Unreadable(f"{file.path.name} is a damaged torch file: {_one_line(error)}. Save it again.") from error
    return _load_weights(weights, file, options)


def _load_weights(weights: Any, file: File, options: _LoadOptions) -> Model:
    """The net of ``architecture`` with these weights; all keys and shapes must match."""
    torch = need("torch", extra="torch")
    if not isinstance(weights, dict) or not all(isinstance(value, torch.Tensor) for value in weights.values()):
        content = ", ".join(map(str, list(weights)[:8])) if isinstance(weights, dict) else type(weights).__name__
        raise InputError(
            f"{file.path.name} is not a plain state dict; it holds {printable(content)}. "
            f"Save net.state_dict() alone: torch.save(net.state_dict(), 'weights.pt')."
        )
    if not options.architecture:
        raise InputError(
            f"{file.path.name} holds the weights of a net ({len(weights)} tensors), not the net. Name the code that "
            f"returns the untrained net: --architecture FILE.py:FUNCTION (or package.module:function)."
        )
    net = call_user_function(options.architecture)
    if not isinstance(net, torch.nn.Module):
        raise InputError(
            f"{options.architecture} returns {type(net).__name__}; it must return the untrained torch module."
        )
    _check_state_dict(net.state_dict(), weights, file, options.architecture)
    net.load_state_dict(weights, strict=True)
    return _wrap(net.eval(), options)


def _check_state_dict(own: Any, weights: Any, file: File, architecture: str) -> None:
    """Raise ``InputError`` that names the keys or shapes that differ."""
    differences = [
        f"{what}: {', '.join(map(printable, keys[:6]))}{' …' if len(keys) > 6 else ''}"
        for what, keys in (
            ("missing in the file", [key for key in own if key not in weights]),
            ("missing in the net", [key for key in weights if key not in own]),
            (
                "different shape",
                [
                    f"{key} {tuple(weights[key].shape)} for {tuple(own[key].shape)}"
                    for key in own
                    if key in weights and own[key].shape != weights[key].shape
                ],
            ),
        )
        if keys
    ]
    if differences:
        raise InputError(
            f"the weights in {file.path.name} do not fit {architecture}: {'; '.join(differences)}. "
            f"Pass the architecture that the weights were trained with."
        )


def _refuse(file: File, options: _LoadOptions) -> Model:
    """Raise ``Refused`` for a file that could run code, ``Unreadable`` for an unknown format."""
    name = printable(file.path.name)
    if file.format not in UNSAFE_FORMATS:
        raise Unreadable(
            f"{name} is not a model file that assay can read. Give skops, ONNX, safetensors, a torch state dict, "
            f"native XGBoost (.json, .ubj) or LightGBM (.txt), or FILE.py:FUNCTION that returns the model."
        )
    raise Refused(
        "\n".join(
            [
                f"{name} {UNSAFE_FORMATS[file.format]}; loading it can run code",
                *_import_lines(file),
                f"  safer:  {_conversion_command(file)}   (on a machine where you trust it)",
                f"  or, if you trust this file:  assay audit {shlex.quote(str(file.path))} --unsafe-pickle",
            ]
        )
    )


def _import_lines(file: File, max_names: int = 12) -> list[str]:
    """Lines of an error message that list the imports of the file, the ones not allowed first."""
    if file.format in ("hdf5", "keras", "numpy"):
        return []
    names, whole = imports(file.data)
    not_allowed = [name for name in names if not is_allowed_import(name)]
    allowed = [name for name in names if is_allowed_import(name)]
    lines: list[str] = []
    for listed, remark in ((not_allowed, "   ← not on the allow-list"), (allowed, "")):
        more = f" and {len(listed) - max_names} more" if len(listed) > max_names else ""
        if listed:
            lines.append(
                f"  {'it imports:' if not lines else '      and:'} {', '.join(listed[:max_names])}{more}{remark}"
            )
    return lines if whole else [*lines, "  the pickle could not be read to its end: it may import more"]


def _conversion_command(file: File) -> str:
    """A shell command that converts the file to a format that cannot run code."""
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


def _load_unsafe(file: File, options: _LoadOptions) -> Model:
    """Load a file that can run code, which the user has allowed."""
    if file.format not in UNSAFE_FORMATS:
        return _refuse(file, options)
    from assay.model.files.unsafe import unpickle

    try:
        with importable_siblings(file.path.parent):
            loaded = unpickle(file)
    except (AttributeError, ImportError) as error:
        raise Unreadable(
            f"{file.path.name} could not be unpickled: {type(error).__name__}: {_one_line(error)}. Classes of your own "
            f"must be defined in a module in the folder of the file (not in the script that saved it)."
        ) from error
    return _load_weights(loaded, file, options) if isinstance(loaded, dict) else _wrap(loaded, options)


def _one_line(error: Exception) -> str:
    return printable(" ".join(str(error).split()), 300).rstrip(".")


_READERS: dict[str, Callable[[File, _LoadOptions], Model | None]] = {
    "skops": _skops,
    "xgboost": _xgboost,
    "lightgbm": _lightgbm,
    "onnx": _onnx,
    "safetensors": _safetensors,
    "torch": _torch,
}
