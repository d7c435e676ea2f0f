"""explain.training_influence: signs, parts, refits and what is told; the engines have tests of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

import assay
from assay import explain
from assay.basics.errors import CapabilityError, InputError

GENERATOR = np.random.default_rng(2)
X = GENERATOR.normal(size=(30, 3))
Y = np.array(["no", "yes"])[(X[:, 0] + GENERATOR.normal(size=30) > 0).astype(int)]


def logistic(x: Any = X, y: Any = Y, seed: Any = None, strength: float = 0.0) -> Any:
    return LogisticRegression(C=1.0, tol=1e-10).fit(x, y)


def case(**options: Any) -> assay.Case:
    return assay.case(assay.wrap(logistic()), X[:4], **{"target": "loss", "label": Y[:4], **options})


def test_a_copy_of_a_row_helps_its_loss_and_lowers_the_other_class() -> None:
    found = explain.training_influence(case(), train=(X, Y))
    assert (np.diag(found.values[:, :4]) > 0).all()  # leaving the row itself out raises its loss
    chances = explain.training_influence(case(target="probability", label="yes"), train=(X, Y)).values
    chances_no = explain.training_influence(case(target="probability", label="no"), train=(X, Y)).values
    assert_allclose(chances, -chances_no, atol=1e-12)
    own = chances[np.arange(4), np.arange(4)]
    assert (np.sign(own) == np.where(Y[:4] == "yes", -1, 1)).all()


def test_parts_are_training_rows_by_their_ids() -> None:
    frame = pd.DataFrame(X, columns=["a", "b", "c"], index=[f"customer {i}" for i in range(30)])
    model = assay.wrap(LogisticRegression(tol=1e-10).fit(frame, Y))
    one = assay.case(model, frame[:2], target="loss", label=Y[:2])
    found = explain.training_influence(one, train=(frame, pd.Series(Y)))
    assert found.features.names[:2] == ("customer 0", "customer 1")
    assert found.values.shape == (2, 30)
    assert found.extra["train_label"].tolist() == (Y == "yes").astype(float).tolist()
    named = explain.training_influence(one, train=(frame, Y), ids=[f"n{i}" for i in range(30)])
    assert named.features.names[29] == "n29"
    assert list(found.to_frame()["part"])[:2] == ["customer 0", "customer 1"]


def test_the_description_names_the_rows_that_matter_most_with_their_labels() -> None:
    found = explain.training_influence(case(), train=(X, Y))
    best, worst = int(found.values[0].argmax()), int(found.values[0].argmin())
    assert found.description[0] == "method newton; 30 training rows; T is loss"
    assert found.description[1].startswith(f"row 0: T falls without {worst} ({Y[worst]}) -")
    assert found.description[2].startswith(f"row 0: T rises without {best} ({Y[best]}) +")


def test_refits_are_the_trainings_themselves() -> None:
    recipe = assay.Recipe(logistic, X, Y)
    found = explain.training_influence(case(), train=(X, Y), method="refit", recipe=recipe)
    without = assay.case(assay.wrap(logistic(X[1:], Y[1:])), X[:4], target="loss", label=Y[:4]).output
    assert_allclose(found.values[:, 0], without - case().output, atol=1e-12)
    newton = explain.training_influence(case(), train=(X, Y), steps=8)
    assert_allclose(newton.values, found.values, atol=1e-4)
    groups = ["a" if i % 2 else "b" for i in range(30)]
    halves = explain.training_influence(case(), train=(X, Y), method="refit", recipe=recipe, groups=groups)
    assert halves.features.names == ("b", "a")
    assert halves.provenance.cost["forwards"] == 3 * 4 + 30


def test_trees_are_refitted_and_seeds_give_a_standard_error() -> None:
    def fit(x: Any, y: Any, seed: Any, strength: float) -> Any:
        state = int(seed.generator().integers(1 << 30))
        return DecisionTreeClassifier(max_depth=2, max_features=1, random_state=state).fit(x, y)

    model = assay.wrap(DecisionTreeClassifier(max_depth=2, random_state=0).fit(X, Y))
    one = assay.case(model, X[:4], target="probability", label="yes")
    recipe, groups = assay.Recipe(fit, X, Y), [str(i % 5) for i in range(30)]
    found = explain.training_influence(one, train=(X, Y), recipe=recipe, groups=groups, seeds=3)
    assert found.description[0].startswith("method refit")
    assert found.stderr is not None
    assert found.stderr.max() > 0
    with pytest.raises(InputError, match="30 parts and 4 seeds need 124 trainings; refits=100"):
        explain.training_influence(one, train=(X, Y), recipe=recipe, seeds=4)
    with pytest.raises(CapabilityError, match="Give method='refit' and a recipe"):
        explain.training_influence(one, train=(X, Y))


def test_a_recipe_of_other_rows_and_labels_of_other_length_are_refused() -> None:
    recipe = assay.Recipe(logistic, X[1:], Y[1:])
    with pytest.raises(InputError, match="the recipe has 29 training rows, train has 30"):
        explain.training_influence(case(), train=(X, Y), method="refit", recipe=recipe)
    with pytest.raises(InputError, match="train is a pair"):
        explain.training_influence(case(), train=X)
    with pytest.raises(InputError, match="29 labels for 30 rows"):
        explain.training_influence(case(), train=(X, Y[1:]))
    with pytest.raises(InputError, match=r"recipe=assay\.Recipe"):
        explain.training_influence(case(), train=(X, Y), method="refit")


def test_rows_of_a_layer_have_no_training_rows() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2)).double()
    inner = assay.case(assay.wrap(net, output="logits"), torch.as_tensor(X[:2]), label=1).from_layer("1")
    with pytest.raises(CapabilityError, match="activations of a layer"):
        explain.training_influence(inner, train=(torch.as_tensor(X), [0, 1] * 15))


def test_scores_of_features_refuse_an_explanation_of_training_rows() -> None:
    from assay import evaluate

    found = explain.training_influence(case(), train=(X, Y))
    with pytest.raises(InputError, match="4 rows of 30 parts"):
        evaluate.deletion(found, case(), remove=assay.Constant(0.0))


@pytest.fixture
def files(tmp_path: Path) -> Path:
    frame = pd.DataFrame(X, columns=["a", "b", "c"]).assign(paid=Y, customer=[f"c{i}" for i in range(30)])
    frame.to_csv(tmp_path / "train.csv", index=False)
    frame[:3].to_csv(tmp_path / "test.csv", index=False)
    (tmp_path / "model.py").write_text(
        "import pandas as pd\nfrom sklearn.linear_model import LogisticRegression\n"
        f"def model():\n    f = pd.read_csv({str(tmp_path / 'train.csv')!r})\n"
        "    return LogisticRegression(tol=1e-10).fit(f[['a', 'b', 'c']], f['paid'])\n"
    )
    return tmp_path


def run(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    from assay.cli.main import run_command

    code = run_command(arguments)
    printed = capsys.readouterr()
    return code, printed.out + printed.err


def test_the_command_explains_by_training_rows(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = f"{files / 'model.py'}:model"
    common = ["explain", model, "training_influence", "--data", str(files / "test.csv"), "--target", "paid", "-q"]
    code, text = run(
        [*common, "--ids", "customer", "--train", str(files / "train.csv"), "--ask", "loss", "--save",
         str(files / "out.assay")], capsys
    )  # fmt: skip
    assert code == 0
    assert "row c0: T rises without c" in text
    assert assay.load(files / "out.assay").features.names[29] == "c29"
    recipe = files / "recipe.py"
    recipe.write_text(
        "import assay\nimport pandas as pd\n"
        "def recipe():\n    from sklearn.linear_model import LogisticRegression\n"
        f"    f = pd.read_csv({str(files / 'train.csv')!r})\n"
        "    fit = lambda x, y, seed, strength: LogisticRegression(tol=1e-10).fit(x, y)\n"
        "    return assay.Recipe(fit, f[['a', 'b', 'c']], f['paid'])\n"
    )
    scored = ["evaluate", model, "linear_datamodeling_score", "--explanation", str(files / "out.assay"), *common[3:]]
    scored += ["--ids", "customer", "--ask", "loss", "--recipe", f"{recipe}:recipe", "--option", "subsets=8"]
    code, text = run([*scored, "--option", "seeds=1"], capsys)
    assert code == 0
    assert "linear_datamodeling_score of loss" in text
    code, text = run([*common, "--ids", "customer"], capsys)
    assert code != 0
    assert "--train FILE --target COLUMN" in text
    arguments = ["explain", model, "constant", "--data", str(files / "test.csv"), "--ids", "customer"]
    code, text = run([*arguments, "--target", "paid", "--train", str(files / "train.csv"), "-q"], capsys)
    assert code != 0
    assert "does not read --train" in text
