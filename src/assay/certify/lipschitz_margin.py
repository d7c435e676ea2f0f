# SPDX-License-Identifier: Apache-2.0
"""Lipschitz margin: an ℓ2 radius within which a net's class stays, from its margin and its layers' norms."""

from __future__ import annotations

from typing import Any

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.types import Floats, Ints
from assay.cases.case import Case
from assay.engine.bounds.layer_graph import LayerGraph
from assay.engine.bounds.lipschitz import score_slopes, steepest_slopes
from assay.engine.bounds.margins import ROUNDING
from assay.engine.bounds.read_layers import read_layers
from assay.engine.certified_model import describe_model_itself
from assay.engine.cost import free
from assay.engine.declare import certifier
from assay.nouns.catalogue import Check
from assay.nouns.inputs.rows import to_floats
from assay.nouns.inputs.target import predicted_class


@certifier(
    source="leino2021",
    needs={"classes", "net", "numbers", "complete"},
    cost=free,
    checks=(
        Check(
            "CRT111",
            "How far is the class of a row proved to stay, by the Lipschitz constant of the net?",
            "Train with a bound of the Lipschitz constant, or use certify.bound_propagation, whose bounds are local.",
            claim="the class stays within an ℓ2 distance of {estimate:.3g} on average, by the net's Lipschitz constant",
            reads="radius",
        ),
    ),
)
def lipschitz_margin(case: Case, *, draws: int = 32) -> dict[str, Any]:
    """Certified ℓ2 radius: no change of the input of smaller norm changes the predicted class, anywhere.

    ``radius`` (row,) = min over the other classes j of (f_i − f_j) / K_ij, with i the predicted class, f the scores and
    K_ij = ‖w_i − w_j‖ · Π over the other layers of their spectral norms: a bound of how fast f_i − f_j can change, the
    same everywhere (Leino, Wang and Fredrikson 2021). Never above the distance of the nearest input of another class,
    which an attack (``attack.fmn``, ``attack.deepfool``) bounds from above. Of residual branches the norms add up.

    The spectral norms are proved upper bounds: of dense and small layers the largest singular value, of convolutions
    the largest over all frequencies of a grid in which they are embedded, or √(‖A‖₁ ‖A‖∞) if less. (Power iteration, as
    in the authors' code, is a lower bound until it has converged.) Products of norms are loose for nets that were not
    trained for it: extra["slope_bound"] (row,) is K_ij of the class that decides, extra["slope_found"] the steepest
    slope of the same difference that ``draws`` points within the radius show: the true local constant lies between.

    64 units in the last place of the largest score are subtracted for each layer from every margin, an allowance for
    the model's rounding. No model evaluation is counted.
    """
    if draws < 0:
        raise InputError(f"draws={draws}; 0 or more are needed.")
    if case.model.kind.threshold is not None or not case.model.kind.exclusive:
        raise CapabilityError("lipschitz_margin needs classes of which the highest score decides.")
    graph, x = read_layers(case), case.rows.x.double()
    labels = predicted_class(case.prediction, case.model.gives)
    ratios, bound = _ratios(case, graph, labels)
    rows, other = np.arange(len(case)), ratios.argmin(axis=1)
    radius = ratios[rows, other]
    near = labels if bound.shape[1] > 1 else np.zeros(len(case), dtype=np.int64)
    reach = np.where(np.isfinite(radius), radius, 0.0)
    found = steepest_slopes(graph, x, near, other, reach, draws, case.seed.child("lipschitz margin"))
    return {
        "bounds": {"radius": radius},
        "abstained": np.zeros(len(case), dtype=bool),
        "theorem": "a difference of scores changes by at most the product of the layers' spectral norms times the "
        "distance (Leino, Wang and Fredrikson 2021)",
        "assumptions": (
            "spectral norms are upper bounds computed in float64: singular values of dense layers, frequencies of "
            "convolutions",
            f"{ROUNDING:g} units in the last place of the largest score a layer are allowed for the model's rounding",
        ),
        "confidence": 1.0,
        "draws": 0,
        "guarantee": "exact",
        "unit": "the l2 norm of the change",
        **describe_model_itself(case),
        "extra": {"slope_bound": bound[rows, other], "slope_found": found, "runner_up": other.astype(float)},
    }


def _ratios(case: Case, graph: LayerGraph, labels: Ints) -> tuple[Floats, Floats]:
    """The margin over each other class divided by its slope bound (row, class), infinite for the class itself; bounds.

    Of one score, which has no other class, its size over its bound, (row, 1).
    """
    import torch

    x = case.rows.x.double()
    slopes = score_slopes(graph, x[:1])
    with torch.no_grad():
        scores = to_floats(graph(x))
    allowance = ROUNDING * torch.finfo(case.rows.x.dtype).eps * len(graph.steps) * np.abs(scores).max(axis=1)
    rows, single = np.arange(len(case)), scores.shape[1] == 1
    gaps = np.abs(scores) if single else scores[rows, labels][:, None] - scores
    bound = np.broadcast_to(slopes, scores.shape) if single else slopes[labels]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.nan_to_num(np.maximum(gaps - allowance[:, None], 0.0) / bound, nan=0.0, posinf=np.inf)
    if not single:
        ratios[rows, labels] = np.inf
    return ratios, bound
