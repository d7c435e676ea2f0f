# SPDX-License-Identifier: Apache-2.0
"""The top features of a row, and what certificates say about them, in sentences."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from assay.basics.types import Floats
from assay.nouns.records.record import Record
from assay.nouns.results.result import Certificate, Explanation
from assay.report.drawing.formatting import format_number, method_name, truncate
from assay.report.drawing.image_maps import has_images
from assay.report.drawing.png import data_uri, encode_png
from assay.report.drawing.words import has_words

NAMED = 5
"""Features of a set that are named."""

MAX_NAME = 24
"""Characters of a feature's name, and of a text's word, that are printed."""

ORDER = ("mus", "soft_stability", "removal_effect")
"""Certificates whose sentence may stand next to the row, the strongest statement first; the others are one click away.

MuS stands there only where it certifies at least one feature.
"""

OUTSIDE, INSIDE = (222, 226, 230), (0, 114, 178)
"""Colours of the features of an image that are not in the set, and of those that are."""

MAX_SIDE = 28
"""Pixels a side of the picture of a set."""


@dataclass(frozen=True)
class CertifiedRow:
    """The top features of one row and the sentences about them.

    ``sentence`` is the strongest one; ``more`` are those of the other certificates. ``picture`` is the set of an image,
    ``names`` are the first features of any other row; ``rest`` counts those that are not named.
    """

    explanation: str
    count: int
    total: int
    names: tuple[str, ...]
    rest: int
    picture: str
    sentence: str
    more: tuple[str, ...]


def certified_row(record: Record, row: int) -> CertifiedRow | None:
    """The certified top features of a row; ``None`` where no certificate is about those of an explanation."""
    known, explained = record.certificates, record.explanations
    about = {
        name: one
        for name, one in record.certified.items()
        if name in known and one.explanation in explained and row < len(known[name].ids)
    }
    ordered = sorted(about, key=lambda name: (about[name].share == 0, _rank(known[name], row)))
    if not ordered or about[ordered[0]].share == 0:
        return None
    first = about[ordered[0]]
    explanation = explained[first.explanation]
    chosen, total = _top(explanation, row, first.share)
    lines = [describe_row(record, name, row, math.ceil(about[name].share * total - 1e-9)) for name in ordered]
    words = () if has_images(explanation) else tuple(_name(explanation, row, part) for part in chosen[:NAMED])
    return CertifiedRow(
        explanation=first.explanation,
        count=len(chosen),
        total=total,
        names=tuple(truncate(word, MAX_NAME) for word in words),
        rest=len(chosen) - len(words),
        picture=_picture(explanation, row, chosen) if has_images(explanation) else "",
        sentence=lines[0],
        more=tuple(lines[1:]),
    )


def _rank(certificate: Certificate, row: int) -> tuple[bool, int]:
    """Where the sentence of a certificate stands: an abstention last, MuS without a certified feature behind others."""
    name, value = certificate.method, float(next(iter(certificate.bounds.values()))[row])
    is_strong = name in ORDER and (name != "mus" or value >= 1)
    return bool(certificate.abstained[row]) or math.isnan(value), ORDER.index(name) if is_strong else len(ORDER)


def _top(explanation: Explanation, row: int, share: float) -> tuple[list[int], int]:
    """The positions of a row's top features, the highest first, and the number of features that the row has."""
    own = np.array([part for part in explanation.order()[row].tolist() if _exists(explanation, row, part)], dtype=int)
    wanted = explanation.top(share)[row]
    return [int(part) for part in own if wanted[part]], len(own)


def _exists(explanation: Explanation, row: int, part: int) -> bool:
    """Whether a row has a feature; texts and superpixels may have fewer than others."""
    features = explanation.features
    return not features.per_row or bool((features.index[row] == part).any())


def _name(explanation: Explanation, row: int, part: int) -> str:
    """A feature's name; of a text the word."""
    texts = explanation.part_texts
    return texts[row][part] if has_words(explanation) and row < len(texts) else explanation.features.names[part]


def _picture(explanation: Explanation, row: int, chosen: Sequence[int]) -> str:
    """The set as a picture of two colours, small: the browser enlarges it."""
    features = explanation.features.at(np.array([row]))
    index = features.index[0] if features.per_row else features.index
    inside = np.isin(index[0], list(chosen))
    step = max(1, -(-max(inside.shape) // MAX_SIDE))
    small = inside[step // 2 :: step, step // 2 :: step]
    table = np.array([OUTSIDE, INSIDE], dtype=np.uint8)
    return data_uri(encode_png(small.astype(np.uint8), table))


def describe_row(record: Record, name: str, row: int, count: int) -> str:
    """What a certificate says about one row, how surely, of which model, and what it says of random features."""
    certificate = record.certificates[name]
    label = method_name(name)
    label = label[:1].upper() + label[1:]
    quantity, values = next(iter(certificate.bounds.items()))
    value = float(values[row])
    if certificate.abstained[row] or math.isnan(value):
        return f"{label}: abstained on this row, so nothing is certified."
    control = certificate.control.get(quantity)
    random = float(control[row]) if control is not None and np.size(control) > row else math.nan
    say = SENTENCES.get(name, _plain)
    text = say(certificate, row, value, random, count)
    return f"{label}: {text}. {_guarantee(certificate, row)}, for {_model(record, certificate, row)}."


def _mus(certificate: Certificate, row: int, value: float, random: float, count: int) -> str:
    what = "any other feature is" if value < 2 else f"up to {value:.0f} other features are"
    text = f"the class stays when {what} added"
    text = text if value >= 1 else "no added feature is certified (radius 0)"
    other = "nothing is certified" if math.isnan(random) else f"{random:.0f}"
    return f"{text} (at most {_cap(certificate)}), of random features {other}"


def _soft(certificate: Certificate, row: int, value: float, random: float, count: int) -> str:
    sets = certificate.unit.removeprefix("share of the ")
    limit = "" if _is_exact(certificate, row) else "at least "
    other = "an unknown share" if math.isnan(random) else _percent(random)
    return f"{limit}{_percent(value)} of the {sets} keep the class (at most 100 %), of random features {other}"


def _effect(certificate: Certificate, row: int, value: float, random: float, count: int) -> str:
    what = "feature" if count == 1 else f"{count} features"
    cap = "no limit" if math.isinf(certificate.cap) else f"at most {format_number(certificate.cap)}"
    return (
        f"without the top {what} the target falls by {_percent(value)} of its size ({cap}), without random ones by "
        f"{'an unknown share' if math.isnan(random) else _percent(random)}"
    )


def _percent(value: float) -> str:
    return f"{value:,.1%}".replace("-", "−").replace("%", " %")


def _sufficient(certificate: Certificate, row: int, value: float, random: float, count: int) -> str:
    what = "1 feature fixes" if value == 1 else f"{value:.0f} features fix"
    other = "" if math.isnan(random) else f", in a random order of leaving out {random:.0f}"
    return f"{what} the class, whatever the others are{other}"


def _plain(certificate: Certificate, row: int, value: float, random: float, count: int) -> str:
    quantity = next(iter(certificate.bounds)).replace("_", " ")
    compared = "" if math.isnan(random) else f", of a random explanation {format_number(random)}"
    return f"{quantity} {format_number(value)} (in {certificate.unit}; at most {_cap(certificate)}){compared}"


SENTENCES: dict[str, Callable[[Certificate, int, float, float, int], str]] = {
    "mus": _mus,
    "soft_stability": _soft,
    "removal_effect": _effect,
    "sufficient_features": _sufficient,
}
"""What the number of a certificate means, as the end of a sentence; any other is named with its unit."""


def _cap(certificate: Certificate) -> str:
    """The largest value that the bound can have, below which MuS stays."""
    if not math.isfinite(certificate.cap):
        return "∞"
    if certificate.method == "mus":
        return f"{max(0, math.ceil(certificate.cap) - 1)}"
    return format_number(certificate.cap)


def _is_exact(certificate: Certificate, row: int) -> bool:
    """Whether the bound of this row is a proof: in soft stability rows whose sets are all evaluated are."""
    exact = certificate.extra.get("exact")
    return certificate.guarantee == "exact" or (exact is not None and row < len(exact) and bool(exact[row] == 1))


def _guarantee(certificate: Certificate, row: int) -> str:
    if _is_exact(certificate, row):
        return "Proved"
    if certificate.guarantee == "empirical":
        return "An estimate, which proves nothing"
    return f"True with probability {certificate.confidence:.4g} for each row"


def _model(record: Record, certificate: Certificate, row: int) -> str:
    """The model that a certificate holds for, with its accuracy, and whether it predicts another class here."""
    accuracy = certified_accuracy(record, certificate)
    agrees = certificate.extra.get("agrees")
    other = agrees is not None and row < len(agrees) and bool(agrees[row] == 0)
    if math.isfinite(accuracy):
        quality = f" (accuracy {accuracy:.2f} on the rows explained)"
    elif certificate.certified != "the model itself" and math.isfinite(certificate.agreement):
        quality = f" (predicts as the model on {certificate.agreement:.0%} of the rows explained)"
    else:
        quality = ""
    return f"{certificate.certified}{quality}{'; it predicts another class here' * other}"


def certified_accuracy(record: Record, certificate: Certificate) -> float:
    """The accuracy on the rows explained of the model that a certificate holds for; NaN where it is unknown."""
    classes = certificate.extra.get("class")
    if not record.predictions or len(record.truth) != len(record.predictions):
        return math.nan
    if certificate.certified == "the model itself":
        decided: Sequence[str] = record.predictions
    elif classes is not None and record.classes and len(classes) == len(record.truth):
        decided = _names(classes, record.classes)
    else:
        return math.nan
    return float(np.mean([one == true for one, true in zip(decided, record.truth)]))


def _names(classes: Floats, names: Sequence[str]) -> list[str]:
    return [names[int(one)] for one in classes]
