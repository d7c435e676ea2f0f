"""A small project on disk, and the command ``assay`` run in it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from assay.cli.main import run_command

MINE = """
import pandas as pd
from sklearn.linear_model import LogisticRegression

def build():
    frame = pd.read_csv('train.csv')
    return LogisticRegression().fit(frame[['a', 'b']], frame['y'])

def fit(x, y, seed, strength):
    return LogisticRegression(C=1 / (1 + strength)).fit(x, y)

def recipe():
    import assay
    frame = pd.read_csv('train.csv')
    return assay.Recipe(fit, frame[['a', 'b']], frame['y'], regularises=True)

def forest(x, y, seed=0, strength=0.0):
    from sklearn.ensemble import RandomForestClassifier
    leaf = 12 if strength else 1
    return RandomForestClassifier(10, bootstrap=False, min_samples_leaf=leaf, random_state=0).fit(x, y)

def noisy():
    frame = pd.read_csv('noisy.csv')
    return frame[['a', 'b']], frame['y']

def memorising():
    return forest(*noisy())

def mending():
    import assay
    return assay.Recipe(lambda x, y, seed, strength: forest(x, y, seed, strength), *noisy(), regularises=True)

def net():
    import torch
    layer = torch.nn.Linear(2, 2)
    layer.weight.data = torch.tensor([[1.0, 0.5], [-1.0, 0.0]])
    layer.bias.data = torch.zeros(2)
    return layer.eval()

def deep():
    import torch
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2)).eval()

def robust():
    return lambda messages: 'A short note.'

def obedient():
    import re
    def answer(messages):
        found = re.search('only with the word ([a-z]+)', messages[-1]['content'])
        return found[1] if found else 'A short note.'
    return answer

def spam():
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.pipeline import make_pipeline
    texts = ['win a prize now', 'win money now', 'see you at noon', 'the report is late'] * 5
    model = make_pipeline(CountVectorizer(), LogisticRegression(C=100.0))
    return model.fit(texts, ['spam', 'spam', 'fine', 'fine'] * 5)

def stopped():
    raise KeyboardInterrupt

def broken():
    return [][1]

def refuses():
    import assay
    def ask(x):
        raise RuntimeError('no answer today')
    return assay.wrap(ask, output='values')
"""


def rows(start: int) -> str:
    lines = []
    for i in range(start, start + 60):
        label = int(i % 7 > 3)
        lines.append(f"r{i},{i % 7 + i / 1000:.3f},{(i % 3) + (i * i % 11) / 10:.1f},{'fm'[i % 2]},{label}")
    return "id,a,b,sex,y\n" + "\n".join(lines) + "\n"


def noise():
    """Rows with labels that no feature predicts: only a model that memorises them is correct."""
    lines = [f"{i % 7 + i / 1000:.3f},{(i % 3) + (i * i % 11) / 10:.1f},{(i * i * i // 7) % 2}" for i in range(60)]
    return "a,b,y\n" + "\n".join(lines) + "\n"


@dataclass
class Answer:
    code: int
    out: str
    err: str


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("NO_COLOR", "CI"):
        monkeypatch.setitem(os.environ, name, "1")
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "train.csv").write_text(rows(0))
    (tmp_path / "test.csv").write_text(rows(500))
    (tmp_path / "noisy.csv").write_text(noise())
    (tmp_path / "plain.csv").write_text(
        "\n".join(",".join(line.split(",")[i] for i in (1, 2, 4)) for line in rows(500).splitlines()) + "\n"
    )
    return tmp_path


@pytest.fixture
def assay(project, capsys):
    """The command, run in the project with a line of arguments or a list of them."""

    def call(words):
        capsys.readouterr()
        code = run_command(words.split() if isinstance(words, str) else words)
        captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    return call
