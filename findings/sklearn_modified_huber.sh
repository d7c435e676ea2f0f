#!/usr/bin/env bash
# scikit-learn 1.9.1, SGDClassifier(loss="modified_huber"), three classes.
#
# Behaviour: each class's score is cut to [-1, 1] before it becomes a probability. All
# scores below -1 give 1/3 each, all above 1 the same probability.
#
# Usual guess: predict_proba() gives probabilities between 0 and 1 whose highest
# belongs to the predicted class.
#
# Seen on 2,000 rows not used for fitting, accuracy 0.92: 97 % have a probability of exactly
# 0 or 1, 3.4 % give their true class exactly 0, and on 3.3 % the highest probability is
# not that of the predicted class.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1

cd "$work"
venv/bin/python - <<'PROGRAM'
import sys

import numpy as np
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss

draw = np.random.default_rng(0)
centres = 1.5 * draw.normal(size=(3, 10))
y = draw.integers(0, 3, 4000)
x = centres[y] + 1.5 * draw.normal(size=(4000, 10))
x = (x - x.mean(axis=0)) / x.std(axis=0)
model = SGDClassifier(loss="modified_huber", random_state=0).fit(x[:2000], y[:2000])
rows, truth = x[2000:], y[2000:]
chance, chosen = model.predict_proba(rows), model.predict(rows)

extreme = float(((chance == 0) | (chance == 1)).any(axis=1).mean())
impossible = float((chance[np.arange(2000), truth] == 0).mean())
other = float((chance.argmax(axis=1) != chosen).mean())
print(f"accuracy {model.score(rows, truth):.2f}")
print("usual guess: probabilities strictly between 0 and 1, the highest that of the predicted class")
print(f"what happens: {extreme:.0%} of the rows have a probability of exactly 0 or 1")
print(f"what happens: {impossible:.1%} give the true class exactly 0, log loss {log_loss(truth, chance):.2f}")
print(f"what happens: on {other:.1%} of the rows argmax of the probabilities is not the predicted class")
as_stated = extreme > 0.5 and impossible > 0.01 and other > 0.01
if not as_stated:
    sys.exit("no longer as stated")
PROGRAM
