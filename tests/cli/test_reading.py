"""Reading rows from files of every format."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest

from assay.basics.errors import InputError, MissingExtra, Unreadable
from assay.cli import read_rows as module
from assay.cli.read_rows import read_rows

FRAME = pd.DataFrame(
    {"name": ["007", "x", "NA"], "n": [1.5, 2.0, 3.0], "colour": ["red", "NA", "blue"], "y": [0, 1, 0]}
)
WRITERS = {
    "csv": lambda file: FRAME.to_csv(file, index=False),
    "parquet": FRAME.to_parquet,
    "feather": FRAME.to_feather,
    "arrow": FRAME.to_feather,
    "jsonl": lambda file: FRAME.to_json(file, orient="records", lines=True),
}


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("suffix", WRITERS)
def test_text_stays_text_and_labels_and_ids_are_taken_out(tmp_path, monkeypatch, suffix, library):
    file = tmp_path / f"t.{suffix}"
    WRITERS[suffix](file)
    monkeypatch.setattr(module, "_library", lambda: (library, pd if library == "pandas" else pl))
    table = read_rows(file, "y", "name")
    assert table.columns == ("n", "colour")
    assert list(table.rows["colour"]) == ["red", "NA", "blue"]
    assert list(table.rows["n"]) == [1.5, 2.0, 3.0]
    assert list(table.labels) == [0, 1, 0]
    assert table.ids == ["007", "x", "NA"]
    assert table.without(["colour", "absent"]).columns == ("n",)


def test_without_a_target_there_are_no_labels(tmp_path):
    FRAME.to_csv(tmp_path / "t.csv", index=False)
    table = read_rows(tmp_path / "t.csv")
    assert table.labels is None
    assert table.ids is None
    assert len(table.columns) == 4


def test_polars_refiles_missing_pandas(tmp_path, monkeypatch):
    FRAME.to_csv(tmp_path / "t.csv", index=False)

    def need(module, extra):
        if module == "pandas":
            raise MissingExtra("no pandas")
        return pl

    monkeypatch.setattr(module, "need", need)
    assert isinstance(read_rows(tmp_path / "t.csv").rows, pl.DataFrame)


def test_arrays_come_from_npy_and_npz(tmp_path):
    x, y = np.arange(6.0).reshape(3, 2), np.array([1, 0, 1])
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "x.npz", images=x, y=y, who=np.array(["a", "b", "c"]))
    np.testing.assert_array_equal(read_rows(tmp_path / "x.npy").rows, x)
    table = read_rows(tmp_path / "x.npz", "y", "who")
    np.testing.assert_array_equal(table.rows, x)
    np.testing.assert_array_equal(table.labels, y)
    assert table.ids == ["a", "b", "c"]


def test_several_arrays_are_refused(tmp_path):
    np.savez(tmp_path / "x.npz", a=np.zeros(3), b=np.zeros(3))
    with pytest.raises(InputError, match="holds 2 arrays"):
        read_rows(tmp_path / "x.npz")


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_objects_in_numpy_files_are_not_read(tmp_path, name):
    array = np.array([{"a": 1}], dtype=object)
    if name.endswith("npy"):
        np.save(tmp_path / name, array, allow_pickle=True)
    else:
        np.savez(tmp_path / name, x=array)
    with pytest.raises(Unreadable, match="Objects in numpy files are pickles"):
        read_rows(tmp_path / name)


@pytest.mark.parametrize("suffix", ["parquet", "feather", "jsonl", "npy", "npz"])
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_the_error_on_a_damaged_file_names_it(tmp_path, monkeypatch, suffix, library):
    file = tmp_path / f"t.{suffix}"
    file.write_bytes(b"PAR1{{{ not it")
    monkeypatch.setattr(module, "_library", lambda: (library, pd if library == "pandas" else pl))
    with pytest.raises(Unreadable, match=f"t.{suffix} could not be read"):
        read_rows(file)


@pytest.mark.parametrize(
    ("content", "target", "message"),
    [("n,y\n1,0\n", "yy", "has no column 'yy'; did you mean 'y'"), ("n,y\n", "y", "has no rows")],
)
def test_a_missing_column_or_an_empty_table_is_refused(tmp_path, content, target, message):
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(InputError, match=message):
        read_rows(tmp_path / "t.csv", target)


def test_an_unknown_format_is_refused(tmp_path):
    (tmp_path / "t.xlsx").write_text("x")
    with pytest.raises(InputError, match="no known format"):
        read_rows(tmp_path / "t.xlsx")
