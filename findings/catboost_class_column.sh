#!/usr/bin/env bash
# CatBoost 1.2.10, CatBoostClassifier.predict() with three classes or more.
#
# Behaviour: it returns a column of shape (n, 1). With two classes it returns a
# vector of shape (n,).
#
# Usual guess: predict() returns a vector, as classifiers of scikit-learn do, so
# that (predict(x) == y).mean() is the accuracy.
#
# Seen: two classes (400,), three classes (400, 1). numpy compares the column with
# every label: by hand the accuracy is 0.35, truly it is 1.00.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check catboost==1.2.10 numpy==2.4.6 scipy==1.17.1

cd "$work"
venv/bin/python - <<'PROGRAM'
import sys

import numpy as np
from catboost import CatBoostClassifier

draw = np.random.default_rng(0)
x = draw.normal(size=(400, 3))
three = np.digitize(x[:, 0], [-0.5, 0.5])
two = (x[:, 0] > 0).astype(int)
options = {"iterations": 20, "verbose": 0, "thread_count": 1, "allow_writing_files": False}

of_two = CatBoostClassifier(**options).fit(x, two).predict(x)
of_three = CatBoostClassifier(**options).fit(x, three).predict(x)
by_hand = float((of_three == three).mean())
true = float((of_three.ravel() == three).mean())

print("shapes, two classes:", of_two.shape, "three classes:", of_three.shape)
print(f"usual guess: (predict(x) == y).mean() is the accuracy, {true:.2f}")
print(f"what happens: it is {by_hand:.2f}")
as_stated = of_two.shape == (400,) and of_three.shape == (400, 1) and true > 0.9 and by_hand < 0.5
if not as_stated:
    sys.exit("no longer as stated")
PROGRAM
