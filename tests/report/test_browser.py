"""The page in a real browser: no text runs or loads anything, and the page is accessible."""

from __future__ import annotations

import base64
import functools
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.report.benchmark_tables import evil_table, planted
from tests.report.browser import Browser, browser, missing
from tests.report.comparison import comparison, evil, same
from tests.report.extreme_records import empty, hostile, wide
from tests.report.photograph_record import photographs
from tests.report.record import complete, credit

from assay.nouns.records.record import Record
from assay.report.audit.page import UNSEEN, render
from assay.report.benchmark.page import render_benchmark
from assay.report.comparison.page import render_comparison

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(bool(missing()), reason=f"not installed: {missing()}"),
]

PAYLOADS = {
    "a script": "<script>document.title='ran'</script>",
    "an image's error": '"><img src=x onerror="document.title=\'ran\'">',
    "a drawing's load": "</title></svg><svg onload=\"document.title='ran'\"><animate onbegin=document.title='ran'>",
    "a script's address": "<a href=\"javascript:document.title='ran'\">javascript:document.title='ran'</a>",
    "the end of the style": "</style><script>document.title='ran'</script><style>@import 'http://127.0.0.1:9/x'",
    "the end of the title": "</title><script>document.title='ran'</script><base href='http://127.0.0.1:9/'>",
    "another attribute": "' autofocus tabindex=1 onfocus=\"document.title='ran'\" style='background:url(//x)' x=\"",
    "unseen characters": "\u202e\uff1cscript\uff1e\u2028<scr\x00ipt>document.title='ran'</scr\x00ipt>\u2066\ufeff",
    "a template": "{{ 7*7 }}{% include 'style.css' %}${7*7}#{7*7}<%= 7*7 %>{{''.__class__.__mro__}}",
    "a page of data": "<iframe src=\"data:text/html,<script>parent.document.title='ran'</script>\"></iframe>"
    "<meta http-equiv=refresh content='0;url=data:text/html,x'><link rel=stylesheet href=//127.0.0.1:9/x.css>",
}
PAGES = {
    "tables": lambda: render(complete(credit())),
    "images": lambda: render(complete(photographs())),
    "nothing": lambda: render(empty()),
    "a thousand columns": lambda: render(wide()),
    "a comparison": lambda: render_comparison(comparison()),
    "nothing to compare": lambda: render_comparison(same()),
    "planted truth": lambda: render_benchmark(planted()),
}


BROKEN_NUMBERS = """
document.querySelectorAll('details').forEach(d => d.open = true);
const broken = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const node = walker.currentNode;
  if (!node.parentElement.closest('table') || node.parentElement.closest('.sr-only, svg, code')) continue;
  for (const match of node.data.matchAll(/(?<![\\w.])[−+]?\\d[\\d.,]*(?![\\w.])/g)) {
    const range = document.createRange();
    range.setStart(node, match.index); range.setEnd(node, match.index + match[0].length);
    const tops = new Set([...range.getClientRects()].filter(r => r.width).map(r => Math.round(r.top)));
    if (tops.size > 1) broken.push(match[0]);
  }
}
return broken;
"""
"""Numbers in tables that stand on several lines."""


@pytest.fixture(scope="module")
def window() -> Iterator[Browser]:
    with browser() as opened:
        yield opened


def written(record: Record, folder: Path) -> Path:
    return placed(render(record), folder)


@functools.cache
def rendered(kind: str) -> str:
    return PAGES[kind]()


def placed(page: str, folder: Path) -> Path:
    path = folder / "report.html"
    path.write_text(page, encoding="utf-8")
    return path


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_no_text_runs_or_loads_anything(payload: str, window: Browser, tmp_path: Path) -> None:
    window.open(written(hostile(payload), tmp_path))
    title = nothing_runs(window, payload)
    assert window.run("return document.querySelector('h1').innerText").strip()[:20] == title[:20]


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_no_text_of_a_comparison_runs_or_loads_anything(payload: str, window: Browser, tmp_path: Path) -> None:
    window.shown_as()
    window.open(placed(render_comparison(evil(payload)), tmp_path))
    nothing_runs(window, f"{payload}, {payload} → {payload}")
    assert window.faults() == []


def test_no_method_name_runs_or_loads_anything(window: Browser, tmp_path: Path) -> None:
    window.shown_as(width=375)
    window.open(placed(render_benchmark(evil_table(" ".join(PAYLOADS.values()))), tmp_path))
    nothing_runs(window, "Planted-truth benchmark")
    assert window.faults() == []


def nothing_runs(window: Browser, text: str) -> str:
    """The title is the text itself; the text makes no element, address or handler."""
    title: str = window.run("document.querySelectorAll('details').forEach(d => d.open = true); return document.title")
    assert title == re.sub("[ \t\n\r\f]+", " ", text.translate(UNSEEN)).strip()
    assert window.run("return performance.getEntriesByType('resource').length") == 0
    assert (
        window.run("return document.querySelectorAll('script, iframe, link, base, object, form, animate').length") == 0
    )
    assert window.run("return document.querySelectorAll('meta[http-equiv]').length") == 1
    assert (
        window.run("return [...document.all].flatMap(e => [...e.attributes]).filter(a => /^on/i.test(a.name)).length")
        == 0
    )
    assert window.log() == []
    return title


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_a_hostile_page_is_as_readable_as_any(payload: str, window: Browser, tmp_path: Path) -> None:
    window.shown_as()
    window.open(written(hostile(payload), tmp_path))
    assert window.faults() == []


def test_hostile_file_and_class_names_of_images_do_nothing(window: Browser, tmp_path: Path) -> None:
    payload = PAYLOADS["an image's error"]
    record = complete(photographs(8))
    shown = {
        name: replace(e, ids=(payload,) * 8, labels=(payload,) * 8)
        for name, e in record.explanations.items()
        if name in ("shapley", "lime")
    }
    rivals = {"shapley": replace(record.rivals["shapley"], labels=(payload,) * 8)}
    window.open(written(replace(record, explanations=shown, rivals=rivals, predictions=(payload,) * 8), tmp_path))
    assert window.run("return document.title") != "ran"
    assert window.run("return [...document.images].filter(i => !i.src.startsWith('data:image/png')).length") == 0
    assert window.faults() == []
    assert window.log() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", PAGES)
def test_the_page_is_accessible(kind: str, scheme: str, window: Browser, tmp_path: Path) -> None:
    window.shown_as(scheme=scheme)
    window.open(placed(rendered(kind), tmp_path))
    assert window.faults() == []
    assert window.run("return performance.getEntriesByType('resource').length") == 0
    assert window.log() == []


@pytest.mark.parametrize("kind", PAGES)
def test_the_page_fits_a_window_of_320_pixels(kind: str, window: Browser, tmp_path: Path) -> None:
    window.shown_as(width=320)
    window.open(placed(rendered(kind), tmp_path))
    assert window.faults() == []


@pytest.mark.parametrize("kind", ["tables", "images", "a comparison"])
def test_on_paper_folds_stay_as_on_screen_and_all_is_dark_on_white(kind: str, window: Browser, tmp_path: Path) -> None:
    window.shown_as(scheme="dark", media="print", width=794)
    window.open(placed(rendered(kind), tmp_path))
    folded = "[...document.querySelectorAll('details:not([open]) > :not(summary)')].filter(e => e.checkVisibility())"
    assert window.run(f"return {folded}.length") == 0
    assert window.faults() == []  # unfolds everything


@pytest.mark.parametrize(("kind", "most"), [("tables", 15), ("images", 15), ("a comparison", 15)])
def test_a_printed_page_is_short(kind: str, most: int, window: Browser, tmp_path: Path) -> None:
    window.shown_as()
    window.open(placed(rendered(kind), tmp_path))
    printed = base64.b64decode(window.devtools("Page.printToPDF", paperWidth=8.27, paperHeight=11.69)["data"])
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b", printed)) <= most


def test_on_paper_evidence_has_the_full_width_and_no_tile_card_or_row_is_divided(
    window: Browser, tmp_path: Path
) -> None:
    window.shown_as(media="print", width=700)
    window.open(placed(rendered("tables"), tmp_path))
    shares = window.run(
        "document.querySelectorAll('details').forEach(d => d.open = true);"
        "return [...document.querySelectorAll('.more')].map(e => e.clientWidth / e.parentElement.clientWidth)"
    )
    assert len(shares) > 5
    assert min(shares) > 0.9
    divided = (
        "return [...document.querySelectorAll('.tiles, .tiles li, .chart, .card, tr, .numbers')]"
        ".filter(e => getComputedStyle(e).breakInside !== 'avoid').length"
    )
    assert window.run(divided) == 0


@pytest.mark.parametrize("kind", ["tables", "a thousand columns"])
@pytest.mark.parametrize(("width", "media"), [(320, ""), (1280, ""), (700, "print")])
def test_no_number_is_broken_across_lines(kind: str, width: int, media: str, window: Browser, tmp_path: Path) -> None:
    window.shown_as(width=width, media=media)
    window.open(placed(rendered(kind), tmp_path))
    assert window.run(BROKEN_NUMBERS) == []


def test_the_checks_find_what_is_planted(window: Browser, tmp_path: Path) -> None:
    window.shown_as()
    window.open(written(empty(), tmp_path))
    window.run(
        "document.querySelector('main').innerHTML += '<h5>x</h5><img src=\"data:,\"><table><tr><th>a</th></tr></table>"
        '<a href="#gone">x</a><p style="color:#999">pale</p><p tabindex="3" id="verdict">y</p>\''
    )
    found = " / ".join(window.faults())
    for word in ("no text for", "heading 5", "without a scope", "nowhere", "contrast", "out of order", "id twice"):
        assert word in found
