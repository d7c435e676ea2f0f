from __future__ import annotations

import ast
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from tests.report.extreme_records import empty, hostile, wide
from tests.report.page import Page
from tests.report.photograph_record import photographs
from tests.report.record import complete, credit

from assay.basics.stats import Interval
from assay.report.audit.page import UNSEEN, render
from assay.report.drawing.image_maps import BUDGET, draw_images

PAYLOADS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</style><script>alert(1)</script>",
    "</title></svg><svg onload=alert(1)>",
    "javascript:alert(1)",
    "{{ 7 * 7 }}{% for x in () %}",
    "<!-- --><iframe srcdoc='<script>1</script>'>",
    '"></a><a href="http://evil.example/">x',
    "&lt;script&gt;\x00\u202e<b>{}</b>%s{0}",
)
SECTIONS = (
    "verdict",
    "performance",
    "findings",
    "explanations",
    "reasons",
    "repairs",
    "waivers",
    "not-run",
    "scores",
    "methods",
    "attacks",
    "limits",
    "reproduce",
    "glossary",
)
ALLOWED = {
    "class",
    "id",
    "href",
    "src",
    "alt",
    "title",
    "style",
    "role",
    "tabindex",
    "lang",
    "open",
    "scope",
    "colspan",
}
DRAWN = {
    "x",
    "y",
    "x1",
    "x2",
    "y1",
    "y2",
    "cx",
    "cy",
    "r",
    "rx",
    "d",
    "width",
    "height",
    "viewbox",
    "transform",
    "text-anchor",
}
HEAD = {"charset", "http-equiv", "content", "name", "aria-hidden", "aria-label", "aria-labelledby"}


@pytest.fixture(scope="module")
def tables() -> Page:
    return Page(render(credit()))


@pytest.fixture(scope="module")
def images() -> Page:
    return Page(render(photographs()))


@pytest.fixture(params=["tables", "images", "nothing"])
def page(request: pytest.FixtureRequest) -> Page:
    return Page(render(empty())) if request.param == "nothing" else request.getfixturevalue(request.param)


def test_every_tag_is_closed_in_order(page: Page) -> None:
    assert (page.open, page.wrong) == ([], [])


def test_no_attribute_points_outside_the_page(page: Page) -> None:
    targets = [a[name] for _, a in page.elements for name in ("src", "href", "srcset", "data", "action") if name in a]
    assert [t for t in targets if not t.startswith(("#", "data:image/png;base64,"))] == []
    assert not re.search(r"url\(|@import|https?://", page.source)


def test_the_security_policy_forbids_loading_and_running(page: Page) -> None:
    policy = [a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]
    assert page.all("script") == []


def test_every_link_has_a_target(page: Page) -> None:
    places = {a["id"] for _, a in page.elements if "id" in a}
    assert {a["href"][1:] for _, a in page.elements if "href" in a} - places == set()


def test_ids_do_not_repeat(page: Page) -> None:
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))


def test_the_sections_have_one_order_and_empty_ones_are_left_out(page: Page) -> None:
    found = tuple(a["id"] for a in page.all("section"))
    assert found == tuple(name for name in SECTIONS if name in found)


def test_a_complete_record_has_all_sections_and_an_empty_one_only_the_verdict() -> None:
    sections = [[a["id"] for a in Page(render(r)).all("section")] for r in (complete(credit()), empty())]
    assert sections == [list(SECTIONS), ["verdict"]]


def test_headings_never_skip_a_level_down(page: Page) -> None:
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_the_page_says_its_language_title_and_width(page: Page) -> None:
    assert page.all("html") == [{"lang": "en"}]
    assert any(a.get("name") == "viewport" for a in page.all("meta"))
    assert re.search(r"<title>[^<]+</title>", page.source)


def test_every_image_has_a_text(page: Page) -> None:
    assert [a for a in page.all("img") if not a.get("alt")] == []
    drawings = re.findall(r"<svg\b([^>]*)>(<title>[^<]+</title>)?", page.source)
    assert [a for a, title in drawings if not title and 'aria-hidden="true"' not in a] == []


def test_the_table_page_is_at_most_300_kilobytes(tables: Page) -> None:
    assert len(tables.source.encode()) <= 300_000


def test_the_image_page_is_at_most_300_kilobytes(images: Page) -> None:
    assert len(images.source.encode()) <= 300_000


def test_a_page_with_galleries_is_at_most_300_kilobytes() -> None:
    assert max(len(render(complete(record)).encode()) for record in (credit(), photographs())) <= 300_000


def test_a_thousand_columns_with_names_of_300_characters_take_at_most_a_megabyte_and_a_half() -> None:
    page = render(wide())
    assert len(page.encode()) <= 1_500_000
    assert "…" in page
    assert f'title="{wide().explanations["shapley"].features.names[0]}"' in page or 'title="column ' in page


def test_times_fingerprints_seed_and_cost_are_under_reproduce() -> None:
    part = Page(render(complete(credit())).split('<section id="reproduce"')[1].split("</section>")[0]).text
    provenance = credit().explanations["shapley"].provenance
    expected = (
        provenance.model_fingerprint,
        provenance.rows_fingerprint,
        "2026-11-22 04:43 UTC",
        "1,604,860",
        "1,204,331",
        "seed 0",
        "profile standard",
    )
    assert [text for text in expected if text not in part] == []


def test_images_stay_within_their_budget() -> None:
    views = draw_images(photographs(6, 176)).views
    uris = [uri for s in views for uri in (s.image, *(u for p in s.maps for u in (p.map, p.rival_map)))]
    assert sum(map(len, uris)) <= BUDGET


def test_every_finding_is_there_with_code_claim_and_verdict(tables: Page) -> None:
    codes = re.findall(r"<code>([A-Z]{3}\d{3})</code>", tables.source.split('<section id="explanations"')[0])
    checks = {(f.code, f.verdict) for f in credit().findings}
    assert sorted(codes) == sorted(code for code, _ in checks)
    assert [f.claim for f in credit().findings if f.claim not in tables.text] == []


def test_failed_precede_undecided_and_undecided_precede_passed(tables: Page) -> None:
    words = ["failed", "undecided", "passed", "informative", "not applicable"]
    lines = re.findall(rf"(?:\d+ (?:{'|'.join(words)})(?:, )?)+", tables.text)
    assert len(lines) > 3
    for line in lines:
        ranks = [words.index(word) for word in re.findall(r"\d+ ([a-z ]+)", line)]
        assert ranks == sorted(ranks)


def test_the_need_is_printed_in_words_with_its_direction(tables: Page) -> None:
    assert "needs ≤ 0.10" in tables.text
    assert "needs ≥ 0.00" in tables.text


def test_a_value_that_is_undefined_says_so() -> None:
    unknown = replace(
        credit().findings[0], estimate=float("nan"), interval=Interval(float("nan"), float("nan"), 0.95, "")
    )
    text = Page(render(replace(empty(), findings=(unknown,)))).text
    assert "undefined" in text
    assert not re.search(r"\bnan\b", text, re.I)


def test_no_number_is_shown_as_nan_or_inf(page: Page) -> None:
    assert re.search(r"\b(nan|inf|None|True|False)\b", page.text) is None


def test_every_part_of_the_record_is_on_the_page(tables: Page) -> None:
    record = credit()
    expected = [
        *record.about.values(),
        *record.limits,
        record.reproduce,
        record.not_run[0].enable,
        record.refusals[0].reason,
        record.repairs[0].change,
        record.certificates["mus"].theorem,
        *record.certificates["mus"].assumptions,
        record.attack_results["integrated_gradients"].quantity,
        "approved applicants",
        "all applicants",
        "1,204,331",
        "the score is undefined (NaN) for 1 row: 0",
    ]
    assert [text for text in expected if text not in tables.text] == []


def test_each_method_is_explained_once_in_the_glossary(tables: Page) -> None:
    glossary = tables.source.split('<dl class="glossary">')[1]
    record = credit()
    meanings = {r.meaning for r in (*record.explanations.values(), *record.scores.values())}
    assert [m for m in meanings if glossary.count(m.replace("'", "&#39;")) != 1] == []


def test_the_page_says_how_much_it_has(tables: Page, images: Page) -> None:
    assert "3 of 40 rows, 8 largest features each" in tables.text
    assert "6 of 8 images and 12 of 12 methods;" in images.text


def test_a_repair_shows_the_finding_before_and_after(tables: Page) -> None:
    part = Page(tables.source.split('<section id="repairs"')[1].split("</section>")[0]).text
    assert re.search(r"before fail .*0\.18.* after pass .*0\.03", part)
    assert "not tested" in part


def test_the_headline_of_an_empty_record() -> None:
    text = Page(render(empty())).text
    assert "No check of the model was made." in text
    assert "Findings" not in text


def test_the_same_record_gives_the_same_page() -> None:
    assert render(photographs(2)) == render(photographs(2))


@pytest.mark.parametrize("payload", PAYLOADS)
def test_hostile_text_stays_text(payload: str) -> None:
    page = Page(render(hostile(payload)))
    assert (page.open, page.wrong) == ([], [])
    names = {name for _, attributes in page.elements for name in attributes}
    assert names <= ALLOWED | DRAWN | HEAD
    assert {tag for tag, _ in page.elements} & {"script", "iframe", "b:", "object", "embed", "form"} == set()
    assert [a["href"] for _, a in page.elements if "href" in a and not a["href"].startswith("#")] == []
    shown = re.sub(r"\s+", " ", payload.translate(UNSEEN))
    assert page.text.count(shown) > 20


@pytest.mark.parametrize("payload", PAYLOADS)
def test_hostile_file_and_class_names_of_images_stay_text(payload: str) -> None:
    record = photographs(2)
    few = {
        name: replace(e, ids=(payload, "b"), labels=(payload,) * 2)
        for name, e in record.explanations.items()
        if name in ("shapley", "lime")
    }
    rival = {"shapley": replace(record.rivals["shapley"], labels=(payload,) * 2)}
    bare = replace(empty(), explanations=few, rivals=rival, predictions=(payload,) * 2)
    page = Page(render(bare))
    assert (page.open, page.wrong) == ([], [])
    assert {name for _, attributes in page.elements for name in attributes} <= ALLOWED | DRAWN | HEAD
    assert all(payload.translate(UNSEEN)[:8] in a["alt"] for a in page.all("img")[:1])


def test_the_report_imports_basics_and_nouns_only() -> None:
    import assay.report

    found = set()
    for file in Path(assay.report.__path__[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("assay"):
                found.add(node.module.split(".")[1])
    assert found == {"basics", "nouns", "report"}
