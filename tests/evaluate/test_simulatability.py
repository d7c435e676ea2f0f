"""Students: the order of true, absent and flipped explanations, the null, and what is refused."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder
from sklearn.tree import DecisionTreeClassifier

import assay
from assay import Constant, evaluate, explain
from assay.basics.errors import CapabilityError, InputError
from assay.engine.students.student_task import StudentTask

WORDS = [f"w{i}" for i in range(60)]


@cache
def table() -> Any:
    """A linear model of 20 numbers, 3 of which count, and its exact attributions."""
    x = np.random.default_rng(0).normal(size=(500, 20))
    weights = np.array([2.0, -2.0, 1.5] + [0.0] * 17)
    model = LogisticRegression(C=1e6).fit(x, (x @ weights + np.random.default_rng(1).logistic(size=500) > 0))
    case = assay.case(assay.wrap(model), x[:400], target="log_odds", label=1)
    return case, explain.shapley_linear(case) if hasattr(explain, "shapley_linear") else explain.occlusion(
        case, remove=assay.Constant(0.0)
    )


@cache
def texts() -> Any:
    rng = np.random.default_rng(0)
    tone = {word: rng.choice([-1.0, 0.0, 0.0, 1.0]) for word in WORDS}
    rows = [" ".join(rng.choice(WORDS, 7, replace=False)) for _ in range(900)]
    labels = [int(sum(tone[word] for word in row.split()) + rng.normal() * 0.3 > 0) for row in rows]
    model = make_pipeline(TfidfVectorizer(), LogisticRegression(C=10)).fit(rows[:600], labels[:600])
    case = assay.case(assay.wrap(model), rows[600:], target="log_odds", label=1)
    return case, explain.occlusion(case, remove=Constant(0.0))


@cache
def images() -> Any:
    x, y = load_digits(return_X_y=True)
    learner = LogisticRegression(max_iter=500).fit(x[:600] / 16, y[:600])
    model = assay.wrap(lambda rows: learner.predict_proba(rows.reshape(len(rows), -1)), output="probabilities")
    case = assay.case(model, (x[600:1100] / 16).reshape(-1, 1, 8, 8), label="predicted")
    return case, explain.occlusion(case, remove=Constant(0.0))


SUBJECTS = {"table": (table, 20), "texts": (texts, 60), "images": (images, 20)}


@pytest.mark.parametrize("name", SUBJECTS)
def test_true_explanations_teach_more_than_none_and_flipped_ones_less(name: str) -> None:
    make, taught = SUBJECTS[name]
    case, explanation = make()
    found = evaluate.simulatability(explanation, case, taught=taught, seeds=16)
    assert found.gain_interval("explained").low > 0 > found.gain_interval("flipped").high
    assert found.gain("random") < found.gain("explained")
    assert found.student == {"table": "linear", "texts": "words", "images": "pixels"}[name]
    assert "does not say that people" in repr(found)


def ignorant(task: StudentTask) -> Any:
    """The majority class, whatever is explained."""
    return np.full(len(task.exam), np.bincount(task.classes[task.taught]).argmax())


def noisy(task: StudentTask) -> Any:
    """A student that guesses; it draws anew where it sees explanations."""
    seed = task.seed.child("guess", task.values is None, 0.0 if task.values is None else task.values.sum())
    return seed.generator().integers(0, 2, len(task.exam))


def test_a_student_that_ignores_explanations_gains_nothing() -> None:
    case, explanation = table()
    found = evaluate.simulatability(explanation, case, student=ignorant, taught=50, seeds=4)
    assert all(found.gain(arm) == 0 for arm in ("explained", "random", "flipped"))
    guessed = evaluate.simulatability(explanation, case, student=noisy, taught=50, seeds=8)
    assert guessed.gain_interval().low < 0 < guessed.gain_interval().high


def test_attributions_of_zero_teach_nothing() -> None:
    case, explanation = table()
    empty = replace(explanation, values=np.zeros_like(explanation.values))
    assert_array_equal(evaluate.simulatability(empty, case, taught=40, seeds=3).gains["explained"], 0.0)


def test_the_exam_holds_no_taught_row_and_no_explanation_of_an_exam_row_is_read() -> None:
    case, explanation = table()
    seen: list[StudentTask] = []

    def spy(task: StudentTask) -> Any:
        seen.append(task)
        return ignorant(task)

    evaluate.simulatability(explanation, case, student=spy, taught=50, seeds=2)
    assert all(not set(one.taught.tolist()) & set(one.exam.tolist()) for one in seen)
    first = evaluate.simulatability(explanation, case, taught=50, seeds=2)
    values = explanation.values.copy()
    root = case.seed.child("simulatability")
    never = sorted(set(range(400)) - {int(i) for n in range(2)
                                      for i in root.child(n, "rows").generator().permutation(400)[:50]})  # fmt: skip
    values[never] = 1e6
    other = evaluate.simulatability(replace(explanation, values=values), case, taught=50, seeds=2)
    assert_array_equal(first.agreement["explained"], other.agreement["explained"])


def test_the_same_seed_gives_the_same_bytes_and_a_file_holds_all(tmp_path: Path) -> None:
    case, explanation = table()
    one, two = (evaluate.simulatability(explanation, case, taught=30, seeds=3) for _ in range(2))
    read = assay.load(one.save(tmp_path / "found.assay"))
    for arm in one.agreement:
        assert_array_equal(one.agreement[arm], two.agreement[arm])
        assert_array_equal(one.agreement[arm], read.agreement[arm])
    assert read.gain_interval() == one.gain_interval()
    assert_allclose(one.to_frame()["agreement"], [one.mean(arm) for arm in one.agreement])


def test_levels_of_a_frame_are_columns_of_their_own() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"colour": rng.choice(["red", "blue", "green"], 300), "size": rng.normal(size=300)})
    model = make_pipeline(OrdinalEncoder(), DecisionTreeClassifier(max_depth=3)).fit(frame, frame.colour == "green")
    case = assay.case(assay.wrap(model), frame, label=1)
    explanation = explain.shapley(case, remove=assay.Marginal(frame[:10]))
    found = evaluate.simulatability(explanation, case, taught=60, seeds=3)
    assert found.mean("explained") == 1.0


def test_what_no_student_can_do_is_refused() -> None:
    case, explanation = table()
    with pytest.raises(CapabilityError, match="has learnt nothing"):
        evaluate.simulatability(explanation, case, shown="test")
    for wrong in ({"taught": 390}, {"taught": 1}, {"seeds": 1}, {"student": "wise"}):
        with pytest.raises(InputError):
            evaluate.simulatability(explanation, case, **wrong)
    with pytest.raises(CapabilityError, match="reads texts"):
        evaluate.simulatability(explanation, case, student="words")
    shown, values = images()
    cut, patches = replace(shown, features=assay.grid((1, 8, 8), 2)), replace(values, values=np.zeros((500, 16)))
    with pytest.raises(CapabilityError, match="convolutional"):
        evaluate.simulatability(patches, cut)
    x = np.random.default_rng(0).normal(size=(60, 3))
    numbers = assay.case(assay.wrap(LinearRegression().fit(x, x[:, 0])), x)
    with pytest.raises(CapabilityError, match="guess classes"):
        evaluate.simulatability(explain.input_itself(numbers), numbers, taught=20)
