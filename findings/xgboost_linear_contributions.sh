#!/usr/bin/env bash
# XGBoost 3.2.0, booster "gblinear", predict(pred_contribs=True).
#
# Behaviour: the contribution of a column is weight times value, and the last
# column is the intercept. Nothing is measured from the mean of the data.
#
# Usual guess: these are SHAP values, as for trees: weight times (value - mean),
# and the last column is the mean prediction.
#
# Seen for a row at the mean of the data, with weights near 2 and -1 and column
# means near 10: the guess is (0, 0) with base 9.84; what comes is (19.69, -10.70)
# with base 0.85.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check xgboost-cpu==3.2.0 numpy==2.4.6 scipy==1.17.1

cd "$work"
venv/bin/python - <<'PROGRAM'
import sys

import numpy as np
import xgboost as xgb

draw = np.random.default_rng(0)
x = draw.normal(size=(500, 2)) + 10.0
y = x @ [2.0, -1.0]
rows = xgb.DMatrix(x, label=y)
options = {"booster": "gblinear", "updater": "coord_descent", "lambda": 0.0, "eta": 1.0, "nthread": 1}
model = xgb.train(options, rows, 500)

mean = x.mean(axis=0, keepdims=True)
said = model.predict(xgb.DMatrix(mean), pred_contribs=True)[0]
weight = model.get_score(importance_type="weight")
weight = np.array([weight["f0"], weight["f1"]])
average = float(model.predict(rows).mean())

print("weights", weight.round(3), "means of the columns", mean[0].round(3))
print("the row at the mean, usual guess: contributions [0. 0.], base", round(average, 2))
print("the row at the mean, what happens: contributions", said[:2].round(2), "base", said[2].round(2))
as_stated = np.allclose(said[:2], weight * mean[0], atol=1e-3) and abs(said[2] - average) > 5
if not as_stated:
    sys.exit("no longer as stated")
PROGRAM
