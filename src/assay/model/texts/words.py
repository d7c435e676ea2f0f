# SPDX-License-Identifier: Apache-2.0
"""Words of a text: where they lie, which tokens belong to them, and scripts that write no spaces between words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

Span = tuple[int, int]
"""Where a word or token begins and ends in its text."""

TextRow = str | tuple[str, str]
"""One row of a text model: a text, or a pair of texts."""

UNSPACED = re.compile(
    "[\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u1950-\u19df\u1b00-\u1b7f\u3040-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\ua980-\ua9df\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff]"
)
"""Characters of scripts without spaces between words: Thai, Lao, Tibetan, Burmese, Khmer, Chinese, Japanese, …"""

WORD = re.compile("\\w+(?:['’]\\w+)*|[\u2600-\u27bf\U0001f000-\U0001faff]+")
"""A word of a raw text: letters, digits and apostrophes between them, or a run of pictographs."""

NOT_SPACE = re.compile("\\S+")


def is_unspaced(text: str) -> bool:
    """Whether a text has characters of a script without spaces between words."""
    return UNSPACED.search(text) is not None


def word_spans(text: str) -> tuple[list[Span], bool]:
    """The words of a raw text, and whether some of them are single characters of a script without spaces.

    A text without a word has its runs of characters between white space as words.
    """
    found = [match.span() for match in WORD.finditer(text)] or [match.span() for match in NOT_SPACE.finditer(text)]
    spans: list[Span] = []
    for start, stop in found:
        spans += [(i, i + 1) for i in range(start, stop)] if is_unspaced(text[start:stop]) else [(start, stop)]
    return spans, len(spans) > len(found)


def join_words(text: str, spans: Sequence[Span], present: Sequence[bool], replacement: str = "") -> str:
    """The text with every absent word replaced, or deleted where the replacement is empty (``replace_words``)."""
    return replace_words(text, spans, {place: replacement for place, own in enumerate(present) if not own})


def replace_words(text: str, spans: Sequence[Span], replacements: Mapping[int, str]) -> str:
    """The text with the words at these places replaced, or deleted where the replacement is empty.

    Punctuation stays. Of the white space before and after a deleted word only one stays, and none at the ends. Without
    replacements it is the text itself.
    """
    joined, end, is_deleted = "", 0, False
    for place, (start, stop) in enumerate(spans):
        joined = _append_gap(joined, text[end:start], is_deleted)
        word = replacements.get(place, text[start:stop])
        joined += word
        is_deleted, end = not word, stop
    last = text[end:]
    return joined.rstrip() + last if is_deleted and not last.strip() else _append_gap(joined, last, is_deleted)


def _append_gap(joined: str, gap: str, after_deleted: bool) -> str:
    return joined + (gap.lstrip() if after_deleted and (not joined or joined[-1].isspace()) else gap)
