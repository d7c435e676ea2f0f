#!/usr/bin/env bash
# LightGBM 4.7.0, fit(..., init_score=...).
#
# Behaviour: the model does not keep the score that it started from. predict() returns
# what the trees add to it, and has no option to give it. Nor do the trees
# hold the mean of the target, as they do without init_score.
#
# Usual guess: fit and predict agree: with init_score equal to a constant the
# predictions are those of the same model without it.
#
# Seen, mean of the target 99.87: mean prediction 99.87 without, 0.00 with init_score.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check lightgbm==4.7.0 scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1

cd "$work"
venv/bin/python - <<'PROGRAM'
import sys

import numpy as np
from lightgbm import LGBMRegressor

draw = np.random.default_rng(0)
x = draw.normal(size=(500, 3))
y = 100.0 + x[:, 0] + 0.1 * draw.normal(size=500)
options = {"n_estimators": 50, "verbose": -1, "n_jobs": 1}
plain = LGBMRegressor(**options).fit(x, y)
begun = LGBMRegressor(**options).fit(x, y, init_score=np.full(500, y.mean()))
one, two = float(plain.predict(x).mean()), float(begun.predict(x).mean())

print(f"mean of the target {y.mean():.2f}")
print(f"usual guess: the mean prediction is about {y.mean():.0f}, with and without init_score")
print(f"what happens: {one:.2f} without, {round(two, 2) + 0.0:.2f} with init_score; R2 {plain.score(x, y):.2f} and {begun.score(x, y):.0f}")
as_stated = abs(one - y.mean()) < 1 and abs(two) < 1
if not as_stated:
    sys.exit("no longer as stated")
PROGRAM
