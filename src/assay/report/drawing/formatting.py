# SPDX-License-Identifier: Apache-2.0
"""Numbers and verdicts as a reader wants to see them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from assay.nouns.results.result import Finding, Verdict


@dataclass(frozen=True)
class Word:
    """How a verdict is told: its icon and tone (a CSS class), what one finding is called, and several."""

    tone: str
    one: str
    many: str


VERDICTS: dict[Verdict, Word] = {
    "error": Word("error", "error", "errors"),
    "fail": Word("fail", "fail", "failed"),
    "undecided": Word("undecided", "undecided", "undecided"),
    "not run": Word("skipped", "not run", "not run"),
    "pass": Word("pass", "pass", "passed"),
    "informative": Word("told", "informative", "informative"),
    "not applicable": Word("skipped", "not applicable", "not applicable"),
}
"""Every verdict, worst first."""


def icon(tone: str) -> Markup:
    """The tone's sign; a word always stands beside it."""
    return Markup(
        '<svg class="icon {0}" width="16" height="16" aria-hidden="true"><use href="#icon-{0}"/></svg>'
    ).format(tone)


def chip(verdict: Verdict) -> Markup:
    """A verdict as icon and word."""
    word = VERDICTS[verdict]
    return Markup('<span class="chip {}">{}{}</span>').format(word.tone, icon(word.tone), word.one)


TRUSTED: dict[Verdict, str] = {
    "pass": "use",
    "informative": "with care",
    "undecided": "undecided",
    "fail": "do not use",
}
"""What the verdict on an explanation tells its user to do."""


def advice(verdict: Verdict) -> Markup:
    """The verdict on an explanation as icon and what to do with it."""
    word = VERDICTS[verdict]
    return Markup('<span class="chip {}">{}{}</span>').format(
        word.tone, icon(word.tone), TRUSTED.get(verdict, word.one)
    )


def number(value: float | None, decimals: int | None = None) -> str:
    """Three significant digits, or so many decimals; NaN is told as undefined."""
    if value is None:
        return "–"
    value = float(value)
    if math.isnan(value):
        return "undefined"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if decimals is not None:
        text = f"{value:,.{decimals}f}"
    elif value == 0:
        text = "0"
    elif not 1e-3 <= abs(value) < 1e6:
        mantissa, exponent = f"{value:.2e}".split("e")
        text = f"{mantissa} × 10{int(exponent)}".replace(f"10{int(exponent)}", "10" + _raised(int(exponent)))
    elif abs(value) >= 100:
        text = f"{value:,.0f}"
    else:
        text = f"{value:.3g}"
    if text.startswith("-") and not any(digit in text for digit in "123456789"):
        text = text[1:]
    return text.replace("-", "−")


def _raised(exponent: int) -> str:
    return str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def signed(value: float, decimals: int | None = None) -> str:
    """A number with its sign written also when it is positive."""
    text = number(value, decimals)
    return f"+{text}" if float(value) > 0 and any(digit in text for digit in "123456789∞") else text


def places(*values: float | None) -> int | None:
    """Decimals that tell these numbers apart, at least two; ``None`` where they are too small or too large."""
    known = [v for v in values if v is not None and math.isfinite(v)]
    largest = max(map(abs, known), default=0.0)
    if largest == 0 or not 1e-3 <= largest < 1e6:
        return None
    if largest >= 100:
        return 0 if largest >= 1000 else 1
    spread = max(known) - min(known)
    return min(4, max(2, -math.floor(math.log10(spread)))) if spread > 0 else 2


def figures_of(finding: Finding) -> tuple[str, str, str]:
    """Estimate, interval and need of a finding, with decimals in common."""
    interval = finding.interval
    low, high = (interval.low, interval.high) if interval is not None else (math.nan, math.nan)
    decimals = places(finding.estimate, low, high)
    known = not (math.isnan(low) or math.isnan(high))
    bounds = f"[{number(low, decimals)}, {number(high, decimals)}]" if known else ""
    need = ""
    if finding.threshold is not None and finding.direction:
        sign = "≤" if finding.direction == "at most" else "≥"
        need = f"needs {sign} {number(finding.threshold, places(finding.threshold) if finding.threshold else decimals)}"
    return number(finding.estimate, decimals), bounds, need


def listed(names: Sequence[str], last: str = "and") -> str:
    """a, b and c."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}" if names else ""


LONG = 64
"""Characters of a name that are shown where there is little room."""


def cut_off(text: str, most: int = LONG) -> str:
    """The text, or its beginning and an ellipsis."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def cut(text: object, most: int = LONG) -> Markup:
    """The text, or its beginning and end with the whole of it in ``title``."""
    whole = str(text)
    if len(whole) <= most:
        return escape(whole)
    end = most // 4
    return Markup('<span title="{}">{}…{}</span>').format(whole, whole[: most - end - 1], whole[-end:])


SOFT_HYPHEN = "\u00ad"


def breakable(name: str) -> str:
    """A method's name as words that may be broken where they are long."""
    words = name.replace("_", " ").split(" ")
    return " ".join(word if len(word) <= 12 else word[:9] + SOFT_HYPHEN + word[9:] for word in words)


def counted(count: int, one: str, many: str = "") -> str:
    """1 row, 3 rows."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
