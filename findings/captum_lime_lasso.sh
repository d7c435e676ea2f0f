#!/usr/bin/env bash
# captum 0.9.0, captum.attr.Lime with its default settings.
#
# Behaviour: the default surrogate is a lasso with alpha = 0.01. It takes about
# 0.04 off every effect, and what is smaller becomes exactly 0. No warning.
#
# Usual guess: a linear model gets its own coefficients, whatever their scale.
#
# Seen for a model with the effects 0.03, 0.05, 0.10 and -0.03 (a probability, say):
# 0, 0.010, 0.055 and 0. With SkLearnLinearRegression() all four are right.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 captum==0.9.0 scikit-learn==1.9.1 numpy==2.4.6

cd "$work"
venv/bin/python - <<'PROGRAM'
import sys

import torch
from captum._utils.models.linear_model import SkLearnLinearRegression
from captum.attr import Lime

torch.set_num_threads(1)
effects = torch.tensor([0.03, 0.05, 0.10, -0.03])


def model(x):
    """Linear: half, and the effects of what is there."""
    return 0.5 + x @ effects


def told(**options):
    """The attributions of a row of ones, against zeros."""
    torch.manual_seed(0)
    return Lime(model, **options).attribute(torch.ones(1, 4), n_samples=500)[0]


default, plain = told(), told(interpretable_model=SkLearnLinearRegression())
print("usual guess:                  ", [round(v, 3) for v in effects.tolist()])
print("what happens:                 ", [round(v, 3) for v in default.tolist()])
print("with SkLearnLinearRegression: ", [round(v, 3) for v in plain.tolist()])
as_stated = (
    torch.allclose(plain, effects, atol=1e-4)
    and default[0] == 0
    and default[3] == 0
    and bool((effects[1:3] - default[1:3] > 0.03).all())
)
if not as_stated:
    sys.exit("no longer as stated")
PROGRAM
