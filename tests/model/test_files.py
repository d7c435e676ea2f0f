"""Models from files: what is read, and what is refused because it could run code."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import lightgbm
import numpy as np
import pytest
import safetensors.torch
import skops.io
import torch
import xgboost
from numpy.testing import assert_array_equal
from sklearn.ensemble import HistGradientBoostingClassifier, IsolationForest, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import assay
from assay.basics.errors import CapabilityError, InputError, Refused, Unreadable
from assay.model.files.load import TRUSTED, load_model

DRAWN = np.random.default_rng(0)
X = DRAWN.normal(size=(60, 3))
Y = (X[:, 0] + X[:, 1] > 0).astype(int)
THREE = np.digitize(X[:, 0], [-0.5, 0.5])


class Payload:
    """Runs a command when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.marker}",)


def outputs(model: assay.Model, x: Any = X) -> np.ndarray:
    return np.asarray(assay.case(model, x, target="logit" if model.gives == "logits" else None).prediction)


def forest() -> RandomForestClassifier:
    return RandomForestClassifier(3, random_state=0).fit(X, Y)


def zipped(data: bytes, name: str = "inner.bin", **others: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, data)
        for other, content in others.items():
            archive.writestr(other.replace("_", "."), content)
    return stream.getvalue()


def dumped(thing: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    joblib.dump(thing, stream, **options)
    return stream.getvalue()


def saved(thing: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(thing, stream, **options)
    return stream.getvalue()


def objects(thing: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array(thing, dtype=object), allow_pickle=True)
    return stream.getvalue()


PAYLOADS: dict[str, tuple[str, Callable[[Payload], bytes]]] = {
    "protocol 0": ("model.pkl", lambda p: pickle.dumps(p, protocol=0)),
    "protocol 4": ("model.pkl", lambda p: pickle.dumps(p, protocol=4)),
    "joblib, zlib": ("model.joblib", lambda p: dumped(p, compress=("zlib", 3))),
    "joblib, gzip": ("model.joblib", lambda p: dumped(p, compress=("gzip", 3))),
    "joblib, bz2": ("model.joblib", lambda p: dumped(p, compress=("bz2", 3))),
    "joblib, lzma": ("model.joblib", lambda p: dumped(p, compress=("lzma", 3))),
    "joblib, xz": ("model.joblib", lambda p: dumped(p, compress=("xz", 3))),
    "behind arrays": ("model.joblib", lambda p: dumped([X, np.array(["a", None], dtype=object), Y > 0, p])),
    "whole torch file": ("model.pt", saved),
    "old torch file": ("model.pt", lambda p: saved(p, _use_new_zipfile_serialization=False)),
    "renamed to skops": ("model.skops", pickle.dumps),
    "renamed to safetensors": ("model.safetensors", pickle.dumps),
    "renamed to onnx": ("model.onnx", pickle.dumps),
    "renamed to json": ("model.json", lambda p: pickle.dumps(p, protocol=1)),
    "hidden in a zip": ("model.zip", lambda p: zipped(pickle.dumps(p))),
    "hidden in a skops file": ("model.skops", lambda p: zipped(pickle.dumps(p), schema_json=b"{}")),
    "a second pickle": ("model.pkl", lambda p: pickle.dumps(3) + pickle.dumps(p)),
}


@pytest.mark.parametrize(("name", "dump"), PAYLOADS.values(), ids=PAYLOADS)
def test_a_payload_is_refused_named_and_never_run(tmp_path: Path, name: str, dump: Callable[[Payload], bytes]) -> None:
    marker, file = tmp_path / "ran", tmp_path / name
    file.write_bytes(dump(Payload(marker)))
    with pytest.raises(Refused, match=r"can run code(.|\n)*posix\.system.* ← not on the allow-list") as caught:
        load_model(file, architecture="a.py:b")
    assert caught.value.exit == 4
    assert not marker.exists()


@pytest.mark.parametrize("make", [pickle.dumps, dumped, saved], ids=["pickle", "joblib", "torch"])
def test_the_payload_would_run_if_it_were_loaded(tmp_path: Path, make: Callable[[Payload], bytes]) -> None:
    file = tmp_path / "model.bin"
    file.write_bytes(make(Payload(tmp_path / "ran")))
    with pytest.raises(CapabilityError, match="is not a supported model"):
        load_model(file, unsafe_pickle=True)
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("model.npy", objects([os.system, 1]), "numpy file that holds Python objects"),
        ("model.h5", b"\x89HDF\r\n\x1a\n" + bytes(64), "HDF5 file"),
        ("model.keras", zipped(b"\x89HDF", "model.weights.h5"), "Keras archive"),
    ],
)
def test_other_files_that_may_hold_code_are_refused(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(Refused, match=rf"{message}(.|\n)*loading it can run code(.|\n)*safer:.*export"):
        load_model(tmp_path / name)


def test_the_refusal_has_the_form_of_the_guide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("credit.pkl").write_bytes(pickle.dumps(Payload(tmp_path / "ran")))
    with pytest.raises(Refused) as caught:
        load_model("credit.pkl")
    assert str(caught.value).splitlines() == [
        "credit.pkl is a pickle; loading it can run code",
        "  it imports: posix.system   ← not on the allow-list",
        "  safer:  python -c \"import skops.io as s, joblib; s.dump(joblib.load('credit.pkl'), 'credit.skops')\""
        "   (on a machine where you trust it)",
        "  or, if you trust this file:  assay audit credit.pkl --unsafe-pickle",
    ]


def test_the_safer_line_is_quoted_for_the_shell_and_works(tmp_path: Path) -> None:
    file = tmp_path / "my $(touch ran) 'best' model.pkl"
    joblib.dump(forest(), file)
    with pytest.raises(Refused) as caught:
        load_model(file)
    line = next(line for line in str(caught.value).splitlines() if "safer:" in line)
    command = line.partition("safer:  python -c ")[2].rpartition("   (on a machine")[0]
    shell = ["sh", "-c", f"printf %s {command}"]
    exec(subprocess.run(shell, cwd=tmp_path, capture_output=True, text=True, check=True).stdout, {})
    assert not (tmp_path / "ran").exists()
    assert_array_equal(outputs(load_model(file.with_suffix(".skops"))), forest().predict_proba(X))


def test_names_in_a_pickle_cannot_write_on_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(b"\x80\x02cos\x1b[31m\nsystem\n.")
    with pytest.raises(Refused, match=r"os\\x1b\[31m\.system"):
        load_model(tmp_path / "model.pkl")


@pytest.mark.parametrize("dump", [pickle.dumps, dumped], ids=["pickle", "joblib"])
def test_an_honest_forest_is_refused_with_no_import_flagged(tmp_path: Path, dump: Callable[[Any], bytes]) -> None:
    (tmp_path / "model.pkl").write_bytes(dump(forest()))
    with pytest.raises(Refused, match=r"sklearn\.ensemble\._forest\.RandomForestClassifier") as caught:
        load_model(tmp_path / "model.pkl")
    assert "not on the allow-list" not in str(caught.value)
    assert "could not be read to its end" not in str(caught.value)


@pytest.mark.parametrize("dump", [pickle.dumps, dumped], ids=["pickle", "joblib"])
def test_where_the_user_says_so_an_honest_pickle_is_loaded(tmp_path: Path, dump: Callable[[Any], bytes]) -> None:
    (tmp_path / "model.pkl").write_bytes(dump(forest()))
    assert_array_equal(outputs(load_model(tmp_path / "model.pkl", unsafe_pickle=True)), forest().predict_proba(X))


@pytest.mark.parametrize(
    "estimator",
    [
        forest(),
        make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y),
        HistGradientBoostingClassifier(max_iter=3).fit(X, Y),
        KNeighborsClassifier().fit(X, Y),
        make_pipeline(StandardScaler(), MLPClassifier((3,), solver="lbfgs", random_state=0)).fit(X, Y),
    ],
    ids=["forest", "pipeline", "histogram", "neighbours", "net"],
)
def test_a_skops_file_gives_the_estimators_outputs(tmp_path: Path, estimator: Any) -> None:
    skops.io.dump(estimator, tmp_path / "model.bin")
    assert_array_equal(outputs(load_model(tmp_path / "model.bin")), outputs(assay.wrap(estimator)))


def test_the_allow_list_holds_what_an_isolation_forest_needs() -> None:
    data = skops.io.dumps(IsolationForest(n_estimators=2).fit(X))
    assert set(skops.io.get_untrusted_types(data=data)) <= set(TRUSTED)


def strange(tmp_path: Path) -> Path:
    skops.io.dump(
        make_pipeline(FunctionTransformer(np.tanh), FunctionTransformer(outputs), LogisticRegression()),
        tmp_path / "model.skops",
    )
    return tmp_path / "model.skops"


def test_a_type_beyond_the_allow_list_is_refused_with_the_flag(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"model\.skops names types(.|\n)*--trust [\w.]*test_files\.outputs") as caught:
        load_model(strange(tmp_path))
    assert all(kind in str(caught.value) for kind in TRUSTED)


def test_a_type_that_is_trusted_is_loaded(tmp_path: Path) -> None:
    model = make_pipeline(FunctionTransformer(np.linalg.norm), LogisticRegression())
    named = skops.io.get_untrusted_types(data=skops.io.dumps(model))
    skops.io.dump(model, tmp_path / "model.skops")
    with pytest.raises(InputError, match="not fitted"):  # read, and then judged as an estimator
        load_model(tmp_path / "model.skops", trust=named)


@pytest.mark.parametrize("ending", ["json", "ubj"])
@pytest.mark.parametrize("labels", [Y, THREE], ids=["two", "three"])
def test_a_native_xgboost_file_gives_the_estimators_margins(tmp_path: Path, ending: str, labels: np.ndarray) -> None:
    estimator = xgboost.XGBClassifier(n_estimators=4, n_jobs=1).fit(X, labels)
    estimator.save_model(tmp_path / f"model.{ending}")
    model = load_model(tmp_path / f"model.{ending}", classes=[f"c{i}" for i in range(labels.max() + 1)])
    assert (model.gives, model.classes[0]) == ("margin", "c0")
    assert_array_equal(outputs(model), estimator.predict(X, output_margin=True).reshape(len(X), -1))


@pytest.mark.parametrize("labels", [Y, THREE], ids=["two", "three"])
def test_a_native_lightgbm_file_gives_the_estimators_margins(tmp_path: Path, labels: np.ndarray) -> None:
    estimator = lightgbm.LGBMClassifier(n_estimators=4, n_jobs=1, verbose=-1).fit(X, labels)
    estimator.booster_.save_model(tmp_path / "model.txt")
    model = load_model(tmp_path / "model.txt")
    assert model.gives == "margin"
    assert_array_equal(outputs(model), estimator.predict(X, raw_score=True).reshape(len(X), -1))


def test_column_names_come_from_the_file(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=["age", "income", "debt"])
    xgboost.XGBClassifier(n_estimators=2, n_jobs=1).fit(frame, Y).save_model(tmp_path / "model.ubj")
    lightgbm.LGBMClassifier(n_estimators=2, verbose=-1).fit(frame, Y).booster_.save_model(tmp_path / "model.txt")
    names = [load_model(tmp_path / name).columns for name in ("model.ubj", "model.txt")]
    assert names == [("age", "income", "debt")] * 2


@pytest.mark.parametrize("data", [b"", b"hello", b"col,age\n1,2\n", b'{"a": 1}', b"PK\x03\x04", zipped(b"x")])
def test_a_file_of_no_known_kind_says_which_there_are(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "model.bin").write_bytes(data)
    with pytest.raises(
        Unreadable, match=r"model\.bin is not a model file that assay can read. Give skops, ONNX, safetensors"
    ) as e:
        load_model(tmp_path / "model.bin", unsafe_pickle=True)
    assert e.value.exit == 4


def test_damaged_files_are_unreadable_and_say_what_to_do(tmp_path: Path) -> None:
    estimator = xgboost.XGBClassifier(n_estimators=2, n_jobs=1).fit(X, Y)
    estimator.save_model(tmp_path / "model.json")
    whole = {
        "xgboost": (tmp_path / "model.json").read_bytes()[:-40],
        "skops": zipped(b"x", schema_json=b'{"__class__": "A"}'),
        "safetensors": safetensors.torch.save({"a": torch.zeros(8)})[:-4],
        "torch": zipped(b"\x80\x02}.", "archive/data.pkl"),
    }
    for kind, data in whole.items():
        (tmp_path / kind).write_bytes(data)
        with pytest.raises(Unreadable, match=rf"{kind}.*[Ss]ave it again"):
            load_model(tmp_path / kind, architecture="a.py:b")


def test_the_model_says_which_file_it_came_from(tmp_path: Path) -> None:
    skops.io.dump(forest(), tmp_path / "credit.skops")
    assert load_model(tmp_path / "credit.skops").about["file"] == "credit.skops (skops)"
