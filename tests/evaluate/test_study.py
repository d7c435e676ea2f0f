"""Studies with people: the page, its answers, the planted effect, the null, and hostile contents."""

import json
import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import stats
from sklearn.datasets import load_digits
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline

import assay
from assay import Constant, evaluate, explain
from assay.basics.errors import CapabilityError, InputError
from assay.engine.studies.analysis import power, power_table
from assay.engine.studies.design import design_study
from assay.nouns.studies.questionnaire import NONE, PHASES, RANDOM, Questionnaire, load_questionnaire
from assay.report.study.page import render_questionnaire

HOSTILE = "</script><img src=x onerror=alert(1)>&\u2028\"'"


@cache
def designed(kind: Any = "forward", tests: int = 20) -> Questionnaire:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({HOSTILE: rng.normal(size=300), "b": rng.normal(size=300), "c": rng.normal(size=300)})
    labels = (frame[HOSTILE] + frame.b + rng.normal(size=300) > 0).astype(int).to_numpy()
    case = assay.case(assay.wrap(LogisticRegression().fit(frame, labels)), frame, label=1)
    e = explain.occlusion(case, remove=Constant(0.0))
    return design_study(e, case, labels, kind=kind, tests=tests, title=HOSTILE, consent=HOSTILE)


def rows_of(study: Questionnaire) -> list[Any]:
    return [row for block in study.blocks for row in block]


def answered(study: Questionnaire, people: int, chance: Any, seed: int) -> list[dict[str, Any]]:
    """Files as the page writes them, by people who are right with probability chance(arm, phase, person, row)."""
    rng, files, count = np.random.default_rng(seed), [], len(study.classes)
    ability, hard = rng.normal(0, 0.08, people + 1), {row.key: rng.normal(0, 0.1) for row in rows_of(study)}
    for person in range(1, people + 1):
        arm, turn = study.cell(person)
        answers = []
        for n, phase in enumerate(PHASES):
            for row in study.blocks[(turn + n) % 2]:
                is_right = rng.random() < np.clip(0.6 + chance(arm, phase) + ability[person] + hard[row.key], 0, 1)
                guess = row.answer if is_right else (row.answer + 1) % count
                answers.append({"phase": phase, "row": row.key, "guess": int(guess), "milliseconds": 900})
        checks = {phase: study.check_answer(phase) for phase in PHASES}
        files.append({"assay": "answers", "study": study.fingerprint, "person": person, "answers": answers}
                     | {"checks": checks, "consent": True})  # fmt: skip
    return files


def no_effect(arm: str, phase: str) -> float:
    return 0.05 if phase == "after" else 0.0


def planted(arm: str, phase: str) -> float:
    return no_effect(arm, phase) + (0.2 if phase == "after" and arm not in (NONE, RANDOM) else 0.0)


@pytest.mark.parametrize("kind", ["forward", "counterfactual"])
def test_rows_are_balanced_and_those_that_teach_are_not_asked(kind: Any) -> None:
    study = designed(kind)
    shown = [row.cells for row in study.teaching]
    assert not set(shown) & {row.cells for row in rows_of(study)}
    for block in study.blocks:
        if kind == "counterfactual":
            flips = sum(row.answer != row.output for row in block)
            assert abs(flips - len(block) / 2) <= 1
            assert all(row.changed != row.cells for row in block)
            continue
        groups = [(row.output, row.is_right) for row in block]
        counts = [groups.count((output, right)) for output in (0, 1) for right in (True, False)]
        assert max(counts) - min(counts) <= 1


def test_the_latin_square_asks_each_block_equally_often_in_each_phase_of_each_arm() -> None:
    study = designed()
    cells = [study.cell(person) for person in range(1, 2 * len(study.arms) * 5 + 1)]
    assert {cells.count((arm, turn)) for arm in study.arms for turn in (0, 1)} == {5}


def test_the_effect_that_was_planted_is_found_and_the_random_map_has_none() -> None:
    study = designed()
    found = evaluate.study(answered(study, 240, planted, 1), study)
    assert abs(found.arms["occlusion"].effect - 0.2) < 3 * found.arms["occlusion"].effect_error
    assert found.arms["occlusion"].adjusted_p < 0.001
    assert found.effect_interval(RANDOM).low < 0 < found.effect_interval(RANDOM).high
    assert found.arms[NONE].people == 80


def rejections(runs: int, people: int, tests: int = 20) -> int:
    study = designed(tests=tests)
    return sum(
        min(one.adjusted_p for arm, one in evaluate.study(answered(study, people, no_effect, seed), study).arms.items()
            if arm != NONE) < 0.05
        for seed in range(runs)
    )  # fmt: skip


def test_without_an_effect_hardly_any_study_finds_one() -> None:
    assert rejections(20, 60) <= stats.binom.ppf(0.999, 20, 0.05)


@pytest.mark.judge
def test_without_an_effect_at_most_5_percent_of_studies_find_one() -> None:
    assert rejections(200, 60) <= 16


@pytest.mark.judge
def test_the_table_of_power_is_that_of_simulated_studies() -> None:
    study, hits = designed(), 0
    for seed in range(60):
        effects = evaluate.study(answered(study, 300, planted_small, seed), study).arms
        hits += effects["occlusion"].adjusted_p < 0.05
    told = power(100, 20, effect=0.1, arms=2, learning=0.0)
    assert abs(hits / 60 - told) < 4 * np.sqrt(told * (1 - told) / 60) + 0.05


def planted_small(arm: str, phase: str) -> float:
    return no_effect(arm, phase) + (0.1 if phase == "after" and arm not in (NONE, RANDOM) else 0.0)


def test_more_people_and_more_rows_raise_the_power() -> None:
    assert power(50, 20) < power(100, 20) < power(100, 40)
    assert_allclose(power(10**7, 20, effect=0.0, arms=1), 0.025, atol=1e-6)
    assert "800" in power_table()


def test_errors_by_person_and_by_row_are_those_of_their_bootstraps() -> None:
    study = designed()
    files = answered(study, 90, planted, 3)
    found = evaluate.study(files, study).arms["occlusion"]
    truth = {row.key: row.answer for row in rows_of(study)}
    lines = pd.DataFrame(
        [(f["person"], a["row"], study.cell(f["person"])[0], a["phase"], a["guess"] == truth[a["row"]])
         for f in files for a in f["answers"]], columns=["person", "row", "arm", "phase", "right"],
    )  # fmt: skip
    lines = lines[lines.arm == "occlusion"]
    rng, variances = np.random.default_rng(0), []
    codes = {name: np.unique(lines[name], return_inverse=True)[1] for name in ("person", "row")}
    codes["answer"] = np.arange(len(lines))
    right, after = lines.right.to_numpy(float), (lines.phase == "after").to_numpy()
    for code in codes.values():
        count, gains = code.max() + 1, []
        for _ in range(1500):
            weight = rng.multinomial(count, np.full(count, 1 / count))[code]
            gains.append(np.average(right[after], weights=weight[after])
                         - np.average(right[~after], weights=weight[~after]))  # fmt: skip
        variances.append(np.var(gains))
    person, row, alone = variances
    assert_allclose(found.gain_error, np.sqrt(max(person + row - alone, person)), rtol=0.12)


def test_the_page_holds_no_answer_and_nothing_hostile_is_markup() -> None:
    study = designed()
    page = render_questionnaire(study)
    assert page.count("<script") == 2
    assert "<img src=x" not in page
    assert "innerHTML" not in page
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])
    assert data["title"] == HOSTILE
    assert data["names"][0] == HOSTILE
    assert all({"answer", "is_right", "output"}.isdisjoint(row) for block in data["blocks"] for row in block)
    assert all("output" in row for row in data["teaching"])
    assert "default-src 'none'" in page
    asked = json.loads(re.search(r'id="data">(.*?)</script>', render_questionnaire(designed("counterfactual")))[1])
    assert all("answer" not in row and row["values"] for block in asked["blocks"] for row in block)


def test_the_file_of_the_study_is_read_back_whole_and_the_result_too(tmp_path: Path) -> None:
    study = designed()
    again = load_questionnaire(study.save(tmp_path / "study.json"))
    assert again.fingerprint == study.fingerprint
    for person, file in enumerate(answered(study, 12, no_effect, 0)):
        (tmp_path / "answers").mkdir(exist_ok=True)
        (tmp_path / "answers" / f"{person}.json").write_text(json.dumps(file))
    found = evaluate.study(tmp_path / "answers", tmp_path / "study.json")
    read = assay.load(found.save(tmp_path / "found.assay"))
    assert repr(read) == repr(found)
    assert list(found.to_frame()["arm"]) == list(study.arms)
    assert "too narrow" in repr(found)


def test_people_who_did_not_read_did_not_finish_or_came_twice_are_left_out_and_counted() -> None:
    study = designed()
    files = answered(study, 12, no_effect, 0)
    files[0]["checks"] = {"before": 0, "after": 0}
    files[1]["answers"] = files[1]["answers"][:-1]
    found = evaluate.study([*files, files[5]], study)
    assert found.excluded == {"failed an attention check": 1, "answered again": 1, "did not finish": 1}
    assert sum(one.people for one in found.arms.values()) == 10


HOSTILE_FILES: dict[str, Any] = {
    "no file of the page": lambda file: [1, 2],
    "another study": lambda file: {**file, "study": "0"},
    "a person by name": lambda file: {**file, "person": "me"},
    "a person of a truth value": lambda file: {**file, "person": True},
    "no list": lambda file: {**file, "answers": {"q0": 1}},
    "an answer that is none": lambda file: {**file, "answers": [3]},
    "a class that is none": lambda file: {**file, "answers": [{**file["answers"][0], "guess": 7}]},
    "a fraction": lambda file: {**file, "answers": [{**file["answers"][0], "guess": 0.5}]},
    "an answer twice": lambda file: {**file, "answers": [*file["answers"], file["answers"][0]]},
    "no consent": lambda file: {**file, "consent": False},
    "consent in words": lambda file: {**file, "consent": "true"},
    "a check of a truth value": lambda file: {**file, "checks": dict.fromkeys(PHASES, True)},
    "a question not asked": lambda file: {**file, "answers": [{**file["answers"][0], "row": "t0"}]},
}


@pytest.mark.parametrize("what", HOSTILE_FILES)
def test_files_that_the_page_would_not_write_are_refused(what: str) -> None:
    study = designed()
    with pytest.raises(InputError):
        evaluate.study([HOSTILE_FILES[what](answered(study, 1, no_effect, 0)[0])], study)


@pytest.mark.parametrize("kind", ["forward", "counterfactual"])
def test_neither_key_nor_order_of_a_question_tells_its_answer(kind: Any) -> None:
    """Where keys or places told it, they would tell it for each seed; the answers are mixed differently by each."""
    patterns = set()
    for seed in range(6):
        case, e, labels = small(seed)
        study = design_study(e, case, labels, kind=kind, tests=12, teaching=4)
        rows = rows_of(study)
        assert [row.key for row in rows] == [f"q{n}" for n in range(12)]
        patterns.add(tuple(row.answer if kind == "forward" else row.answer != row.output for row in rows))
    assert len(patterns) >= 5


@cache
def small(seed: int) -> Any:
    x = np.random.default_rng(0).normal(size=(120, 4))
    labels = x[:, 0] + np.random.default_rng(1).normal(size=120) > 0
    case = assay.case(assay.wrap(LogisticRegression().fit(x, labels)), x, label=1, seed=seed)
    return case, explain.occlusion(case, remove=Constant(0.0)), labels


def test_explanations_that_cannot_be_shown_or_would_mislead_are_refused() -> None:
    case, e, labels = small(0)
    for value in (np.nan, np.inf):
        values = e.values.copy()
        values[3, 1] = value
        with pytest.raises(InputError, match="NaN or infinite"):
            design_study(replace(e, values=values), case, labels, tests=8)
    with pytest.raises(InputError, match="other classes"):
        design_study(e, case.with_target(label=0), labels, tests=8)
    for arm in (NONE, RANDOM):
        with pytest.raises(InputError, match="has an arm"):
            design_study(replace(e, provenance=replace(e.provenance, method=arm)), case, labels, tests=8)


BROKEN: dict[str, Any] = {
    "arms": ["a", "b"],
    "arms of one name": {"arms": ["none", "occlusion", "occlusion", "random"]},
    "kind": "fun",
    "seed": "1",
    "blocks": [],
    "classes": [],
    "teaching": 3,
    "title and more": {"title": "a", "more": 1},
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_questionnaire_that_was_changed_by_hand_is_refused(what: str, tmp_path: Path) -> None:
    place = designed().save(tmp_path / "study.json")
    change = BROKEN[what] if isinstance(BROKEN[what], dict) else {what: BROKEN[what]}
    place.write_text(json.dumps(json.loads(place.read_text()) | change))
    with pytest.raises(InputError, match="no questionnaire of assay study"):
        load_questionnaire(place)


def test_a_questionnaire_nested_without_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / "study.json").write_text("[" * 100_000)
    with pytest.raises(InputError, match="no questionnaire"):
        load_questionnaire(tmp_path / "study.json")


@pytest.mark.parametrize("wrong", [{"people": 0}, {"rows": 0}, {"arms": 0}, {"level": 1.0}])
def test_the_power_of_no_study_is_refused(wrong: Any) -> None:
    with pytest.raises(InputError, match="at least 1 person"):
        power(**{"people": 10, "rows": 10, **wrong})


def test_the_power_is_that_of_a_simulation_of_its_own_model() -> None:
    """Gains of people, with coins at every test and a spread of learning, and the first step of Holm."""
    people, rows, effect, learning, runs = 60, 20, 0.12, 0.05, 4000
    rng = np.random.default_rng(0)
    gains = rng.normal(0, learning, (runs, 2, people))
    for sign in (1, -1):
        gains += sign * (rng.binomial(rows // 2, 0.5, gains.shape) / (rows / 2) - 0.5)
    gains[:, 1] += effect
    apart = gains[:, 1].mean(axis=1) - gains[:, 0].mean(axis=1)
    error = np.sqrt(gains.var(axis=2, ddof=1).sum(axis=1) / people)
    found = float((apart / error > stats.norm.ppf(1 - 0.05 / 4)).mean())
    assert_allclose(power(people, rows, effect=effect, arms=2, learning=learning), found, atol=0.03)


def test_the_table_of_power_has_a_column_for_the_tests_that_are_asked() -> None:
    lines = power_table(tests=12).splitlines()
    assert lines[1].split() == ["people", "10", "12", "20", "40"]
    assert float(lines[2].split()[2]) == round(power(25, 12, arms=2), 2)
    assert power_table(tests=20) == power_table()


def test_broken_files_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text("{")
    for place, words in ((tmp_path, "is no JSON"), (tmp_path / "absent.json", "no file")):
        with pytest.raises(InputError, match=words):
            evaluate.study(place, designed())
    with pytest.raises(InputError, match="no questionnaire"):
        load_questionnaire(tmp_path / "one.json")


def test_images_and_texts_can_be_asked_about() -> None:
    x, y = load_digits(return_X_y=True)
    learner = LogisticRegression(max_iter=300).fit(x[:400] / 16, y[:400])
    model = assay.wrap(lambda rows: learner.predict_proba(rows.reshape(len(rows), -1)), output="probabilities")
    case = assay.case(model, (x[400:460] / 16).reshape(-1, 1, 8, 8), label="predicted")
    study = design_study(explain.occlusion(case, remove=Constant(0.0)), case, y[400:460], tests=8)
    assert render_questionnaire(study).count("data:image/png") == 8 + 8 * 3  # tests; taught with two maps
    texts = [" ".join(np.random.default_rng(i).choice(["good", "bad", "film", "plot", "dull"], 4)) for i in range(60)]
    labels = [int("good" in text) for text in texts]
    words = assay.case(assay.wrap(make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, labels)), texts)
    study = design_study(explain.occlusion(words, remove=Constant(0.0)), words, labels, tests=8)
    assert all(" ".join(row.cells) in texts for row in study.teaching)
    with pytest.raises(CapabilityError, match="changes cells"):
        design_study(explain.occlusion(words, remove=Constant(0.0)), words, labels, tests=8, kind="counterfactual")


def test_studies_that_cannot_be_are_refused() -> None:
    x = np.random.default_rng(0).normal(size=(20, 3))
    numbers = assay.case(assay.wrap(LinearRegression().fit(x, x[:, 0])), x)
    with pytest.raises(CapabilityError, match="guess classes"):
        design_study(explain.input_itself(numbers), numbers, x[:, 0])
    case = assay.case(assay.wrap(LogisticRegression().fit(x, x[:, 0] > 0)), x)
    e = explain.input_itself(case)
    for wrong in ({"tests": 5}, {"teaching": 1}, {"tests": 18, "teaching": 8}):
        with pytest.raises(InputError):
            design_study(e, case, x[:, 0] > 0, **wrong)
    with pytest.raises(InputError, match="same rows"):
        design_study(replace(e, ids=e.ids[::-1]), case, x[:, 0] > 0)
    with pytest.raises(InputError, match="level"):
        evaluate.study([], designed(), level=2.0)
