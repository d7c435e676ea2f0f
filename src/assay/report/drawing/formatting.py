# SPDX-License-Identifier: Apache-2.0
"""Numbers, verdicts and names as text and HTML."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from assay.nouns.results.finding import Finding, Verdict

ROUNDING = 1e-12
"""Absolute values up to here are rounding errors of float64 sums and are printed as 0."""


@dataclass(frozen=True)
class VerdictLabel:
    """How a verdict is displayed: its icon and colour (a CSS class), and its label for one and for several findings."""

    tone: str
    one: str
    many: str


VERDICTS: dict[Verdict, VerdictLabel] = {
    "error": VerdictLabel("error", "error", "errors"),
    "fail": VerdictLabel("fail", "fail", "failed"),
    "undecided": VerdictLabel("undecided", "undecided", "undecided"),
    "rejected": VerdictLabel("info", "rejected", "rejected"),
    "not run": VerdictLabel("skipped", "not run", "not run"),
    "pass": VerdictLabel("pass", "pass", "passed"),
    "informative": VerdictLabel("info", "informative", "informative"),
    "not applicable": VerdictLabel("skipped", "not applicable", "not applicable"),
}
"""Every verdict, worst first."""


def icon(tone: str) -> Markup:
    """The icon of a tone; a label always follows it."""
    return Markup('<svg class="icon {0}" aria-hidden="true"><use href="#icon-{0}"/></svg>').format(tone)


def verdict_chip(verdict: Verdict) -> Markup:
    """A verdict as icon and label."""
    label = VERDICTS[verdict]
    return Markup('<span class="chip {}">{}{}</span>').format(label.tone, icon(label.tone), label.one)


ADVICE: dict[Verdict, str] = {
    "pass": "use",
    "informative": "with care",
    "undecided": "undecided",
    "fail": "do not use",
    "rejected": "do not use",
}
"""The label of the verdict on an explanation."""


def advice_chip(verdict: Verdict) -> Markup:
    """The verdict on an explanation as icon and advice."""
    label = VERDICTS[verdict]
    tone = "fail" if verdict == "rejected" else label.tone
    return Markup('<span class="chip {}">{}{}</span>').format(tone, icon(tone), ADVICE.get(verdict, label.one))


def format_number(value: float | None, decimals: int | None = None) -> str:
    """Three significant digits, or a fixed number of decimals.

    Below 0.001 and from 10⁶ the number is in scientific notation with two significant digits. A rounding error
    (|value| ≤ 10⁻¹²) is 0, NaN is "undefined".
    """
    if value is None:
        return "–"
    value = float(value)
    if math.isnan(value):
        return "undefined"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if decimals is not None:
        text = f"{value:,.{decimals}f}"
    elif abs(value) <= ROUNDING:
        text = "0"
    elif not 1e-3 <= abs(value) < 1e6:
        mantissa, exponent = f"{value:.1e}".split("e")
        text = f"{mantissa} × 10{_superscript(int(exponent))}"
    elif abs(value) >= 100:
        text = f"{value:,.0f}"
    else:
        text = f"{value:.3g}"
    if text.startswith("-") and not any(digit in text for digit in "123456789"):
        text = text[1:]
    return text.replace("-", "−")


def _superscript(exponent: int) -> str:
    return str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def rounding_title(value: float) -> Markup:
    """A ``title`` attribute that marks a printed 0 as a rounding error; empty for every other number."""
    return Markup(' title="rounding error"') if 0 < abs(value) <= ROUNDING else Markup("")


def format_p_value(p: float) -> str:
    """p = 0.012, or p < 0.001."""
    return "p < 0.001" if p < 1e-3 else f"p = {format_number(p)}"


def format_signed(value: float, decimals: int | None = None) -> str:
    """A number with its sign, also where it is positive."""
    text = format_number(value, decimals)
    return f"+{text}" if float(value) > 0 and any(digit in text for digit in "123456789∞") else text


def decimals_for(*values: float | None) -> int | None:
    """Decimals that distinguish these numbers, at least two; ``None`` where they are too small or too large."""
    known = [v for v in values if v is not None and math.isfinite(v)]
    largest = max(map(abs, known), default=0.0)
    if largest == 0 or not 1e-3 <= largest < 1e6:
        return None
    if largest >= 100:
        return 0 if largest >= 1000 else 1
    spread = max(known) - min(known)
    return min(4, max(2, -math.floor(math.log10(spread)))) if spread > 0 else 2


def format_interval(low: float, high: float, decimals: int | None) -> str:
    """[low, high]; empty where an end is undefined."""
    if math.isnan(low) or math.isnan(high):
        return ""
    return f"[{format_number(low, decimals)}, {format_number(high, decimals)}]"


def finding_numbers(finding: Finding) -> tuple[str, str, str]:
    """Estimate, interval and threshold of a finding as text, with the same number of decimals."""
    interval = finding.interval
    low, high = (interval.low, interval.high) if interval is not None else (math.nan, math.nan)
    decimals = decimals_for(finding.estimate, low, high)
    need = ""
    if finding.threshold is not None and finding.direction:
        sign = "≤" if finding.direction == "at most" else "≥"
        digits = decimals_for(finding.threshold) if finding.threshold else decimals
        origin = f" ({truncate(finding.threshold_origin)})" if finding.threshold_origin else ""
        need = f"needs {sign} {format_number(finding.threshold, digits)}{origin}"
    bounds = "" if interval is None else format_interval(low, high, decimals)
    return format_number(finding.estimate, decimals), bounds, need


def has_numbers(finding: Finding) -> bool:
    """Whether a finding has an estimate that is printed: with an interval, or a fact that is compared exactly."""
    return finding.interval is not None or (finding.threshold is not None and math.isfinite(finding.estimate))


def join_names(names: Sequence[str], last: str = "and") -> str:
    """a, b and c."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}" if names else ""


MAX_NAME = 64
"""Characters of a name that are printed where space is short."""


def truncate(text: str, most: int = MAX_NAME) -> str:
    """The text, or its beginning and an ellipsis."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def shorten(text: object, most: int = MAX_NAME) -> Markup:
    """The text, or its beginning and end with the whole text as tooltip."""
    whole = str(text)
    if len(whole) <= most:
        return escape(whole)
    end = most // 4
    return Markup('<span title="{}">{}…{}</span>').format(whole, whole[: most - end - 1], whole[-end:])


def breakable(text: object, most: int = MAX_NAME) -> Markup:
    """``shorten``, with a possible line break after each underscore of a name that is printed as a whole."""
    whole = str(text)
    return Markup("_<wbr>").join(map(escape, whole.split("_"))) if len(whole) <= most else shorten(whole, most)


def prose(text: object, most: int = 600) -> Markup:
    """``shorten``, with names in backticks as code."""
    return Markup(re.sub(r"`([^`]{1,200})`", r"<code>\1</code>", str(shorten(text, most))))


METRIC_LABELS = {"Brier score": "Brier score, sum over classes"}
"""Names of metrics whose text differs from their key in result.json."""


def metric_label(name: str) -> str:
    """A metric's name as text."""
    return METRIC_LABELS.get(name, name)


SOFT_HYPHEN = "\u00ad"


METHOD_NAMES = {
    "input_x_gradient": "input × gradient",
    "runner_up_logit": "runner-up logit",
    "max_sensitivity": "max-sensitivity",
    "top_k": "top-k",
    "mus": "MuS",
}
"""Names of methods whose text differs from the name with spaces for underscores."""


def method_name(name: str) -> str:
    """A method's name as text."""
    return METHOD_NAMES.get(name) or name.replace("_", " ")


def method_label(name: str) -> str:
    """A method's name as text, with soft hyphens in long words."""
    words = method_name(name).split(" ")
    return " ".join(word if len(word) <= 12 else word[:9] + SOFT_HYPHEN + word[9:] for word in words)


def format_count(count: int, one: str, many: str = "") -> str:
    """1 row, 3 rows."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def describe_rows_needed(finding: Finding) -> str:
    """How many further rows would decide an undecided check, or that no practical number does; else empty."""
    number = "" if finding.more is None else f"about {format_count(finding.more, 'more row')}"
    if finding.is_practically_undecidable:
        return f"practically undecidable with this data{f' ({number})' if number else ''}"
    return f"{number} would decide it" if number and finding.verdict == "undecided" else ""
