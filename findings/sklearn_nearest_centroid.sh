#!/usr/bin/env bash
# scikit-learn 1.9.1, NearestCentroid.
#
# Behaviour: with equal priors predict() takes the nearest centroid in the units of
# the columns. predict_proba(), decision_function(), and predict() itself with any
# other priors, first divide each column by its spread within the classes.
#
# Usual guess: predict() is the class of the highest probability, and priors of
# 0.499 and 0.501 give almost the same predictions as 0.5 and 0.5.
#
# Seen, two columns with spreads 1 and 100, classes 150 and 150: accuracy of predict()
# 0.52 with priors 0.5 and 0.5, and 0.81 with 0.499 and 0.501. With equal priors the
# most probable class is the predicted one on 50 % of the rows.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1

cd "$work"
venv/bin/python - <<'PROGRAM'
import sys

import numpy as np
from sklearn.neighbors import NearestCentroid

draw = np.random.default_rng(0)
y = np.repeat([0, 1], 150)
x = np.stack([2.0 * y + draw.normal(size=300), 100.0 * draw.normal(size=300)], axis=1)

equal = NearestCentroid(priors=[0.5, 0.5]).fit(x, y)
almost = NearestCentroid(priors=[0.499, 0.501]).fit(x, y)
likeliest = equal.classes_[equal.predict_proba(x).argmax(axis=1)]
agree = float((likeliest == equal.predict(x)).mean())
one, two = equal.score(x, y), almost.score(x, y)

print("usual guess: the most probable class is the predicted one on all rows, and the two accuracies are about equal")
print(f"what happens: it is the predicted one on {agree:.0%} of the rows")
print(f"what happens: accuracy {one:.2f} with priors 0.5 and 0.5, {two:.2f} with 0.499 and 0.501")
as_stated = agree < 0.6 and two > one + 0.2
if not as_stated:
    sys.exit("no longer as stated")
PROGRAM
