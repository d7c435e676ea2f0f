#!/usr/bin/env bash
# XGBoost 3.2.0, objective "binary:logitraw".
#
# Behaviour: predict_proba() returns the raw score s as (1 - s, s). predict() decides
# for class 1 from a score of 0.5 on, not 0. The intercept that XGBoost finds is the
# share of class 1 itself, used as if it were a score.
#
# Usual guess: the model is that of "binary:logistic". Only the margin comes back
# unchanged, and predict() decides at a probability of 0.5, that is, at a score of 0.
#
# Seen, share of class 1 0.21: "probabilities" from -3.05 to 4.05. predict() says 1
# on fewer rows than have a positive score. The score before the first tree is 0.21
# (a probability of 0.55), with "binary:logistic" -1.30 (a probability of 0.21).
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check xgboost-cpu==3.2.0 scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1

cd "$work"
venv/bin/python - <<'PROGRAM'
import sys

import numpy as np
import xgboost as xgb

draw = np.random.default_rng(0)
x = draw.normal(size=(500, 3))
y = (x[:, 0] + draw.normal(size=500) > 1).astype(int)
options = {"n_estimators": 10, "max_depth": 2, "n_jobs": 1}
model = xgb.XGBClassifier(objective="binary:logitraw", **options).fit(x, y)
score, chance = model.predict(x, output_margin=True), model.predict_proba(x)


def start(objective):
    """The score before the first tree: a step of size 0."""
    still = xgb.XGBClassifier(objective=objective, n_estimators=1, learning_rate=0.0, n_jobs=1).fit(x, y)
    return float(still.predict(x[:1], output_margin=True)[0])


raw, logistic = start("binary:logitraw"), start("binary:logistic")
positive, decided = int((score > 0).sum()), int(model.predict(x).sum())
print(f"share of class 1: {y.mean():.3f}")
print("usual guess: probabilities in [0, 1]; class 1 where the score is positive; both objectives start alike")
print(f"what happens: predict_proba() from {chance.min():.2f} to {chance.max():.2f}")
print(f"what happens: {positive} rows have a positive score, {decided} are predicted as 1")
print(f"what happens: the first score is {raw:.2f}, with binary:logistic {logistic:.2f}")
at_half = bool((model.predict(x) == (score > 0.5)).all())
as_stated = chance.min() < -0.5 and at_half and decided < positive and abs(raw - y.mean()) < 1e-3 and logistic < -1
if not as_stated:
    sys.exit("no longer as stated")
PROGRAM
