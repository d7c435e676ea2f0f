"""How closely peers agree, as figures. Writes bench/peers.md (make peers)."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import captum.attr as attr  # found only once the folder is on the path
import shap  # as above
from bench.report import table, write  # as above
from tests.contract.subjects import ROWS, curved, net, neural, plain  # as above

import assay  # as above
from assay import explain  # as above


def gap(ours: object, theirs: object) -> str:
    """The largest difference, and how large the values are."""
    a, b = np.asarray(ours), np.asarray(theirs)
    return f"{np.abs(a - b).max():.1e} (values to {np.abs(a).max():.2g})"


def main() -> None:
    """Compare and write."""
    case, module = neural(), net()
    x = case.rows.x.clone().requires_grad_(True)
    background = np.random.default_rng(3).normal(size=(7, 4))
    exact = explain.shapley(plain(), remove=assay.Marginal(background)).values
    masker = shap.maskers.Independent(background, max_samples=100)
    theirs = {
        "integrated_gradients · captum, gausslegendre": (
            explain.integrated_gradients(case, steps=24).values,
            attr.IntegratedGradients(module).attribute(x, target=1, n_steps=24).detach(),
        ),
        "saliency · captum": (explain.saliency(case).values, attr.Saliency(module).attribute(x, target=1).detach()),
        "input_x_gradient · captum": (
            explain.input_x_gradient(case).values,
            attr.InputXGradient(module).attribute(x, target=1).detach(),
        ),
        "occlusion · captum FeatureAblation": (
            explain.occlusion(case, remove=assay.Constant(0.0)).values,
            attr.FeatureAblation(module).attribute(case.rows.x, target=1).detach(),
        ),
        "shapley · shap Exact": (exact, shap.explainers.Exact(curved, masker)(ROWS).values),
        "shapley · shap KernelExplainer, 2⁴ coalitions, l1_reg=False": (
            exact,
            shap.KernelExplainer(curved, background).shap_values(ROWS, nsamples=16, l1_reg=False, silent=True),
        ),
        "shapley · shap Permutation, 2,000 evaluations": (
            exact,
            shap.explainers.Permutation(curved, masker, seed=0)(ROWS, max_evals=2000).values,
        ),
    }
    rows = [[name, gap(*pair)] for name, pair in theirs.items()]
    told = "Float64 throughout; captum rounds the nodes of its integrated gradients to float32."
    write("peers", "Agreement with peers", told, table(["ours · theirs", "largest difference"], rows))


if __name__ == "__main__":
    main()
