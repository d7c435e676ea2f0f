"""Codes in CSV files are read as the model was trained on them, in every file and by every command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

import assay
from assay.basics.errors import InputError
from assay.cli import read_rows as module
from assay.cli.main import run_command
from assay.cli.read_rows import DataFiles, read_rows
from assay.model.files.column_types import column_types
from assay.model.files.load import load_model

LIBRARIES = {"pandas": pd, "polars": pl}


@pytest.fixture(params=LIBRARIES)
def library(request: Any, monkeypatch: Any) -> str:
    monkeypatch.setattr(module, "_library", lambda: (request.param, LIBRARIES[request.param]))
    return str(request.param)


def write(file: Path, **columns: Any) -> Path:
    pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()}).to_csv(file, index=False)
    return file


CODES = {
    "a leading zero": ["07", "12"],
    "only zeros": ["00", "1"],
    "a sign and a leading zero": ["-07", "3"],
    "a leading zero and a fraction": ["007.5", "3.5"],
    "sixteen digits": ["1234567890123456", "1"],
    "a leading zero beside a gap": ["07", ""],
    "a leading zero in the last row": [*["1"] * 50, "01"],
    "a quoted code": ['"07"', '"12"'],
}
NUMBERS = {
    "whole numbers": ["7", "12"],
    "fractions": ["0.5", "0"],
    "negative fractions": ["-0.25", "-0"],
    "fifteen digits": ["123456789012345", "1"],
    "powers of ten": ["1e5", "2"],
    "many decimals": ["0.1234567890123456789", "2"],
    "a gap": ["7", ""],
}


@pytest.mark.parametrize("cells", CODES.values(), ids=CODES)
def test_a_column_of_codes_is_text_as_written(tmp_path: Path, library: str, cells: list[str], capsys: Any) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("\n".join(["code,n", *(f"{cell},1" for cell in cells)]) + "\n")
    table = read_rows(file)
    read = ["" if value is None or value != value else value for value in table.column("code")]
    assert read == [cell.strip('"') for cell in cells]
    assert list(table.rows["n"]) == [1] * len(cells)
    assert "note: read as text: code (leading zeros or more than 15 digits)" in capsys.readouterr().err


@pytest.mark.parametrize("cells", NUMBERS.values(), ids=NUMBERS)
def test_a_column_of_numbers_stays_numbers(tmp_path: Path, library: str, cells: list[str], capsys: Any) -> None:
    table = read_rows(write(tmp_path / "rows.csv", n=cells, other=["x"] * len(cells)))
    read = np.array([np.nan if value is None else value for value in table.column("n")], dtype=np.float64)
    np.testing.assert_array_equal(read, [float(cell or "nan") for cell in cells])
    assert capsys.readouterr().err == ""


def test_dates_stay_as_they_are(tmp_path: Path, library: str) -> None:
    days = ["2020-01-05", "2021-11-30"]
    assert read_rows(write(tmp_path / "rows.csv", day=days)).column("day") == days


def test_labels_and_ids_keep_their_leading_zeros(tmp_path: Path, library: str) -> None:
    table = read_rows(write(tmp_path / "rows.csv", who=["001", "002"], y=["01", "02"], n=["1", "2"]), "y", "who")
    assert list(table.labels) == ["01", "02"]
    assert table.ids == ["001", "002"]


@pytest.mark.parametrize(("one", "two"), [(["12", "23"], ["07", "12"]), (["12", "23"], ["AB", "12"])])
def test_a_column_that_is_text_in_one_file_is_text_in_all(tmp_path: Path, library: str, one: Any, two: Any) -> None:
    first, second = write(tmp_path / "one.csv", code=one), write(tmp_path / "two.csv", code=two)
    files = DataFiles.of(None, first, second)
    assert (files.read(first).column("code"), files.read(second).column("code")) == (one, two)


def trained(kind: str, values: list[Any]) -> tuple[Any, pd.DataFrame]:
    """A model of a column of codes and a number, and the frame it was trained on."""
    generator = np.random.default_rng(0)
    code = generator.choice(np.array(values, dtype=object), 300)
    frame = pd.DataFrame({"code": code, "a": generator.normal(size=300)})
    frame["code"] = frame["code"].astype(type(values[0]))
    y = (frame["code"] == values[-1]).astype(int)
    category = frame.astype({"code": "category"})
    if kind == "catboost":
        import catboost

        model = catboost.CatBoostClassifier(iterations=20, cat_features=["code"], one_hot_max_size=99, verbose=0)
        return model.fit(frame, y), frame
    if kind == "lightgbm":
        import lightgbm

        return lightgbm.LGBMClassifier(n_estimators=20, verbose=-1, min_child_samples=1).fit(category, y), category
    if kind == "xgboost":
        import xgboost

        return xgboost.XGBClassifier(n_estimators=20, enable_categorical=True).fit(category, y), category
    if kind == "histogram boosting":
        return HistGradientBoostingClassifier(max_iter=20).fit(category, y), category
    encoders = {
        "one-hot": OneHotEncoder(),
        "ordinal": OrdinalEncoder(),
        "imputed": make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder()),
    }
    head = make_column_transformer((encoders[kind], ["code"]), (StandardScaler(), ["a"]))
    return make_pipeline(head, LogisticRegression()).fit(frame, y), frame


KINDS = ("catboost", "lightgbm", "xgboost", "histogram boosting", "one-hot", "ordinal", "imputed")
VALUES: dict[str, list[Any]] = {"codes": ["01", "02", "07"], "digits as text": ["1", "2", "7"], "numbers": [1, 2, 7]}
ONLY_TEXT = {"lightgbm", "xgboost", "histogram boosting"}
"""Numeric categories of these are a type of pandas that a CSV file cannot tell."""


@pytest.mark.parametrize("values", VALUES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_model_gets_the_values_that_it_was_trained_on(tmp_path: Path, kind: str, values: str) -> None:
    if values == "numbers" and kind in ONLY_TEXT:
        pytest.skip("a category of numbers cannot be written to CSV")
    model, frame = trained(kind, VALUES[values])
    read = model.predict_proba(frame.iloc[:40])[:, 1]
    file = tmp_path / "rows.csv"
    written = frame.iloc[:40].astype({"code": str})
    if values == "numbers" and kind != "catboost":  # CatBoost keeps categories as text
        written["code"] = written["code"].str.zfill(2)  # the model knows numbers, whatever the file's digits
    written.to_csv(file, index=False)
    wrapped = loaded(tmp_path, model)
    rows = DataFiles.of(wrapped, file).read(file).rows
    case = assay.case(wrapped, rows, label=1, target="probability")
    np.testing.assert_allclose(case.output, read, atol=1e-6)


def loaded(folder: Path, model: Any) -> Any:
    """The model as a command loads it."""
    import joblib

    joblib.dump(model, folder / "model.joblib")
    return load_model(folder / "model.joblib", unsafe_pickle=True)


def test_the_types_of_columns_are_those_of_training() -> None:
    for kind in KINDS:
        assert column_types(trained(kind, ["01", "02"])[0]) == {"code": "text", "a": "number"}, kind


@pytest.mark.parametrize("command", ["explain", "evaluate", "diagnose", "audit"])
def test_every_command_reads_codes_in_the_same_way(tmp_path: Path, capsys: Any, monkeypatch: Any, command: str) -> None:
    import joblib

    monkeypatch.chdir(tmp_path)
    model, frame = trained("one-hot", ["01", "02", "17"])  # refuses a category it does not know
    joblib.dump(model, "model.joblib")
    whole = frame.assign(y=(frame["code"] == "17").astype(int))
    whole.iloc[:40].to_csv("rows.csv", index=False)
    whole.iloc[40:100][lambda part: part["code"] == "17"].to_csv("background.csv", index=False)  # no leading zeros
    flags = ["--data", "rows.csv", "--target", "y", "--background", "background.csv", "--unsafe-pickle"]
    words = {
        "explain": ["explain", "model.joblib", "shapley", *flags, "--format", "json"],
        "evaluate": ["evaluate", "model.joblib", "deletion", *flags, "--of", "shapley"],
        "diagnose": ["diagnose", "model.joblib", "disparity", *flags, "--sensitive", "code"],
        "audit": ["audit", "model.joblib", *flags, "--sensitive", "code", "--profile", "quick", "--select", "FAI"],
    }[command]
    code = run_command(words)
    printed = capsys.readouterr()
    assert code in (0, 1), printed.err
    assert "note: read as text: code (the model was trained on text)" in printed.err
    if command == "explain":
        np.testing.assert_allclose(json.loads(printed.out)["output"], model.predict_proba(frame[:40])[:, 1])


def test_a_model_of_texts_gets_the_column_of_texts(tmp_path: Path) -> None:
    file = write(tmp_path / "rows.csv", review=["good", "bad"], town=["x", "y"], n=["1", "2"])
    table = read_rows(file)

    class Reader:
        name, encode, column_types = "net", object(), {}

    assert table.model_rows(Reader(), "review") == ["good", "bad"]
    assert table.model_rows(Reader(), "review, town") == [("good", "x"), ("bad", "y")]
    assert table.without(["town"]).model_rows(Reader()) == ["good", "bad"]
    with pytest.raises(InputError, match=r"2 columns of text: review, town. Name the one to read: --text COLUMN"):
        table.model_rows(Reader())
    with pytest.raises(InputError, match="has no column 'revue'; did you mean 'review'"):
        table.model_rows(Reader(), "revue")
    with pytest.raises(InputError, match="column 'n' holds no text in row"):
        table.model_rows(Reader(), "n")


READER = """
import assay
from tests.contract.subjects import reader, whitespace

def build():
    return assay.model.text(reader(), whitespace, embedding="embed", classes=["x", "y", "z"], read="mean")
"""


@pytest.mark.parametrize("flags", ["--text review", "--sensitive sex", "--text review --sensitive sex"])
def test_a_command_reads_the_texts_of_a_column(tmp_path: Path, capsys: Any, monkeypatch: Any, flags: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.py").write_text(READER)
    texts = ["not a dull film", "bad film", "a good good", "a film", "good film", "not good"]
    write(tmp_path / "rows.csv", review=texts, sex=list("fmfmfm"), y=list("xyzxxy"))
    words = f"audit model.py:build --data rows.csv --target y {flags} --profile quick --select FAI,EXP --dry-run"
    assert run_command(words.split()) == 0, capsys.readouterr().err
    unnamed = "explain model.py:build occlusion --data rows.csv --target y --format json"
    assert run_command(unnamed.split()) == 2
    assert "has 2 columns of text: review, sex. Name the one to read: --text COLUMN" in capsys.readouterr().err
    explained = "explain model.py:build occlusion --data rows.csv --target y --text review --label y --format json"
    assert run_command(explained.split()) == 0
    found = json.loads(capsys.readouterr().out)["values"]
    model = load_model("model.py:build")
    np.testing.assert_allclose(found, explain_texts(model, texts), atol=1e-9)


def explain_texts(model: Any, texts: list[str]) -> Any:
    return assay.explain.occlusion(assay.case(model, texts, label="y")).values
