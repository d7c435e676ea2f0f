#!/usr/bin/env bash
# shap 0.51.0, shap.kmeans(), the usual way to make a small background.
#
# Behaviour: each coordinate of a centre is moved to the nearest value that is in
# the data (round_values=True by default). A flag that less than half of each
# cluster has is 0 in every centre.
#
# Usual guess: k-means keeps the weighted mean of the data, so that the base value
# of a linear model is its mean prediction.
#
# Seen for the model 10 * flag, where one row of five has the flag: base 0.0 and
# share 10.0; with the true mean they are 2.0 and 8.0, as with round_values=False.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check shap==0.51.0 scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1

cd "$work"
venv/bin/python - <<'PROGRAM'
import sys

import numpy as np
import shap

draw = np.random.default_rng(0)
flag = np.arange(400) % 5 == 0
x = np.column_stack([10 * draw.normal(size=(400, 3)), flag])


def model(rows):
    """A model that reads the flag alone."""
    return 10.0 * rows[:, 3]


def told(**options):
    """The base value, and the share of the flag in a row that has it."""
    explainer = shap.KernelExplainer(model, shap.kmeans(x, 10, **options))
    return float(explainer.expected_value), float(explainer.shap_values(x[:1], silent=True)[0, 3])


mean = float(model(x).mean())
(base, share), (exact, exact_share) = told(), told(round_values=False)
print(f"usual guess: base {mean:.2f}, share of the flag {10 - mean:.2f}")
print(f"what happens: base {base:.2f}, share of the flag {share:.2f}")
print(f"with round_values=False: base {exact:.2f}, share of the flag {exact_share:.2f}")
as_stated = np.allclose([base, share, exact, exact_share], [0.0, 10.0, mean, 10.0 - mean])
if not as_stated:
    sys.exit("no longer as stated")
PROGRAM
