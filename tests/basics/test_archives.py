"""Archives that unpack to more than the limits are refused before anything is unpacked."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import assay
from assay.basics import archives
from assay.basics.archives import open_archive
from assay.basics.errors import Refused
from assay.cli.read_rows import DataFiles
from assay.model.files.load import load_model
from assay.nouns.records.store import load, save

skops = pytest.importorskip("skops.io")


def packed(members: dict[str, bytes]) -> io.BytesIO:
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w", zipfile.ZIP_DEFLATED) as pack:
        for name, content in members.items():
            pack.writestr(name, content)
    stored.seek(0)
    return stored


def test_the_total_of_the_members_is_limited(monkeypatch):
    monkeypatch.setattr(archives, "MAX_BYTES", 1000)
    with open_archive(packed({"a": b"x" * 500, "b": b"y" * 500})) as archive:
        assert archive.read("a") == b"x" * 500
    with (
        pytest.raises(Refused, match="unpacks to 1,001 bytes; at most 1,000"),
        open_archive(packed({"a": b"x" * 1001})),
    ):
        pass


def test_a_member_that_is_stored_in_very_few_bytes_is_refused(monkeypatch):
    monkeypatch.setattr(archives, "SMALL", 10_000)
    noise = np.random.default_rng(0).bytes(20_000)
    zeros = packed({"zeros": bytes(3_000_000)})
    with open_archive(packed({"a": noise})) as archive:
        assert archive.read("a") == noise
    with pytest.raises(Refused, match="more than 200 times as many"), open_archive(zeros):
        pass
    monkeypatch.setenv(archives.VARIABLE, "4000000")
    with open_archive(packed({"zeros": bytes(3_000_000)})) as archive:
        assert len(archive.read("zeros")) == 3_000_000
    monkeypatch.setenv(archives.VARIABLE, "2000000")
    with pytest.raises(Refused, match="at most 2,000,000"), open_archive(packed({"zeros": bytes(3_000_000)})):
        pass


def test_every_reader_of_archives_has_the_limit(tmp_path: Path, monkeypatch):
    x = np.random.default_rng(0).normal(size=(40, 3))
    model = LogisticRegression().fit(x, x[:, 0] > 0)
    explanation = assay.explain.occlusion(assay.case(assay.wrap(model), x[:2]), remove=assay.Constant(0.0))
    skops.dump(model, tmp_path / "model.skops")
    save(explanation, tmp_path / "e.assay")
    np.savez(tmp_path / "rows.npz", rows=x)
    readers = {
        "model.skops": load_model,
        "e.assay": load,
        "rows.npz": lambda path: DataFiles.of(assay.wrap(model), path).read(path, "", ""),
    }
    for name, read in readers.items():
        read(tmp_path / name)
    monkeypatch.setattr(archives, "MAX_BYTES", 50)
    for name, read in readers.items():
        with pytest.raises(Refused, match="at most 50"):
            read(tmp_path / name)
