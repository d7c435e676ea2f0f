"""Pictures of the rows that show a finding: which rows, on the page within a budget, in files, never as text."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from markupsafe import escape
from numpy.testing import assert_allclose
from tests.report.extreme_records import empty
from tests.report.page import Page
from tests.tagged_digits import CLASS, tagged, tagged_case

import assay
from assay import diagnose, explain
from assay.auditing.audit import prepare
from assay.auditing.run import record_to_dict
from assay.auditing.schema import ResultFile
from assay.auditing.steps.evidence_rows import PICTURED, EvidenceRows
from assay.engine.pictures.thumbnails import SIDE, thumbnail
from assay.engine.shortcuts.attribution_maps import attribution_maps
from assay.nouns.records.record import Record
from assay.nouns.records.store import load, save
from assay.nouns.results.finding import EvidencePicture, Finding
from assay.planted.networks import to_tensor
from assay.planted.watermark import TAG
from assay.report.audit.page import render
from assay.report.findings import finding_list
from assay.report.findings.evidence import evidence_pictures
from assay.report.findings.finding_list import OF_A_FINDING

G = np.random.default_rng(0)
MARKUP = "<script>alert(1)</script>\" onerror='x'"


@cache
def cluster() -> Finding:
    return diagnose.shortcut_clusters(tagged_case(1, 0.2))[0]


def fault(**given: Any) -> Finding:
    return Finding(**{"code": "SHC301", "verdict": "fail", "claim": "a claim", "subject": "net", **given})


def with_findings(*findings: Finding) -> Record:
    return replace(empty(), findings=findings)


def noise(channels: int = 3, side: int = SIDE) -> np.ndarray:
    return G.random((channels, side, side)).astype(np.float32)


def test_a_cluster_has_the_pictures_of_both_medoids_and_the_mean_maps_of_its_explanations() -> None:
    case, found = tagged_case(1, 0.2), cluster()
    medoid, mean_map, other, other_map, *further = found.pictures
    assert medoid.caption == f"row {found.evidence['medoid']}, medoid of the cluster"
    assert_allclose(medoid.values, np.asarray(case.rows.x[int(found.evidence["medoid"])]))
    assert (medoid.values[0][TAG] == 1).all()
    assert f"other rows of {CLASS}" in other.caption
    assert not (other.values[0][TAG] == 1).all()
    explained = explain.input_x_gradient(case.with_target(label="predicted")).values.reshape(len(case), 1, 8, 8)
    maps = attribution_maps(explained)
    inside = [int(row) for row in found.rows]
    same = [row for row in np.flatnonzero(case.predicted(case.rows.x) == CLASS) if row not in inside]
    assert_allclose(mean_map.values, maps[inside].mean(axis=0), atol=1e-6)
    assert_allclose(other_map.values, maps[same].mean(axis=0), atol=1e-6)
    assert [one.caption for one in further] == [f"row {row}, in the cluster" for row in sorted(inside[1:])[:2]]


def test_the_tag_is_where_the_mean_map_of_the_cluster_is_strongest() -> None:
    mean_map = cluster().pictures[1]
    assert mean_map.is_map
    assert TAG[np.unravel_index(np.argmax(mean_map.values), TAG.shape)]


def test_the_page_draws_them_and_a_saved_file_has_them(tmp_path: Any) -> None:
    record = with_findings(cluster())
    page = Page(render(record))
    texts = [image["alt"] for image in page.all("img")]
    assert texts == [one.caption for one in cluster().pictures]
    assert "one colour scale" in page.text
    again = load(save(record, tmp_path / "run.assay"))
    assert render(again) == render(record)
    for one, other in zip(again.findings[0].pictures, cluster().pictures, strict=True):
        assert (one.caption, one.values.dtype) == (other.caption, other.values.dtype)
        assert_allclose(one.values, other.values, rtol=0)


def test_json_for_programs_names_them_by_caption_and_fingerprint() -> None:
    record = with_findings(fault(pictures=(EvidencePicture("row 1", noise()),)))
    written = json.dumps(record_to_dict(record))
    (described,) = ResultFile.model_validate_json(written).findings[0].pictures
    assert "caption='row 1'" in described.text
    assert described.fingerprint == record.findings[0].pictures[0].fingerprint
    assert len(written) < 5000


@pytest.mark.parametrize("caption", [MARKUP, "x" * 5000, "", "‮abc"])
def test_captions_are_text_and_cut(caption: str) -> None:
    page = Page(render(with_findings(fault(pictures=(EvidencePicture(caption, noise(side=8)),)))))
    assert not page.wrong
    assert not page.all("script")
    (image,) = page.all("img")
    assert set(image) == {"src", "alt"}
    assert len(image["alt"]) <= 80
    assert str(escape(MARKUP)) not in page.source or caption == MARKUP


@pytest.mark.parametrize(
    "values",
    [
        np.zeros(3),
        np.zeros((2, 4, 4)),
        np.zeros((1, 3, 4, 4)),
        np.full((1, 4, 4), np.nan),
        np.full((4, 4), np.nan),
        np.full((3, 4, 4), np.inf),
        np.full((4, 4), -np.inf),
    ],
    ids=["vector", "two channels", "four axes", "no number", "map without numbers", "infinite", "infinite map"],
)
def test_values_that_are_no_picture_break_no_page(values: np.ndarray) -> None:
    pictures = (EvidencePicture("odd", values), EvidencePicture("good", noise(1, 8)))
    with np.errstate(all="raise"):
        texts = [image["alt"] for image in Page(render(with_findings(fault(pictures=pictures)))).all("img")]
    is_drawn = values.ndim == 2 or (values.ndim == 3 and len(values) in (1, 3))
    assert texts == ["odd"] * is_drawn + ["good"]


@pytest.mark.parametrize("budget", [60_000, OF_A_FINDING, 6000, 2000, 100])
def test_pictures_of_a_finding_become_smaller_and_fewer_until_they_fit(budget: int) -> None:
    pictures = [EvidencePicture(f"row {i}", noise()) for i in range(12)]
    drawn = evidence_pictures(pictures, budget)
    assert drawn.count("<img") in range(9)
    assert len(drawn) <= budget + 100
    assert bool(drawn) == (budget >= 6000)


def test_all_findings_together_have_a_budget_and_lose_no_text_to_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    findings = [fault(code=f"DAT{i}", pictures=(EvidencePicture("a", noise()),), meaning=f"m{i}") for i in range(20)]
    drawn = finding_list.list_findings(with_findings(*findings))
    views = [view for group in drawn.groups for view in group.views]
    sizes = [len(view.details) for view in views if "<img" in view.details]
    assert 0 < len(sizes) < len(views)
    assert sum(sizes) <= finding_list.PICTURES + 500 * len(sizes)
    assert all(view.finding.meaning in view.details for view in views)
    budget = finding_list.line_size(views) + 3000
    small = finding_list.list_findings(with_findings(*findings), budget)
    assert small.shortened == 0
    assert not any("<img" in view.details for group in small.groups for view in group.views)


def test_equal_pictures_are_printed_once() -> None:
    pictures = (EvidencePicture("a", noise()),)
    page = Page(render(with_findings(*(fault(subject=name, pictures=pictures) for name in "ab"))))
    assert len(page.all("img")) == 1
    assert "Pictures: the same as for" in page.text


@cache
def evidence() -> EvidenceRows:
    net, rows, y, _ = tagged(1, 0.2)
    given = {"methods": ["input_x_gradient"], "scores": ["sparseness"], "profile": "quick"}
    train = (to_tensor(rows[:50]), y[:50])
    return prepare(assay.wrap(net), to_tensor(rows[100:150]), y[100:150], train=train, **given).evidence


def test_rows_and_training_rows_that_a_failure_names_are_shown_with_their_labels() -> None:
    _, rows, y, _ = tagged(1, 0.2)
    found = evidence().add_pictures(
        [fault(rows=("7", "3", "0", "1", "2")), fault(rows=("9", "nowhere"), rows_of="train", verdict="undecided")],
        y[100:150].tolist(),
    )
    assert [one.caption for one in found[0].pictures] == [f"row {i}, label {y[100 + i]}" for i in (7, 3, 0, 1)]
    assert len(found[0].pictures) == PICTURED
    assert_allclose(found[0].pictures[0].values, rows[107], atol=1e-6)
    (one,) = found[1].pictures
    assert one.caption == f"training row 9, label {y[9]}"
    assert_allclose(one.values, rows[9], atol=1e-6)
    assert evidence().add_pictures([fault(rows=("7",))], [])[0].pictures[0].caption == "row 7"


def test_findings_that_pass_or_have_pictures_are_left_as_they_are_and_tables_have_none() -> None:
    own = (EvidencePicture("own", noise(1, 4)),)
    given = [fault(verdict="pass", rows=("1",)), fault(rows=("1",), pictures=own)]
    assert [one.pictures for one in evidence().add_pictures(given, [])] == [(), own]
    case = assay.case(assay.wrap(lambda x: x[:, :1], output="values"), np.zeros((3, 2)), label=None)
    of_table = replace(evidence(), whole=case)
    assert of_table.add_pictures([fault(rows=("1",))], [])[0].pictures == ()


def test_a_picture_of_a_result_is_small_whatever_its_size() -> None:
    assert thumbnail(np.zeros((3, 300, 50))).shape == (3, 60, 10)
    flat = thumbnail(np.arange(4.0 * SIDE**2).reshape(1, 2 * SIDE, 2 * SIDE))
    assert flat.shape == (1, SIDE, SIDE)
    assert flat[0, 0, 0] == (0 + 1 + 2 * SIDE + 2 * SIDE + 1) / 4
