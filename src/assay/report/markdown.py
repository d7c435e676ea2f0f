# SPDX-License-Identifier: Apache-2.0
"""An audit as a comment on a change, in the Markdown that GitHub and GitLab read."""

from __future__ import annotations

import re

from assay.nouns.record import Record
from assay.nouns.result import Finding
from assay.report.acceptance import acceptance
from assay.report.tiles import scope
from assay.report.verdict import summary, worst_first
from assay.report.words import VERDICTS, counted, figures_of

MOST = 65_000
"""Characters of a comment; GitHub refuses more than 65,536."""

TEXT = 300
"""Characters of a claim that are shown."""

SIGNS = {
    "error": "⚠️", "fail": "❌", "undecided": "❔", "skipped": "⏭️", "pass": "✅", "told": "ℹ️",
}  # fmt: skip

_PUNCTUATION = str.maketrans({sign: f"&#{ord(sign)};" for sign in "\\`*_{}[]<>#!|~$&"})
_UNSEEN = re.compile("[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def markdown(record: Record) -> str:
    """Verdict, counts, scope, and the findings worst first, as many as fit."""
    said = summary(record)
    counts = " · ".join(f"{SIGNS[count.tone]} {count.count} {count.word}" for count in said.counts)
    head = [f"## {plain(record.title or 'Audit')}", "", f"**{plain(said.headline)}**", "", counts, ""]
    if said.following:
        head += [f"First thing to do: {plain(said.following, 600)}", ""]
    head += [plain(scope(record)), ""]
    ordered = worst_first(record)
    if ordered:
        head += ["| verdict | check | claim | estimate | needs |", "|---|---|---|---|---|"]
    lines = [_line(record, finding) for finding in ordered]
    room = MOST - len("\n".join(head)) - 200
    kept: list[str] = []
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            break
        kept.append(line)
    left = len(lines) - len(kept)
    tail = ["", f"… and {counted(left, 'more finding')}; report.html has all of them."] if left else []
    return "\n".join([*head, *kept, *tail]).rstrip() + "\n"


def _line(record: Record, finding: Finding) -> str:
    held = acceptance(record, finding)
    estimate, bounds, need = figures_of(finding) if finding.interval is not None else ("", "", "")
    claim = plain(finding.claim, TEXT) + (f"<br>{plain(held.told, TEXT)}" if held else "")
    word = "accepted" if held is not None and held.state == "accepted" else finding.verdict
    sign = SIGNS["told" if word == "accepted" else VERDICTS[finding.verdict].tone]
    figures = plain(f"{estimate} {bounds}".strip())
    return f"| {sign} {word} | {plain(finding.code, 40)} | {claim} | {figures} | {plain(need.removeprefix('needs '))} |"


def plain(text: str, most: int = 200) -> str:
    """Text that is only text: no table, emphasis, link, picture, mention or reference can be made of it.

    Signs of the markup are written as entities; a zero-width space keeps addresses and mentions from becoming links.
    """
    text = re.sub(r"\s+", " ", _UNSEEN.sub(" ", text)).strip()
    text = text if len(text) <= most else f"{text[: most - 1]}…"
    text = text.translate(_PUNCTUATION)
    text = re.sub(r"(?i)(www)\.", "\\1\u200b.", text).replace("://", ":\u200b//").replace("@", "@\u200b")
    return re.sub(r"(?i)&#35;(?=\d)|\bGH(?=-\d)|^[-+]", lambda found: f"{found[0]}\u200b", text)
