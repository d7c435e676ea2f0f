"""assay study writes a questionnaire and evaluates its answers; roar and kar take a recipe and labels."""

import json

import numpy as np
import pandas as pd
from tests.evaluate.test_study import answered, no_effect

from assay.nouns.studies.questionnaire import load_questionnaire

ROWS = "--data plain.csv --target y --background plain.csv"


def test_a_questionnaire_is_written_and_its_answers_are_evaluated(assay, project):
    words = f"study mine.py:build {ROWS} --of occlusion --tests 4 --teaching 2 --out asked"
    done = assay(words)
    assert done.code == 0, done.err
    assert "power to find 5%" in done.out
    study = load_questionnaire(project / "asked" / "study.json")
    assert study.fingerprint in (project / "asked" / "study.html").read_text(encoding="utf-8")
    (project / "answers").mkdir()
    for file in answered(study, 12, no_effect, 0):
        (project / "answers" / f"{file['person']}.json").write_text(json.dumps(file))
    found = assay("study --answers answers --questionnaire asked/study.json --save found.assay")
    assert found.code == 0, found.err
    assert "occlusion: 4 people" in found.out
    assert "StudyResult" in assay("show found.assay").out


def test_what_a_study_lacks_is_named(assay, project):
    assert "--answers FOLDER" in assay("study").err
    assert "--questionnaire study.json" in assay("study --answers answers").err
    assert "--target COLUMN" in assay("study mine.py:build --data plain.csv --of occlusion").err


def test_texts_that_are_no_characters_end_with_no_internal_error(assay, project):
    (project / "latin.txt").write_bytes("für alle".encode("latin-1"))
    words = f"study mine.py:build {ROWS} --of occlusion --tests 4 --teaching 2 -q"
    done = assay(f"{words} --consent latin.txt")
    assert (done.code, "no text in UTF-8" in done.err) == (2, True), done.err
    (project / "marked.txt").write_bytes("\ufefffür alle".encode())
    done = assay([*f"{words} --consent marked.txt".split(), "--title", "a \udcff b \u202e c"])
    assert done.code == 0, done.err
    assert load_questionnaire(project / "study" / "study.json").consent == "für alle"
    assert "<title>a \ufffd b \ufffd c</title>" in (project / "study" / "study.html").read_text(encoding="utf-8")
    assert (
        "has an arm 'random'" in assay(words.replace("occlusion", "random").replace(" --background plain.csv", "")).err
    )


def test_roar_takes_a_recipe_and_the_labels(assay, project):
    words = f"evaluate mine.py:build roar {ROWS} --of occlusion --rows 20 --option seeds=2"
    done = assay(f"{words} --recipe mine.py:recipe --format json")
    assert done.code == 0, done.err
    assert np.shape(json.loads(done.out)["values"]) == (20,)
    assert "--recipe FILE.py:FUNCTION" in assay(words).err
    pd.read_csv(project / "plain.csv").drop(columns="y").to_csv(project / "bare.csv", index=False)
    lacking = assay("evaluate mine.py:build kar --data bare.csv --of occlusion --recipe mine.py:recipe")
    assert "true labels of the rows: --target COLUMN" in lacking.err
