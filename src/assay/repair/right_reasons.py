# SPDX-License-Identifier: Apache-2.0
"""Right for the right reasons: training of a net not to depend on what should not matter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from assay.basics.errors import AssayError, InputError
from assay.basics.optional import need
from assay.basics.seed import Seed
from assay.basics.types import Array, Masks
from assay.cases.case import Case
from assay.engine.audit_inputs import AuditInputs
from assay.engine.declare import repairer
from assay.engine.performance.change_by_intervention import compare_under_intervention
from assay.engine.performance.change_of_training import fine_tuning_cost
from assay.engine.performance.held_out import overlap_notes
from assay.engine.retraining.fine_tuning import fine_tuned_model, plain_loss, require_pair, row_losses
from assay.engine.retraining.labelled_rows import model_outputs, read_like, true_labels
from assay.engine.retraining.last_layer import last_layer_retrained
from assay.engine.shortcuts.artefacts import MaskLike
from assay.engine.shortcuts.found_artefacts import irrelevant_masks
from assay.model.model import Model
from assay.nouns.inputs.rows import to_floats
from assay.nouns.inputs.target import log_probabilities
from assay.nouns.results.finding import Finding
from assay.nouns.results.result import Note

SWAPPED = "with the cue of another row"
"""How the numbers are named on rows whose irrelevant elements come from other rows."""


def _proposals(inputs: AuditInputs, findings: Sequence[Finding]) -> list[Mapping[str, Any]]:
    """One attempt for each region or column that a failed finding names."""
    return [{"irrelevant": mask} for mask in irrelevant_masks(inputs, findings)]


@repairer(
    source="ross2017",
    needs={"gradient", "net", "classes", "numbers", "train", "labels"},
    answers=("SHC201", "SHC202", "SHC301"),
    side_effects="The net is another one: accuracy falls where the cue was right, and the net can turn to another cue "
    "or depend on this one where its gradient does not show it.",
    proposals=_proposals,
    audit_cost=lambda inputs: fine_tuning_cost(inputs, passes=8) * 4,
)
def right_reasons(
    case: Case,
    *,
    train: tuple[Any, Any],
    held_out: tuple[Any, Any],
    irrelevant: MaskLike,
    strength: float = 10.0,
    epochs: int = 20,
    batch: int = 64,
    rate: float = 3e-3,
    train_rows: int = 5000,
) -> Mapping[str, Any]:
    """A net fine-tuned so that its probabilities do not change with elements that should not matter.

    min over weights of the mean over rows of ℓ + strength · Σ_d (A_d s_d ∂/∂x_d mean_k log p_k)² (Ross, Hughes and
    Doshi-Velez 2017, who sum over the K classes: their λ is strength · s² / K²). ℓ is the cross-entropy of the label
    and A, ``irrelevant``, a mask of elements that should not matter: one for all rows (*shape), one for each training
    row, or names of columns ("a,b"). s is the standard deviation of the column in the training rows of a table, else
    that of all elements, so that ``strength`` has no unit; it grows from 0 in the first half of the training, since the
    whole penalty would first make a net constant that is sure of its classes. A copy of the net is trained on
    ``train``, at most ``train_rows``, for ``epochs`` by Adam with learning rate ``rate``, in evaluation mode.

    A small gradient at the rows is no proof: the cue can act through saturation. So the repair is measured by an
    intervention. ``before`` and ``after`` are accuracy on ``held_out`` as they are, and after the irrelevant elements
    (those of any training row, with a mask for each) were replaced by those of another row, with limits at 95 %; notes
    have the paired differences, and the same of plain fine-tuning (strength 0). ``baseline`` is the net whose last
    linear layer alone is retrained on training rows with the cue of other rows. Too large a strength makes the net
    underfit. The gradient of the log-probability of the label alone, used in its place, vanishes where the net is sure.
    """
    if not 0 < strength < float("inf") or epochs < 1 or batch < 1 or train_rows < 1:
        raise InputError(
            f"strength={strength}, epochs={epochs}, batch={batch}, train_rows={train_rows}; needed are a finite "
            f"strength above 0, and at least 1 of each."
        )
    require_pair("train", train)
    require_pair("held_out", held_out)
    seed = case.seed.child("right reasons")
    rows, labels, mask = _taught(case, train, irrelevant, train_rows, seed)
    fitting: dict[str, Any] = {"epochs": epochs, "batch": batch, "rate": rate, "seed": seed}
    taught = rows, [case.model.classes[one] for one in labels] if case.model.classes else labels
    model = fine_tuned_model(
        case,
        taught,
        _penalised(case.model, rows, mask, strength, epochs * -(-len(rows) // batch)),
        name="trained for the right reasons",
        **fitting,
        marks=mask,
    )
    simple = fine_tuned_model(case, taught, plain_loss(case.model), name="fine-tuned", **fitting)
    every = np.asarray(mask.any(axis=0))
    swapped = swap_elements(read_like(case, held_out[0]), every, seed.child("held-out"))
    before, after, notes = compare_under_intervention(case, model, held_out, swapped, SWAPPED)
    plain = compare_under_intervention(case, simple, held_out, swapped, SWAPPED)[1]
    rates = f"accuracy {plain['accuracy']:.4g}, {SWAPPED} {plain[f'accuracy {SWAPPED}']:.4g}"
    notes.append(Note("plain-fine-tuning", f"the same training with strength 0: {rates}"))
    baseline, text, why = _baseline(case, swap_elements(rows, every, seed.child("training")), labels, fitting)
    return {
        "model": model,
        "change": f"fine-tuned for {epochs} epochs on {len(rows)} rows with a penalty of {strength:g} on the gradient "
        f"by {int(every.sum())} of {every.size} elements",
        "before": before,
        "after": after,
        "baseline": baseline,
        "baseline_change": text,
        "notes": (*overlap_notes(train[0], held_out[0]), *notes, *why),
    }


def _taught(case: Case, train: Any, irrelevant: Any, most: int, seed: Seed) -> tuple[Array, Any, Masks]:
    """At most so many training rows in the case's form, their class positions, and the masks."""
    rows = read_like(case, train[0])
    mask = _mask(irrelevant, case, len(rows))
    labels = np.asarray(true_labels(case.model, train[1], len(rows), model_outputs(case, rows)))
    if len(rows) <= most:
        return rows, labels, mask
    chosen = np.sort(seed.child("training rows").generator().permutation(len(rows))[:most])
    return rows[chosen], labels[chosen], mask if len(mask) == 1 else mask[chosen]


def swap_elements(x: Array, mask: Masks, seed: Seed) -> Array:
    """Rows whose elements under the mask (*shape) are those of another row, the same for all of them."""
    order = seed.generator().permutation(len(x))
    xp = array_namespace(x)
    where = xp.asarray(np.broadcast_to(mask, x.shape).copy())
    return xp.where(where, x[order], x)


def _mask(given: Any, case: Case, rows: int) -> Masks:
    """The mask as truth values (1 or row, *shape); ``InputError`` where it does not fit, or names nothing."""
    names = [one.strip() for one in given.split(",")] if isinstance(given, str) else given
    if isinstance(names, list | tuple) and names and all(isinstance(one, str) for one in names):
        return _named(names, case)
    try:
        mask = np.asarray(to_floats(given) if hasattr(given, "shape") else given)
        is_mask = bool(np.isin(mask, (0, 1)).all())
    except (TypeError, ValueError) as error:
        raise InputError(f"irrelevant={type(given).__name__} is no mask of true and false elements.") from error
    mask = mask[None] if mask.shape == case.rows.shape else mask
    if mask.shape not in ((1, *case.rows.shape), (rows, *case.rows.shape)) or not is_mask or not mask.any():
        raise InputError(
            f"irrelevant has shape {mask.shape}; needed is a mask of shape {case.rows.shape}, or one for each of the "
            f"{rows} training rows, that is true somewhere."
        )
    return mask.astype(bool)


def _named(names: Sequence[str], case: Case) -> Masks:
    """The mask (1, *shape) of elements with these names."""
    known = case.features.names
    absent = [name for name in names if name not in known]
    if absent:
        raise InputError(f"irrelevant: there is no element {absent[0]!r}; there are {list(known[:8])}.")
    parts = [known.index(name) for name in names]
    return np.isin(case.features.index, parts).reshape(1, *case.rows.shape)


def _penalised(model: Model, rows: Array, mask: Masks, strength: float, steps: int) -> Callable[..., Any]:
    """The mean loss of a batch with its penalty, whose weight grows over half of the steps."""
    pt = need("torch", extra="torch")
    values = to_floats(rows)
    spread = values.std(axis=0) if values.ndim == 2 else values.std()
    reach = (strength * min(1.0, 2 * number / steps) for number in count(1))
    scale = pt.as_tensor(np.asarray(spread), dtype=rows.dtype, device=rows.device)

    def loss(outputs: Callable[[Any], Any], x: Any, own: tuple[Any, Any]) -> Any:
        labels, marks = own
        x = x.detach().requires_grad_(True)
        found = outputs(x)
        slope = pt.autograd.grad(log_probabilities(found, model.gives).mean(dim=1).sum(), x, create_graph=True)[0]
        penalty = (slope * scale * marks).flatten(1).square().sum(dim=1).mean()
        return row_losses(found, labels, model).mean() + next(reach) * penalty

    return loss


def _baseline(
    case: Case, rows: Array, labels: Any, fitting: Mapping[str, Any]
) -> tuple[Model | None, str, tuple[Note, ...]]:
    try:
        model = last_layer_retrained(case, rows, labels, name="last layer retrained", **fitting)
    except AssayError as error:
        return None, "", (Note("no-baseline", f"the last layer was not retrained: {error}"),)
    return model, "last linear layer retrained on training rows with the cue of other rows", ()
