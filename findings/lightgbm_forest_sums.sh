#!/usr/bin/env bash
# LightGBM 4.7.0, boosting_type "rf" (random forest).
#
# Behaviour: predict() is the mean over the trees. predict(raw_score=True) and
# predict(pred_contrib=True) are the sum over the trees.
#
# Usual guess: for plain regression the raw score is the prediction, and the
# contributions add up to it. For two classes the raw score is the log-odds.
#
# Seen, 20 trees: prediction 8.30, raw score 166.01, sum of contributions 166.01.
# Two classes: log-odds 2.00, raw score 40.02.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check lightgbm==4.7.0 scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1

cd "$work"
venv/bin/python - <<'PROGRAM'
import sys

import lightgbm as lgb
import numpy as np

draw = np.random.default_rng(0)
x = draw.normal(size=(500, 2))
y = 5.0 + 3.0 * (x[:, 1] > 0) + 0.5 * np.sin(5 * x[:, 0])
options = {"boosting_type": "rf", "n_estimators": 20, "subsample": 0.6, "subsample_freq": 1}
options |= {"verbose": -1, "n_jobs": 1, "random_state": 0}
row = x[[int(np.argmax(y))]]

model = lgb.LGBMRegressor(**options).fit(x, y)
value = float(model.predict(row)[0])
raw = float(model.predict(row, raw_score=True)[0])
shares = float(model.predict(row, pred_contrib=True)[0].sum())

classes = lgb.LGBMClassifier(**options).fit(x, y > 6)
p = float(classes.predict_proba(row)[0, 1])
odds = float(np.log(p / (1 - p)))
margin = float(classes.predict(row, raw_score=True)[0])

print(f"regression, usual guess: raw score and sum of contributions are the prediction, {value:.2f}")
print(f"regression, what happens: raw score {raw:.2f}, sum of contributions {shares:.2f}")
print(f"two classes, usual guess: raw score is the log-odds of predict_proba, {odds:.2f}")
print(f"two classes, what happens: raw score {margin:.2f}")
as_stated = (
    np.isclose(raw, 20 * value) and np.isclose(shares, 20 * value) and np.isclose(margin, 20 * odds) and value > 1
)
if not as_stated:
    sys.exit("no longer as stated")
PROGRAM
