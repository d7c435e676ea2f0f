"""The commands of the README, run in their order on real files."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from assay.cli.main import run_command

README = Path(__file__).resolve().parents[2] / "README.md"
COMMANDS = re.findall(r"^\$ (assay [^#\n]+)", README.read_text(encoding="utf-8"), re.MULTILINE)


def applications(count: int, seed: int) -> pd.DataFrame:
    """Rows of a lender, with the sex of each applicant, which the model does not see."""
    generator = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "age": generator.integers(18, 80, count),
            "income": generator.normal(3, 1, count).round(3),
            "purpose": generator.choice(["car", "house"], count),
            "sex": generator.choice(["f", "m"], count),
        }
    )
    height = frame["age"] / 30 - frame["income"] + generator.normal(0, 1, count)
    return frame.assign(default=np.where(height > 0, "yes", "no"))


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    train, test = applications(200, 0), applications(120, 1)
    train.to_csv("train.csv", index=False)
    test.to_csv("test.csv", index=False)
    coder = make_column_transformer((OneHotEncoder(), ["purpose"]), (StandardScaler(), ["age", "income"]))
    model = make_pipeline(coder, LogisticRegression()).fit(train[["age", "income", "purpose", "sex"]], train["default"])
    skops.io.dump(model, "credit.skops")
    return tmp_path


def test_the_readmes_commands_do_what_it_says(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(COMMANDS) >= 7
    said: dict[str, str] = {}
    for command in COMMANDS:
        words = shlex.split(command)[1:]
        assert run_command(words) in (0, 1), (command, capsys.readouterr().err)
        said[command] = capsys.readouterr().out
        if words[0] == "audit" and "--dry-run" not in words:
            shutil.copytree(desk / "audit", desk / "main")
        assert (desk / "audit").exists() == any(c.startswith("assay audit") and "dry" not in c for c in said)
    assert (desk / "audit" / "report.html").stat().st_size > 10_000
    assert (desk / "compared.html").read_text().startswith("<!doctype html>")
    assert any(line.startswith("<?xml") for line in said[COMMANDS[-1]].splitlines())
