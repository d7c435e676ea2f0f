#!/usr/bin/env bash
# LightGBM 4.7.0, Booster.dump_model().
#
# Behaviour: a split that parts missing values from all numbers has the threshold
# infinity. The model's text says "inf". dump_model() says 1e+300, a number. The
# library itself sends every number to the left, infinity too.
#
# Usual guess: dump_model() has the thresholds that predict() compares with, so
# that walking the dump by hand gives the prediction of each row that is allowed.
#
# Seen for the row "infinity" (say a ratio with 0 below): predict() 1.0 as for
# every number, the walk 0.0 as for a missing value.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check lightgbm==4.7.0 scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1

cd "$work"
venv/bin/python - <<'PROGRAM'
import math
import sys

import lightgbm as lgb
import numpy as np

draw = np.random.default_rng(0)
x = np.concatenate([np.full(200, np.nan), draw.choice([-2.0, -1.0, 1.0, 2.0], 200)])[:, None]
y = np.isfinite(x[:, 0]).astype(float)
model = lgb.LGBMRegressor(n_estimators=1, num_leaves=2, learning_rate=1.0, verbose=-1, n_jobs=1).fit(x, y).booster_
root = model.dump_model()["tree_info"][0]["tree_structure"]
text = next(line for line in model.model_to_string().splitlines() if line.startswith("threshold="))


def walk(node, value):
    """The value of the leaf that the dump sends a number to."""
    while "leaf_value" not in node:
        left = node["default_left"] if math.isnan(value) else value <= node["threshold"]
        node = node["left_child" if left else "right_child"]
    return node["leaf_value"]


print("model as text:", text, "| dump_model():", root["threshold"], root["decision_type"])
seen = {}
for value in (math.nan, 1.0, math.inf):
    seen[str(value)] = walk(root, value), float(model.predict([[value]])[0])
    print(f"row {value}: walk over the dump (usual guess) {seen[str(value)][0]:.1f}, predict() {seen[str(value)][1]:.1f}")
as_stated = (
    text == "threshold=inf"
    and root["threshold"] == 1e300
    and seen == {"nan": (0.0, 0.0), "1.0": (1.0, 1.0), "inf": (0.0, 1.0)}
)
if not as_stated:
    sys.exit("no longer as stated")
PROGRAM
