#!/usr/bin/env bash
# scikit-learn 1.9.1, RandomForestClassifier.estimators_.
#
# Behaviour: the trees of a forest are trained on the places of the classes, 0.0,
# 1.0 and so on. predict() of such a tree gives these places, not the labels.
#
# Usual guess: each tree is a classifier of the same labels, so that votes can be
# counted and compared with y.
#
# Seen, labels 1 and 2: the forest is right for every row, its first tree is
# "right" for none of them. Label 2 is told as 1.0, and label 1 as 0.0.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1

cd "$work"
venv/bin/python - <<'PROGRAM'
import sys

import numpy as np
from sklearn.ensemble import RandomForestClassifier

draw = np.random.default_rng(0)
x = np.concatenate([draw.uniform(-2, -1, size=(100, 1)), draw.uniform(1, 2, size=(100, 1))])
y = np.repeat([1, 2], 100)
forest = RandomForestClassifier(10, random_state=0).fit(x, y)
tree = forest.estimators_[0]
told = tree.predict(x)
whole, alone = float((forest.predict(x) == y).mean()), float((told == y).mean())
named = float((forest.classes_[told.astype(int)] == y).mean())

print("classes of the forest", forest.classes_, "classes of its first tree", tree.classes_)
print(f"usual guess: the forest is right for {whole:.2f} of the rows, its first tree for about as many")
print(f"what happens: the first tree for {alone:.2f}; for {named:.2f} once its answers are taken for places")
if (whole, alone, named) != (1.0, 0.0, 1.0):
    sys.exit("no longer as stated")
PROGRAM
