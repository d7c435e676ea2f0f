#!/usr/bin/env bash
# XGBoost 3.2.0, booster "dart".
#
# Behaviour: training with dropout gives every tree a weight. predict() uses the
# weights. trees_to_dataframe() and get_dump() show the leaves without them.
#
# Usual guess: the leaves that a row reaches add up to its margin, as they do for
# the booster "gbtree".
#
# Seen: gbtree: leaves 2.892, margin 2.892. dart: leaves 6.884, margin 2.339.
# With the weights of the saved model, the leaves of dart add up to 2.339, too.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check xgboost-cpu==3.2.0 pandas==3.1.1 numpy==2.4.6 scipy==1.17.1

cd "$work"
venv/bin/python - <<'PROGRAM'
import json
import sys

import numpy as np
import xgboost as xgb

draw = np.random.default_rng(0)
x = draw.normal(size=(500, 2))
y = 3.0 * (x[:, 1] > 0) + 0.5 * np.sin(5 * x[:, 0])
rows = xgb.DMatrix(x, label=y)
one = int(np.argmax(y))


def told(booster, **options):
    """The leaves that one row reaches, and the margin of this row."""
    given = {"booster": booster, "max_depth": 2, "base_score": 0.0, "seed": 1, "nthread": 1, **options}
    model = xgb.train(given, rows, 10)
    table = model.trees_to_dataframe()
    leaf = {(r.Tree, r.Node): r.Gain for r in table[table.Feature == "Leaf"].itertuples()}
    reached = model.predict(rows, pred_leaf=True)[one]
    values = np.array([leaf[tree, int(node)] for tree, node in enumerate(reached)])
    return model, values, float(model.predict(rows, output_margin=True)[one])


_, plain, plain_margin = told("gbtree")
model, dropped, margin = told("dart", rate_drop=0.5)
saved = json.loads(model.save_raw("json"))
weights = np.array(saved["learner"]["gradient_booster"]["weight_drop"])

print(f"gbtree: leaves {plain.sum():.3f}, margin {plain_margin:.3f}")
print(f"dart, usual guess: leaves {dropped.sum():.3f} = margin")
print(f"dart, what happens: margin {margin:.3f}, leaves times weights {dropped @ weights:.3f}")
as_stated = (
    abs(plain.sum() - plain_margin) < 1e-4
    and abs(dropped @ weights - margin) < 1e-4
    and abs(dropped.sum() - margin) > 1
)
if not as_stated:
    sys.exit("no longer as stated")
PROGRAM
