# SPDX-License-Identifier: Apache-2.0
"""Fine-tuning of a net on masked inputs, so that the model smoothed over masks stays accurate."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from assay.basics.errors import CapabilityError, InputError
from assay.basics.fingerprint import digest
from assay.basics.paired_tests import paired_rate_interval
from assay.basics.seed import Seed
from assay.basics.stats import clopper_pearson
from assay.basics.types import Floats, Ints, Masks
from assay.cases.case import Case
from assay.cases.fast_path import fast_path
from assay.cases.new_case import case as ask
from assay.cases.removals import Constant, Mean, Removal
from assay.engine.declare import repairer
from assay.engine.feature_sets.smoothed_scores import smoothed_scores
from assay.engine.performance.held_out import overlap_notes
from assay.engine.removal.text_removal import text_removal
from assay.engine.retraining.fine_tuning import fine_tune, row_losses
from assay.engine.retraining.labelled_rows import true_labels
from assay.model.adapters.torch import net_fingerprint
from assay.model.model import Model
from assay.model.transformations.frozen_masks import QuantisedMasks
from assay.nouns.inputs.target import predicted_class
from assay.nouns.results.result import Note

if TYPE_CHECKING:
    import torch as pt

FILLS = ("Constant", "Mean", "Blur")
"""Removals with one filling that does not depend on the other rows of a batch."""


@repairer(source="xue2023", needs={"net", "classes", "labels", "train"})
def masked_training(
    case: Case,
    *,
    train: tuple[Any, Any],
    held_out: tuple[Any, Any],
    smoothing: tuple[float, ...] = (0.5, 0.25, 0.125),
    q: int = 16,
    votes: bool = True,
    remove: Removal | None = None,
    share: float | None = None,
    epochs: int = 5,
    rate: float = 1e-3,
    batch: int = 64,
) -> Mapping[str, Any]:
    """A net fine-tuned on masked inputs, and the accuracy of the net and of its smoothed model before and after.

    The loss of a batch is the cross-entropy at the rows plus that at masked copies of them. In each step every row gets
    new random masks over the features of the case: each feature is kept with a probability that is uniform in (0, 1)
    and drawn for each row. With a ``share`` λ there are two masks a row, as in the code of Xue et al. (2023): random
    subsets of round(λn + u) and round(λn/2 + u) of the row's n features, u uniform in [−1, 1], and the masked loss is
    the mean of both. Absent features are filled by ``remove``: Constant, Mean or Blur; by default zeros, the mean of
    the training rows of a table, and the mask token of a text net. The embeddings of tokens stay as they are.

    The net is a copy in evaluation mode (batch norms keep their statistics, dropout is off), trained by Adam for
    ``epochs`` at ``rate``, which falls along half a cosine; the same arguments give the same bytes. ``rate`` is for
    small nets; large pretrained ones need 1e-5 or less (the authors: 1e-6).

    ``held_out`` are rows and labels not used in training. ``before`` and ``after`` have the accuracy there ("accuracy")
    and that of the model smoothed over ``q`` masks at each λ of ``smoothing`` ("smoothed accuracy, λ = 1/4"), with
    Clopper–Pearson limits at 95 %; notes have the paired differences, and the accuracies after the same training on the
    rows without masks, which show what the masks add. The masks are those of ``certify.mus`` with this
    case's seed. Votes of masks with few features collapse to one class in a net that was not trained on masked inputs;
    ``votes=False`` averages probabilities, which lose less and are certified less far.
    """
    remove, chosen = _removal(case, remove, train)
    _check_share(share)
    taught, truth = _labelled(case, train, "train")
    test, test_truth = _labelled(case, held_out, "held_out")
    noises = [QuantisedMasks.draw(len(test.features), one, q, case.seed) for one in smoothing]
    loss = _MaskedLoss(taught, remove, share, case.seed.child("masked training"))
    model, control = (_trained(case.model, one, truth, epochs, batch, rate, case.seed) for one in (loss, loss.control))
    rows = (test, replace(test, model=model), replace(test, model=control))
    *hits, unmasked = (_hits(one, remove, noises, test_truth, votes) for one in rows)
    before, after = (_metrics(found) for found in hits)
    text = "uniform in (0, 1)" if share is None else f"{share:g} and {share / 2:g}"
    return {
        "model": model,
        "change": (
            f"fine-tuned for {epochs} epochs on {len(taught)} rows and masked copies of them, share of features kept "
            f"{text}, absent ones filled by {remove!r}"
        ),
        "before": before,
        "after": after,
        "notes": (*chosen, *_overlap(train[0], held_out[0], test), *_differences(*hits), _control(unmasked)),
    }


def _removal(case: Case, remove: Removal | None, train: Any) -> tuple[Removal, tuple[Note, ...]]:
    """The removal, and a note on it where the caller named none; typed errors for one that is not supported."""
    if remove is None:
        if case.model.encode is not None:
            if getattr(case.model.encode, "mask_token", None) is None:
                raise CapabilityError(
                    f"{case.model.name} names no mask token, so a removed word has no form. Give "
                    f"remove=assay.Constant(assay.model.token_embedding(model, token))."
                )
            found, text = text_removal(case.model)
            return found, (Note("default-removal", text),)
        if len(case.rows.shape) == 1 and isinstance(train, tuple | list) and len(train) == 2:
            note = "absent columns get their mean over the training rows, since no removal was named"
            return Mean(train[0]), (Note("default-removal", note),)
        return Constant(0.0), (Note("default-removal", "absent features get 0, since no removal was named"),)
    if type(remove).__name__ not in FILLS:
        raise CapabilityError(
            f"masked training fills absent features by Constant, Mean or Blur; {remove!r} has several fillings, or one "
            f"that depends on the features present. Give one of these."
        )
    return remove, ()


def _check_share(share: float | None) -> None:
    if share is not None and not 0 < share <= 1:
        raise InputError(f"share={share}; the share of features kept is above 0 and at most 1, or None for uniform.")


def _labelled(case: Case, given: Any, name: str) -> tuple[Case, Ints]:
    """A case of the model at other rows, cut into features as this case is, and their true classes."""
    if not (isinstance(given, tuple | list) and len(given) == 2):
        raise InputError(f"{name} is a pair: rows and their labels.")
    if not case.model.kind.exclusive:
        raise CapabilityError(f"{case.model.name} has several labels a row; masked training takes one label a row.")
    text = case.model.encode is not None
    if case.features.per_row and not text:
        raise CapabilityError("masked training needs one cut for all rows; these features differ by row. Use a grid.")
    found = ask(case.model, given[0], label=None, features=None if text else case.features, seed=case.seed)
    labels = true_labels(case.model, given[1], len(found), found.prediction)
    return found, np.asarray(labels, dtype=np.int64)


class _MaskedLoss:
    """Mean loss of a batch of training rows and of masked copies; masks come from one stream, in the order of steps."""

    def __init__(self, case: Case, remove: Removal, share: float | None, seed: Seed) -> None:
        self.case, self.share, self.generator = case, share, seed.generator()
        self.masked = True
        self.filling = remove.bind(case.rows)
        self.exists = np.broadcast_to(case.features.sizes > 0, (len(case), len(case.features)))

    @property
    def control(self) -> _MaskedLoss:
        """The loss at the rows alone."""
        other = copy.copy(self)
        other.masked = False
        return other

    def __call__(self, live: Case, which: Ints, labels: pt.Tensor) -> pt.Tensor:
        """The loss of the rows ``which`` under the net being trained."""
        total = self._mean_loss(live, live.rows.x[which], which, labels)
        masks = self._masks(which) if self.masked else []
        for keep in masks:
            (filled,) = self.filling.fill(which, self.case.features.expand_masks(keep, which))
            total = total + self._mean_loss(live, filled, which, labels) / len(masks)
        return total

    def _mean_loss(self, live: Case, x: Any, which: Ints, labels: pt.Tensor) -> pt.Tensor:
        return row_losses(live.outputs(x, which), labels, live.model).mean()

    def _masks(self, which: Ints) -> list[Masks]:
        """One mask (row, part) a row, or two with a fixed share."""
        draws = self.generator.random((1 if self.share is None else 2, len(which), len(self.case.features)))
        if self.share is None:
            return [draws[0] < self.generator.random((len(which), 1))]
        exists, found = self.exists[which], []
        for keys, share in zip(draws, (self.share, self.share / 2)):
            ranks = np.where(exists, keys, np.inf).argsort(axis=1).argsort(axis=1)
            counts = np.rint(share * exists.sum(axis=1) + self.generator.uniform(-1, 1, len(which)))
            found.append(ranks < counts[:, None])
        return found


def _trained(model: Model, loss: _MaskedLoss, truth: Ints, epochs: int, batch: int, rate: float, seed: Seed) -> Model:
    """The model with a fine-tuned copy of its net; passes are counted by its meter."""
    import torch as pt

    net = copy.deepcopy(model.net)
    live = replace(loss.case, model=_with_net(model, net, model.fingerprint, model.name), live=True)
    device = live.rows.x.device
    places, labels = pt.arange(len(truth), device=device), pt.as_tensor(truth, device=device)

    def of_places(_: Any, some: pt.Tensor, own: Any) -> pt.Tensor:
        return loss(live, some.cpu().numpy(), own)

    fine_tune(net, places, labels, of_places, epochs=epochs, batch=batch, rate=rate, seed=seed)
    fingerprint = digest(model.fingerprint, "masked training", net_fingerprint(net))
    return _with_net(model, net, fingerprint, f"{model.name}, trained on masked inputs")


def _with_net(model: Model, net: Any, fingerprint: str, name: str) -> Model:
    other = model.with_net(net, fingerprint, name)
    return replace(other, meter=model.meter, batch=model.batch, memory=model.memory, classes=model.classes)


Hits = dict[str, Floats]
"""Whether each held-out row is classified correctly (row,), by the name of the accuracy."""


def _hits(case: Case, remove: Removal, noises: list[QuantisedMasks], truth: Ints, votes: bool) -> Hits:
    """Hits of the model itself, and of the model smoothed at each λ."""
    found = {"accuracy": (predicted_class(case.prediction, case.model.gives) == truth).astype(float)}
    rows, whole = np.arange(len(case)), np.ones((len(case), len(case.features)), dtype=bool)
    game = fast_path(case, remove, sum(noise.q for noise in noises)).game
    for noise in noises:
        scores = smoothed_scores(game, rows, whole, noise.masks, votes)
        name = f"smoothed accuracy, λ = {Fraction(noise.keep_count, noise.q)}"
        found[name] = (scores.argmax(axis=1) == truth).astype(float)
    return found


def _metrics(hits: Hits) -> dict[str, float]:
    """Each accuracy with its limits."""
    found: dict[str, float] = {}
    for name, right in hits.items():
        limits = clopper_pearson(int(right.sum()), len(right))
        found |= {name: float(right.mean()), f"{name}, low": limits.low, f"{name}, high": limits.high}
    return found


def _differences(was: Hits, now: Hits) -> tuple[Note, ...]:
    """One note for each accuracy: its paired difference with the interval."""
    notes = []
    for name, before in was.items():
        after, limits = now[name], paired_rate_interval(before, now[name])
        text = (
            f"{name} on {len(before)} held-out rows: {before.mean():.4g} before, {after.mean():.4g} after; paired "
            f"difference {after.mean() - before.mean():+.4g} [{limits.low:+.4g}, {limits.high:+.4g}] at 95 %"
        )
        notes.append(Note("held-out", text))
    return tuple(notes)


def _control(hits: Hits) -> Note:
    """The accuracies after the same training without masks."""
    rates = "; ".join(f"{name} {right.mean():.4g}" for name, right in hits.items())
    return Note("control", f"after the same training on the rows without masks: {rates}")


def _overlap(train: Any, held_out: Any, test: Case) -> tuple[Note, ...]:
    """A note where held-out rows also occur in training."""
    if test.rows.text is None:
        return overlap_notes(train, held_out)
    known = {str(text) for text in train}
    copies = [row for row, text in enumerate(held_out) if str(text) in known]
    if not copies:
        return ()
    text = f"{len(copies)} of the held-out texts also occur among the training texts; all accuracies are too good"
    return (Note("held-out overlaps", text, tuple(map(str, copies[:50]))),)
