#!/usr/bin/env bash
# LightGBM 4.7.0, boost_from_average (on by default), regression.
#
# Behaviour: the model has no intercept. The mean of the target is written into
# the leaves of the first tree.
#
# Usual guess: the mean is stored separately from the trees, so that all trees are small
# corrections, and a prediction without the first tree is still near the mean.
#
# Seen, mean of the target 100.48: leaves of the first tree 100.38 to 100.57, those
# of the others at most 0.08 in size. predict() is 101.33 for a row, and
# predict(start_iteration=1) is 0.76.
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
y = 100.0 + (x[:, 1] > 0) + 0.5 * np.sin(5 * x[:, 0])
model = lgb.LGBMRegressor(n_estimators=20, verbose=-1, n_jobs=1).fit(x, y).booster_
row = x[[int(np.argmax(y))]]


def leaves(node):
    """The values of the leaves below a node."""
    if "leaf_value" in node:
        return [node["leaf_value"]]
    return leaves(node["left_child"]) + leaves(node["right_child"])


trees = [leaves(tree["tree_structure"]) for tree in model.dump_model()["tree_info"]]
later = max(abs(value) for tree in trees[1:] for value in tree)
whole = float(model.predict(row)[0])
without = float(model.predict(row, start_iteration=1)[0])

print(f"mean of the target {y.mean():.2f}, prediction {whole:.2f}")
print("usual guess: all leaves are small, and without the first tree the prediction is about 100")
print(f"what happens: first tree {min(trees[0]):.2f} to {max(trees[0]):.2f}, later leaves at most {later:.2f} in size")
print(f"what happens: without the first tree the prediction is {without:.2f}")
as_stated = min(trees[0]) > 90 and later < 1 and without < 10 and whole > 90
if not as_stated:
    sys.exit("no longer as stated")
PROGRAM
