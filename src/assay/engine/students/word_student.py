# SPDX-License-Identifier: Apache-2.0
"""A student that reads texts: a logistic model of TF-IDF words, taught highlighted words as texts of their own."""

from __future__ import annotations

import numpy as np

from assay.basics.types import Ints
from assay.engine.students.student_task import StudentTask

HIGHLIGHTED = 3
"""Words of a text that an explanation highlights."""


def word_student(task: StudentTask) -> Ints:
    """Classes of the exam's texts, by a model fitted to the taught texts and their highlighted words.

    The words with the largest |φ| become texts of one word: of the class explained where φ > 0, of the other class
    where φ < 0 and there are two classes.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    texts = [task.texts[row] for row in task.taught]
    classes = [int(task.classes[row]) for row in task.taught]
    for row in task.taught if task.values is not None else ():
        words = task.words[row]
        assert task.values is not None
        values = task.values[row, : len(words)]
        for part in np.argsort(-np.abs(values), kind="stable")[:HIGHLIGHTED]:
            other = 1 - int(task.explained[row]) if task.count == 2 else None
            told = int(task.explained[row]) if values[part] > 0 else other
            if told is not None and values[part] != 0:
                texts.append(words[part])
                classes.append(told)
    model = make_pipeline(TfidfVectorizer(token_pattern=r"(?u)\b\w+\b"), LogisticRegression(max_iter=500))
    model.fit(texts, classes)
    return np.asarray(model.predict([task.texts[row] for row in task.exam]), dtype=np.int64)
