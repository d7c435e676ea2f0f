"""``assay experiment shift``: the study of explanation shift on the caller's recipe and rows."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import assay as package

CODE = """
import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import LogisticRegression
import assay

def table():
    frame = pd.read_csv('train.csv')
    return frame[['a', 'b', 'c']], frame['y']

def fit(x, y, seed, strength):
    some = seed.generator().integers(len(x), size=len(x))
    return LogisticRegression(C=1 / (1 + strength)).fit(x.iloc[some], y.iloc[some])

def recipe():
    return assay.Recipe(fit, *table(), regularises=True)

def net(x, y, seed, strength):
    with torch.random.fork_rng():
        torch.manual_seed(seed.entropy % 2**63)
        module = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    step = torch.optim.SGD(module.parameters(), lr=0.3, weight_decay=strength)
    for _ in range(40):
        step.zero_grad()
        torch.nn.functional.cross_entropy(module(torch.tensor(x)), torch.tensor(y)).backward()
        step.step()
    return module.eval()

def nets():
    x, y = table()
    return assay.Recipe(net, x.to_numpy().astype(np.float32), y.to_numpy(), regularises=True)
"""
GIVEN = "--data rows.csv --target y --top 2 --repeats 2"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    generator = np.random.default_rng(0)
    for name, rows in (("train", 120), ("rows", 12)):
        frame = pd.DataFrame(generator.normal(size=(rows, 3)), columns=["a", "b", "c"])
        frame.assign(y=(2 * frame.a - frame.b > 0).astype(int)).to_csv(tmp_path / f"{name}.csv", index=False)
    (tmp_path / "mine.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_files_hold_what_python_gives(project: Path, assay: Callable[..., Any]) -> None:
    done = assay(f"experiment shift --recipe mine.py:recipe {GIVEN} --of occlusion --sizes 0.1,1 --strengths 0,50")
    assert done.code == 0
    assert "12 models are trained, 12 rows explained by occlusion" in done.err
    found = package.load(project / "shift" / "shift.assay")
    assert [(line.strength, line.shift) for line in found.lines] == [(0, 0.1), (0, 1), (50, 0.1), (50, 1)]
    assert (found.rows, found.k, found.method) == (12, 2, "occlusion")
    assert all(line.accuracy_before > 0.5 for line in found.lines)
    table = pd.read_csv(project / "shift" / "shift.csv")
    assert table["sign"].tolist() == pytest.approx([line.means["sign"] for line in found.lines])
    assert len(json.loads((project / "shift" / "shift.json").read_text())["lines"]) == 4
    assert (project / "shift" / "shift.svg").read_text() == found.plot().svg
    last = found.lines[3]
    (shown,) = [line for line in done.out.splitlines() if re.match(r" *recipe +50 +– +1 ", line)]
    assert f"{last.means['sign']:.2f} [{last.intervals['sign'].low:.2f}" in shown


def test_recipes_are_compared_and_softplus_is_put_in(project: Path, assay: Callable[..., Any]) -> None:
    done = assay(
        f"experiment shift --recipe mine.py:nets {GIVEN} --softplus 5 --measure turned --out found --ask margin"
    )
    assert done.code == 0
    found = package.load(project / "found" / "shift.assay")
    assert [line.sharpness for line in found.lines] == [None, 5.0]
    assert found.lines[0].constant > 0
    assert (project / "found" / "shift.svg").read_text() == found.plot(measure="turned").svg


def test_a_dry_run_trains_nothing(project: Path, assay: Callable[..., Any]) -> None:
    done = assay(f"experiment shift --recipe mine.py:recipe --recipe mine.py:nets {GIVEN} --strengths 0,1 --dry-run")
    assert done.code == 0
    assert "16 models are trained" in done.err
    assert not (project / "shift").exists()


def test_the_command_of_the_page_runs(project: Path, assay: Callable[..., Any]) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "shift.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(# lender\.py\n.*?)^```", page, re.DOTALL | re.MULTILINE)
    (command,) = re.findall(r"^\$ assay (experiment shift .+)", page, re.MULTILINE)
    (project / "lender.py").write_text(code)
    for file, rows in (("train.csv", 60), ("held_out.csv", 10)):
        frame = pd.DataFrame(np.random.default_rng(0).normal(size=(rows, 2)), columns=["age", "income"])
        frame.assign(default=(frame.age > frame.income).astype(int)).to_csv(file, index=False)
    assert assay(command).code == 0
    found = package.load(project / "shift" / "shift.assay")
    assert [line.shift for line in found.lines] == [0.1, 0.5]
    assert found.lines[0].accuracy_before > 0.5


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("shift --data rows.csv", "needs how to train and the rows"),
        ("shift --recipe mine.py:recipe", "needs how to train and the rows"),
        (f"shift --recipe mine.py:recipe {GIVEN} --sizes many", "--sizes 'many'"),
        (f"shift --recipe mine.py:recipe {GIVEN} --measure size", "--measure size"),
        (f"shift mine.py:fit --recipe mine.py:recipe {GIVEN} --q 8", "does not read MODEL, --q"),
        (f"shift --recipe mine.py:recipe --recipe ./mine.py:recipe {GIVEN}", "two functions have one name"),
        ("mus --recipe mine.py:recipe", "are options of shift"),
        ("shapes", "there are mus and shift"),
    ],
)
def test_what_cannot_be_run_is_refused(project: Path, assay: Callable[..., Any], words: str, message: str) -> None:
    done = assay(f"experiment {words}")
    assert done.code == 2
    assert message in " ".join(done.err.split())
