"""The user's own code beside a model: what it imports is found, and what fails is told as it is."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import skops.io
from numpy.testing import assert_allclose

import assay
from assay.basics.errors import InputError, Refused, Unreadable
from assay.model.files.load import load_model
from assay.model.files.sibling_modules import importable_siblings

ENCODER = """
from sklearn.base import BaseEstimator, TransformerMixin

class Scale(BaseEstimator, TransformerMixin):
    def __init__(self, factor=1.0):
        self.factor = factor

    def fit(self, x, y=None):
        self.n_features_in_ = x.shape[1]
        return self

    def transform(self, x):
        return x * self.factor
"""

MODEL = """
import numpy as np
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline

def fitted(step):
    x = np.arange(12.0).reshape(6, 2)
    return make_pipeline(step, LinearRegression()).fit(x, x[:, 0])
"""

X = np.arange(6.0).reshape(3, 2)


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    """Forget the modules and finders that a test leaves behind."""
    modules, finders, path = set(sys.modules), list(sys.meta_path), list(sys.path)
    yield
    assert sys.path == path
    sys.meta_path[:] = finders
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


IMPORTS = {
    "a module": "import steps\nSTEP = steps.Scale(2.0)\ndef build(): return FIT(STEP)",
    "a name of a module": "from steps import Scale\ndef build(): return FIT(Scale(2.0))",
    "a module when it is called": "def build():\n    from steps import Scale\n    return FIT(Scale(2.0))",
    "a module of a package": "from own.inner import Scale\ndef build(): return FIT(Scale(2.0))",
    "a module that imports another": "from more import Scale\ndef build(): return FIT(Scale(2.0))",
}


@pytest.mark.parametrize("code", IMPORTS.values(), ids=IMPORTS)
def test_a_file_imports_what_lies_beside_it(tmp_path: Path, code: str) -> None:
    write(tmp_path, steps=ENCODER, more="from steps import Scale", own__init="", own__inner=ENCODER)
    (tmp_path / "own" / "init.py").rename(tmp_path / "own" / "__init__.py")
    write(tmp_path, model=MODEL + code.replace("FIT", "fitted"))
    model = load_model(f"{tmp_path / 'model.py'}:build")
    assert_allclose(assay.case(model, X).output, X[:, 0], atol=1e-9)


def test_what_the_model_imports_when_it_answers_is_found(tmp_path: Path) -> None:
    code = "def answer(x):\n    from factor import FACTOR\n    return FACTOR * x[:, 0]\n"
    code += "def build():\n    import assay\n    return assay.wrap(answer, output='values')"
    write(tmp_path, factor="FACTOR = 3.0", model=code)
    model = load_model(f"{tmp_path / 'model.py'}:build")
    assert_allclose(assay.case(model, X).output, 3 * X[:, 0])


def test_two_models_get_each_its_own_module_of_one_name(tmp_path: Path) -> None:
    code = "from factor import FACTOR\ndef build():\n    import assay\n"
    code += "    return assay.wrap(lambda x: FACTOR * x[:, 0], output='values')"
    models = []
    for name, factor in (("one", 3.0), ("two", 5.0)):
        folder = write(tmp_path / name, factor=f"FACTOR = {factor}", model=code)
        models.append(load_model(f"{folder / 'model.py'}:build"))
    assert_allclose([assay.case(model, X).output for model in models], [3 * X[:, 0], 5 * X[:, 0]])


def test_an_installed_module_is_not_forgotten_for_a_namesake(tmp_path: Path) -> None:
    import json

    with importable_siblings(write(tmp_path, json="X = 1")):
        assert sys.modules["json"] is json


BROKEN = {
    "a missing package": (
        "import nothing_of_the_kind",
        "ModuleNotFoundError: No module named 'nothing_of_the_kind'",
        3,
    ),
    "a wrong name": ("from math import sine", "ImportError: cannot import name 'sine' from 'math'", 3),
    "a syntax error": ("def f(:", "SyntaxError: invalid syntax", 3),
    "a value": ("raise ValueError('the key is 7')", "ValueError: the key is 7", 3),
    "an exit": ("import sys; sys.exit(3)", "SystemExit: 3", 3),
    "a file": ("open('/no/such/file')", "FileNotFoundError: [Errno 2] No such file or directory", 3),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("where", ["the file", "a module beside it", "an installed module"])
def test_what_fails_on_import_is_told_as_it_is(tmp_path: Path, monkeypatch: Any, broken: Any, where: str) -> None:
    line, text, number = broken
    code = f"\n\n{line}\ndef build(): return 1\n"
    if where == "the file":
        write(tmp_path, model=code)
    elif where == "a module beside it":
        write(tmp_path, other=code, model="from other import build")
    else:
        write(tmp_path, installed_model=code)
        monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    place = "installed_model:build" if where == "an installed module" else f"{tmp_path / 'model.py'}:build"
    with pytest.raises(InputError) as error:
        load_model(place)
    assert text in str(error.value)
    assert f"(line {number} of {tmp_path}" in str(error.value)
    if where == "an installed module":
        monkeypatch.undo()


def test_a_module_that_does_not_exist_is_named() -> None:
    with pytest.raises(InputError, match=r"there is no module no_such_package.models"):
        load_model("no_such_package.models:build")


def saved(folder: Path, module: str = "steps") -> Path:
    """A pipeline with a step of the user's own, saved with skops and joblib."""
    with importable_siblings(write(folder, steps=ENCODER)):
        steps: Any = importlib.import_module("steps")

        if module != "steps":
            steps.Scale.__module__ = module
            sys.modules[module].__dict__["Scale"] = steps.Scale
        scope: dict[str, Any] = {}
        exec(MODEL, scope)
        model = scope["fitted"](steps.Scale(2.0))
    skops.io.dump(model, folder / "model.skops")
    joblib.dump(model, folder / "model.joblib")
    sys.modules.pop("steps")
    sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__name__ != "LateFinder"]
    return folder


def test_trust_finds_a_type_in_a_file_beside_the_model(tmp_path: Path) -> None:
    file = saved(tmp_path) / "model.skops"
    with pytest.raises(Refused, match=r"--trust steps.Scale"):
        load_model(file)
    model = load_model(file, trust=("steps.Scale",))
    assert_allclose(assay.case(model, X).output, X[:, 0], atol=1e-9)


def test_a_type_that_is_nowhere_is_named_with_the_file_to_add(tmp_path: Path) -> None:
    file = saved(tmp_path) / "model.skops"
    (tmp_path / "steps.py").rename(tmp_path / "elsewhere.py")
    with pytest.raises(Unreadable, match=r"Put steps.py, which defines steps.Scale.* defined in elsewhere.py"):
        load_model(file, trust=("steps.Scale",))


def test_a_module_beside_the_model_is_not_run_unless_its_type_is_trusted(tmp_path: Path) -> None:
    file = saved(tmp_path) / "model.skops"
    (tmp_path / "steps.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(Refused):
        load_model(file, trust=("other.Scale",))
    assert not (tmp_path / "ran").exists()


def test_a_class_of_the_script_that_saved_the_model_is_told(tmp_path: Path) -> None:
    monkey = sys.modules["__main__"].__dict__.pop("Scale", None)
    file = saved(tmp_path, "__main__") / "model.skops"
    sys.modules["__main__"].__dict__.pop("Scale")
    assert monkey is None
    with pytest.raises(Unreadable, match=r"defined in the script or notebook .* Scale is defined in steps.py"):
        load_model(file, trust=("__main__.Scale",))


def test_a_pickle_that_is_allowed_finds_its_classes_beside_it(tmp_path: Path) -> None:
    model = load_model(saved(tmp_path) / "model.joblib", unsafe_pickle=True)
    assert_allclose(assay.case(model, X).output, X[:, 0], atol=1e-9)


def test_a_pickle_whose_classes_are_missing_says_where_to_put_them(tmp_path: Path) -> None:
    file = saved(tmp_path) / "model.joblib"
    (tmp_path / "steps.py").unlink()
    with pytest.raises(Unreadable, match=r"No module named 'steps'.*in a module in the folder of the file"):
        load_model(file, unsafe_pickle=True)
