# SPDX-License-Identifier: Apache-2.0
"""Example rows with one method's explanation of the predicted class and of the runner-up class."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from assay.nouns.records.record import Gallery, Record
from assay.nouns.results.result import Explanation
from assay.report.audit.performance import CLASSES, CONFUSION, METRICS
from assay.report.audit.summary import TRUST
from assay.report.drawing.bars import Chart, paired_chart
from assay.report.drawing.formatting import decimals_for, format_count, format_number, join_names, truncate
from assay.report.drawing.image_maps import SIZES, MapPair, draw_map_pair, encode_image, has_images, image_anchor
from assay.report.drawing.words import ColouredText, coloured_text, has_words

MAX_ROWS = 6
"""Rows of a gallery that are drawn."""

MAX_ABSENT = 4
"""Classes that no explained row has, and that are named."""

BUDGET = 70_000
"""Characters of the images of all galleries together."""


@dataclass(frozen=True)
class Card:
    """One row as bars, coloured words or images, or the name of the gallery that has it (``repeated_from``).

    ``position`` is the row's position among those explained. ``base`` and ``output`` are the explained output as text;
    ``base`` is empty where the method has none.
    """

    anchor: str
    position: int
    row: str
    predicted: str
    true: str
    repeated_from: str = ""
    chart: Chart | None = None
    image: str = ""
    image_anchor: str = ""
    maps: MapPair | None = None
    text: ColouredText | None = None
    base: str = ""
    output: str = ""

    @property
    def size(self) -> int:
        """Characters of its images."""
        return len(self.image) + (len(self.maps.map) + len(self.maps.rival_map) if self.maps else 0)


@dataclass(frozen=True)
class GalleryView:
    """A gallery and its cards."""

    gallery: Gallery
    cards: tuple[Card, ...]


@dataclass(frozen=True)
class Galleries:
    """All galleries, the method of their explanations, and whether that method passed its checks.

    ``has_rival`` says whether the runner-up class is explained too, ``is_binary`` whether there are two classes,
    ``has_classes`` whether there are classes at all. ``absent`` says which kinds of rows are not among those explained.
    """

    views: tuple[GalleryView, ...] = ()
    method: str = ""
    is_usable: bool = False
    has_rival: bool = False
    is_binary: bool = False
    has_classes: bool = True
    absent: str = ""

    @property
    def size(self) -> int:
        """Characters of all images."""
        return sum(card.size for view in self.views for card in view.cards)

    @property
    def image_anchors(self) -> frozenset[str]:
        """The ids of the images that the cards hold."""
        return frozenset(card.image_anchor for view in self.views for card in view.cards if card.image)

    @property
    def has_images(self) -> bool:
        """Whether the rows are images."""
        return any(card.image for view in self.views for card in view.cards)

    @property
    def has_words(self) -> bool:
        """Whether the rows are texts."""
        return any(card.text for view in self.views for card in view.cards)


def gallery_method(record: Record) -> tuple[str, bool]:
    """The explanation that galleries draw, and whether it passed its checks.

    The first that passed and also explains the runner-up class, else the first that passed, else the first one.
    """
    usable = {f.subject for f in record.findings if f.code.startswith(TRUST) and f.verdict == "pass"}
    own = [name for name in record.explanations if name not in record.references]
    passed = [name for name in own if name in usable]
    both = [name for name in passed if name in record.rivals]
    return (both or passed or own or [""])[0], bool(passed)


def draw_galleries(record: Record, most: int = MAX_ROWS) -> Galleries:
    """The galleries of a record, of each at most ``most`` rows.

    Images shrink, then rows are left out, until they fit into the budget.
    """
    name, is_usable = gallery_method(record)
    if not name or not record.galleries:
        return Galleries()
    explanation, rival = record.explanations[name], record.rivals.get(name)
    classes = {*explanation.labels, *(rival.labels if rival is not None else ())}
    has_rival = rival is not None
    drawn = Galleries(
        method=name,
        is_usable=is_usable,
        has_rival=has_rival,
        is_binary=has_rival and len(classes) == 2,
        has_classes=bool(record.predictions or explanation.labels),
        absent=_absent(record),
    )
    tries = [(most, *size) for size in SIZES] + [(rows, *SIZES[-1]) for rows in range(most - 1, 0, -1)]
    for rows, image_size, map_size in tries if has_images(explanation) else [(most, 0, 0)]:
        drawn = replace(drawn, views=_views(record, explanation, rows, (image_size, map_size)))
        if drawn.size <= BUDGET:
            break
    return drawn


def some_cards(galleries: Galleries, most: int) -> tuple[tuple[str, Card], ...]:
    """Up to ``most`` different rows with the name of their gallery, in turn from each, wrong decisions first.

    Of the classes that the rows of the galleries have, predicted or true, each has a row among the last ones where it
    would have none.
    """
    ordered = sorted(galleries.views, key=lambda view: not view.gallery.name.startswith("wrong"))
    queues = [[(view.gallery.name, card) for card in view.cards if not card.repeated_from] for view in ordered]
    found: list[tuple[str, Card]] = []
    while any(queues):
        for queue in queues:
            found += [queue.pop(0)] if queue else []
    chosen, rest = found[:most], found[most:]
    for label, card in rest:
        spare = _spare(chosen)
        if spare is not None and _classes(card) - {name for _, one in chosen for name in _classes(one)}:
            chosen[spare] = (label, card)
    return tuple(chosen)


def _classes(card: Card) -> set[str]:
    return {card.predicted, card.true} - {""}


def _spare(chosen: Sequence[tuple[str, Card]]) -> int | None:
    """The position of the last row without whose classes none is missing; ``None`` where there is no such row."""
    for place in range(len(chosen) - 1, -1, -1):
        others = {name for at, (_, card) in enumerate(chosen) if at != place for name in _classes(card)}
        if _classes(chosen[place][1]) <= others:
            return place
    return None


def _views(record: Record, explanation: Explanation, most: int, sizes: tuple[int, int]) -> tuple[GalleryView, ...]:
    seen: dict[int, str] = {}
    found = []
    for gallery in record.galleries:
        cards = []
        for row in [row for row in gallery.rows if row < len(explanation.ids)][:most]:
            card = Card(f"row-{row}", row, explanation.ids[row], _at(record.predictions, row), _at(record.truth, row))
            if row in seen:
                cards.append(replace(card, repeated_from=seen[row]))
            else:
                cards.append(_with_figures(record, explanation, row, card, sizes))
                seen[row] = gallery.name
        found.append(GalleryView(gallery, tuple(cards)))
    return tuple(found)


def _absent(record: Record) -> str:
    """The classes and the errors that the model has on all rows, and none of the rows explained."""
    measured: Mapping[str, Any] = next((f.evidence for f in record.findings if METRICS in f.evidence), {})
    if not record.predictions or len(record.truth) != len(record.predictions):
        return ""
    classes = [name for name in measured.get(CLASSES, {}) if name not in {*record.truth, *record.predictions}]
    errors = sum(
        int(count)
        for true, line in measured.get(CONFUSION, {}).items()
        for decided, count in line.items()
        if true.removeprefix("true ") != decided.removeprefix("decided ")
    )
    kinds = [f"class {join_names([truncate(name, 24) for name in classes[:MAX_ABSENT]], 'or')}"] if classes else []
    wrong = any(one != other for one, other in zip(record.predictions, record.truth))
    if errors and not wrong:
        kinds.append("a misclassified row" if errors == 1 else f"any of the {errors:,} misclassified rows")
    rows = format_count(len(record.predictions), "row")
    return f"The {rows} explained were drawn at random and do not include {join_names(kinds, 'or')}." if kinds else ""


def _at(names: Sequence[str], row: int) -> str:
    return names[row] if row < len(names) else ""


def _with_figures(record: Record, explanation: Explanation, row: int, card: Card, sizes: tuple[int, int]) -> Card:
    rival = record.rivals.get(explanation.method)
    base, output = float(explanation.base[row]), float(explanation.output[row])
    decimals = decimals_for(base, output)
    card = replace(
        card,
        base=format_number(base, decimals) if math.isfinite(base) else "",
        output=format_number(output, decimals),
    )
    if has_words(explanation):
        return replace(card, text=coloured_text(explanation, row))
    if not has_images(explanation):
        return replace(card, chart=paired_chart(explanation, rival, row))
    image, _ = encode_image(np.asarray(explanation.x[row], dtype=np.float64), sizes[0])
    return replace(
        card,
        image=image,
        image_anchor=image_anchor(row),
        maps=draw_map_pair(explanation.method, explanation, rival, row, sizes[1]),
    )
