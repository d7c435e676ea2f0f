# SPDX-License-Identifier: Apache-2.0
"""Small JSON-able evidence as tables and curves. All text is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from assay.report.drawing.formatting import VERDICTS, chip, cut, number
from assay.report.drawing.svg import curve

MOST = 20
"""Lines of a table and items of a list that are shown; more are counted."""

CELL = 200
"""Characters of a text that are shown in one cell."""


def evidence(data: Mapping[str, Any]) -> Markup:
    """Plain values in one table, then each nested thing under its own caption."""
    plain = {key: value for key, value in data.items() if _plain(value)}
    nested = [_nested(str(key), value) for key, value in data.items() if not _plain(value)]
    facts = [
        Markup('<tr><th scope="row">{}</th><td>{}</td></tr>').format(cut(key), shown(value))
        for key, value in plain.items()
    ]
    table = Markup('<table class="facts">{}</table>').format(Markup("").join(facts)) if facts else Markup("")
    return table + Markup("").join(nested)


def shown(value: Any) -> str:
    """A plain value as text; a verdict as its chip; a list of plain values joined."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "–"
    if isinstance(value, int):
        return f"{value:,}".replace("-", "−")
    if isinstance(value, float):
        return number(value)
    if isinstance(value, str):
        return chip(value) if value in VERDICTS else cut(value, CELL)
    if isinstance(value, Sequence) and all(map(_scalar, value)):
        rest = f" … and {len(value) - MOST:,} more" if len(value) > MOST else ""
        return Markup(", ").join(cut(item) if isinstance(item, str) else shown(item) for item in value[:MOST]) + rest
    return cut(value, CELL)


def _scalar(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str)


def _plain(value: Any) -> bool:
    return _scalar(value) or (isinstance(value, list | tuple) and all(map(_scalar, value)))


def _nested(key: str, value: Any) -> Markup:
    points = roc(key, value)
    if points is not None:
        drawn = curve(points, "false positives", "true positives", f"{key}: {len(points)} points")
        return Markup('<figure class="plot"><figcaption>{}</figcaption>{}</figure>').format(cut(key), drawn)
    if isinstance(value, Mapping) and value and all(isinstance(line, Mapping) for line in value.values()):
        return _table(key, [{"": name, **line} for name, line in value.items()])
    if isinstance(value, Mapping):
        return _table(key, [{"": name, "value": item} for name, item in value.items()])
    lines = list(value) if isinstance(value, Sequence) else [value]
    if lines and all(isinstance(line, Mapping) for line in lines):
        return _table(key, lines)
    if lines and all(isinstance(line, list | tuple) for line in lines):
        return _table(key, [dict(enumerate(line)) for line in lines], named=False)
    return _table(key, [{"value": line} for line in lines], named=False)


def roc(key: str, value: Any) -> list[tuple[float, float]] | None:
    """Points of a receiver operating characteristic: pairs under a name with "roc", or two lists of rates."""
    if isinstance(value, Mapping):
        for across, up in (("fpr", "tpr"), ("false positives", "true positives")):
            if isinstance(value.get(across), list | tuple) and isinstance(value.get(up), list | tuple):
                return _rates(list(zip(value[across], value[up])))
    if "roc" in key.lower().split() and isinstance(value, list | tuple):
        return _rates(value)
    return None


def _rates(pairs: Sequence[Any]) -> list[tuple[float, float]] | None:
    good = [
        p
        for p in pairs
        if isinstance(p, list | tuple) and len(p) == 2 and all(isinstance(v, int | float) and 0 <= v <= 1 for v in p)
    ]
    step = max(1, len(good) // 60)
    return [(float(x), float(y)) for x, y in (*good[:-1:step], good[-1])] if len(good) == len(pairs) and good else None


def _table(caption: str, lines: Sequence[Mapping[Any, Any]], *, named: bool = True) -> Markup:
    columns = list(dict.fromkeys(column for line in lines for column in line))
    head = Markup("").join(Markup('<th scope="col">{}</th>').format(cut(column)) for column in columns)
    body = Markup("").join(
        Markup("<tr>{}</tr>").format(Markup("").join(Markup("<td>{}</td>").format(shown(line.get(c))) for c in columns))
        for line in lines[:MOST]
    )
    rest = f" ({MOST} of {len(lines):,} shown)" if len(lines) > MOST else ""
    top = Markup("<thead><tr>{}</tr></thead>").format(head) if named else Markup("")
    return Markup(
        '<div class="wide" tabindex="0" role="region" aria-label="{0}">'
        '<table class="small"><caption>{0}{1}</caption>{2}<tbody>{3}</tbody></table></div>'
    ).format(caption if len(caption) <= CELL else f"{caption[: CELL - 1]}…", rest, top, body)
