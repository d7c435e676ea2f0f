"""The questionnaire in a real browser: hostile texts are only text, nothing is loaded, and its file is evaluated."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tests.evaluate.test_study import designed, rows_of
from tests.report.browser import Browser, browser, missing
from tests.report.test_browser import PAYLOADS

from assay import evaluate
from assay.nouns.studies.questionnaire import PHASES, Questionnaire
from assay.report.audit.page import UNSEEN
from assay.report.study.page import render_questionnaire

needs_browser = [pytest.mark.browser, pytest.mark.skipif(bool(missing()), reason=f"not installed: {missing()}")]


def hostile(payload: str, kind: str) -> Questionnaire:
    """A study whose every text is hostile: title, consent, classes, columns, cells and the name of the method."""
    study = small(kind)

    def row(one: Any) -> Any:
        values = {arm if arm != study.method else payload: value for arm, value in one.values.items()}
        changed = (payload,) * len(one.changed)
        return replace(one, cells=(payload,) * len(one.cells), changed=changed, values=values)

    return replace(
        study,
        title=payload,
        consent=payload,
        method=payload,
        classes=(f"{payload}0", f"{payload}1"),
        names=(payload,) * len(study.names),
        arms=tuple(payload if arm == study.method else arm for arm in study.arms),
        teaching=tuple(map(row, study.teaching)),
        blocks=tuple(tuple(map(row, block)) for block in study.blocks),
    )


@cache
def small(kind: str) -> Questionnaire:
    return designed(kind, 4)


TAGS = ("script", "title", "style", "img", "iframe", "meta", "svg", "base", "!--")


@pytest.mark.parametrize("kind", ["forward", "counterfactual"])
@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_no_text_leaves_its_element(payload: str, kind: str) -> None:
    page, plain = (render_questionnaire(one).lower() for one in (hostile(payload, kind), small(kind)))
    assert [page.count(f"<{tag}") for tag in TAGS] == [plain.count(f"<{tag}") for tag in TAGS]
    page = render_questionnaire(hostile(payload, kind))
    data = page.partition('id="data">')[2].partition("</script>")[0]
    assert not set(data) & set("<>&\u2028\u2029\u202e\x00")
    assert json.loads(data)["title"] == payload.translate(UNSEEN)


@pytest.fixture(scope="module")
def window() -> Iterator[Browser]:
    with browser() as opened:
        yield opened


ANSWER = """
const texts = [];
document.getElementById('person').value = String(arguments[0]);
document.getElementById('agree').checked = true;
document.querySelector('button').click();
for (let step = 0; step < 200; step++) {
  texts.push(document.getElementById('main').innerText);
  const area = document.querySelector('textarea');
  if (area) {
    const link = document.querySelector('a.download');
    return { file: area.value, name: link.download, address: link.href.slice(0, 5), texts: texts };
  }
  const isCheck = document.querySelector('h2').textContent === 'A check';
  const named = isCheck && document.querySelector('p strong').textContent;
  const buttons = [...document.querySelectorAll('button')];
  (buttons.find(one => one.textContent === named) || buttons[0]).click();
}
return null;
"""
"""Fills the page in as person N, always with the first class, and returns the file and what was shown."""


@pytest.mark.parametrize("kind", ["forward", "counterfactual"])
@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
class TestInBrowser:
    pytestmark = needs_browser

    def test_hostile_texts_do_nothing_and_the_file_is_evaluated(
        self, payload: str, kind: str, window: Browser, tmp_path: Path
    ) -> None:
        study = hostile(payload, kind)
        page = tmp_path / "study.html"
        page.write_text(render_questionnaire(study), encoding="utf-8")
        window.open(page)
        done = window.run(ANSWER, 2)
        assert window.run("return document.title") != "ran"
        assert window.run("return performance.getEntriesByType('resource').length") == 0
        assert window.run("return document.querySelectorAll('iframe, link, base, object, form, svg, img').length") == 0
        assert window.run("return document.querySelectorAll('script').length") == 2
        assert window.log() == []
        assert (done["name"], done["address"]) == ("answers-2.json", "blob:")
        found = evaluate.study([json.loads(done["file"])], study)
        arm, _ = study.cell(2)
        assert found.arms[arm].people == 1
        assert sum(found.excluded.values()) == 0
        given = {(one["phase"], one["row"]) for one in json.loads(done["file"])["answers"]}
        assert len(given) == len(rows_of(study))
        assert {phase for phase, _ in given} == set(PHASES)


@pytest.mark.browser
@pytest.mark.skipif(bool(missing()), reason=f"not installed: {missing()}")
def test_the_policy_of_the_page_runs_its_own_script_and_no_other(window: Browser, tmp_path: Path) -> None:
    page = tmp_path / "study.html"
    text = render_questionnaire(small("forward"))
    added = "<script>document.title='ran'</script><img src=x onerror=\"document.title='ran'\">"
    added += "<style>h1 { display: none }</style>"
    page.write_text(text.replace("</body>", f"{added}</body>"), encoding="utf-8")
    window.open(page)
    assert window.run("return document.title") != "ran"
    assert window.run("return getComputedStyle(document.querySelector('h1')).display") != "none"
    assert window.run("return document.querySelectorAll('button').length") == 1
    assert any("Content Security Policy" in line for line in window.log())
