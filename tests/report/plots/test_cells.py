"""Heat maps, coloured texts and interaction matrices: colours and numbers are those of the result."""

from __future__ import annotations

import base64
import io
import itertools
from dataclasses import replace

import numpy as np
import pytest
from tests.report.plots.drawn import SVG, all_of, number, paired, parsed, pictures, texts, words_of

from assay.report.drawing.colours import DIVERGING, colour_levels


def embedded(plot: object) -> list[np.ndarray]:
    """The embedded pictures as arrays (height, width, 3)."""
    image = pytest.importorskip("PIL.Image")
    files = [e.attrib["href"].partition(",")[2] for e in all_of(parsed(plot), "image")]
    return [np.asarray(image.open(io.BytesIO(base64.b64decode(file))).convert("RGB")) for file in files]


def test_a_heat_map_has_the_colour_of_each_patch_over_a_grey_picture() -> None:
    plot = pictures().plot(row=0)
    picture, grey, coloured = embedded(plot)
    assert np.ptp(grey, axis=2).max() == 0
    assert np.abs(picture.astype(int) - grey).max() <= 3  # palettes
    expected = DIVERGING[colour_levels(np.array([1.0, -0.5, 0.0, 0.25]), -1.0, 1.0)]
    assert (coloured[[0, 0, 4, 4], [0, 4, 0, 4]] == expected).all()
    assert coloured.shape == (8, 8, 3)
    ends = [t.text for t in all_of(parsed(plot), "text", "data-legend")]
    assert ends == ["−1", "1"]


def test_undefined_pixels_are_counted() -> None:
    values = np.array([[1.0, np.nan, 0.0, 0.25]])
    assert "undefined and drawn as 0: 16 pixels" in words_of(pictures(values).plot())


def test_pictures_beyond_the_most_are_counted() -> None:
    plot = pictures(np.ones((6, 4))).plot()
    assert len(all_of(parsed(plot), "image")) == 3 * 4
    assert "Not drawn: 2 more rows." in words_of(plot)


def test_words_have_their_values_and_colours_as_strong_as_their_size() -> None:
    groups = all_of(parsed(texts().plot()), "g", "data-value")
    assert [(g.attrib["data-name"], number(g, "data-value")) for g in groups] == [
        ("not", 0.5),
        ("a", -1.0),
        ("film", 0.0),
        ("so", 0.25),
        ("good", 0.0),
    ]
    boxes = [g.find(SVG + "rect") for g in groups]
    assert [number(b, "fill-opacity") for b in boxes] == [0.3, 0.6, 0.0, 0.15, 0.0]
    assert [b.attrib["fill"] for b in boxes[:2]] == ["#0072B2", "#D55E00"]


def test_a_word_without_an_attribution_has_no_colour_and_is_counted() -> None:
    plot = texts(((0.5, np.nan, 0.0), (0.25, 0.0, 0.0))).plot()
    (group,) = [g for g in all_of(parsed(plot), "g", "data-value") if g.attrib["data-name"] == "a"]
    assert number(group.find(SVG + "rect"), "fill-opacity") == 0.0
    assert "Without an attribution: 1 word." in words_of(plot)


def test_words_of_every_length_stay_inside_320_pixels_and_do_not_overlap() -> None:
    words = (*tuple("w" * n or "x" for n in (1, 90, 3, 38, 20, 20, 0, 2)), "長い言葉" * 12)
    count = len(words)
    found = texts()
    features = replace(found.features, index=np.arange(count)[None], names=tuple(map(str, range(count))))
    one = replace(
        found,
        values=np.ones((1, count)),
        features=features,
        part_texts=(words,),
        ids=("r",),
        x=np.ones((1, count)),
        base=np.zeros(1),
        output=np.ones(1),
    )
    boxes = [
        (number(r, "x"), number(r, "y"), number(r, "width"))
        for g in all_of(parsed(one.plot()), "g", "data-value")
        for r in all_of(g, "rect")
    ]
    assert max(x + width for x, _, width in boxes) <= 320
    assert all(b[1] > a[1] or b[0] >= a[0] + a[2] for a, b in itertools.pairwise(boxes))
    text = "".join(t.text or "" for g in all_of(parsed(one.plot()), "g", "data-value") for t in all_of(g, "text"))
    assert text == "".join(words)


def test_in_a_page_the_words_flow_and_have_the_same_values() -> None:
    plot = texts().plot()
    spans = list(parsed(plot._repr_html_()).iter("span"))
    groups = all_of(parsed(plot), "g", "data-value")
    assert [(e.attrib["data-name"], e.attrib["data-value"]) for e in spans] == [
        (g.attrib["data-name"], g.attrib["data-value"]) for g in groups
    ]
    assert "rgba(213,94,0,0.60)" in spans[1].attrib["style"]


def test_a_matrix_of_a_row_has_its_entries() -> None:
    found = paired()
    cells = all_of(parsed(found.plot("interaction matrix", row=1)), "rect", "data-row")
    names = found.features.names
    assert len(cells) == 16
    for cell in cells:
        i, j = names.index(cell.attrib["data-row"]), names.index(cell.attrib["data-column"])
        assert number(cell, "data-value") == found.extra["pairs"][1, i, j]


def test_a_matrix_of_many_rows_has_mean_sizes_with_standard_errors() -> None:
    found = paired(9)
    sizes = np.abs(found.extra["pairs"])
    for cell in all_of(parsed(found.plot()), "rect", "data-row"):
        i, j = (found.features.names.index(cell.attrib[f"data-{side}"]) for side in ("row", "column"))
        assert number(cell, "data-value") == pytest.approx(sizes[:, i, j].mean())
        assert number(cell, "data-stderr") == pytest.approx(sizes[:, i, j].std(ddof=1) / 3)


def test_a_sampled_matrix_has_half_the_errors_of_pairs() -> None:
    sets = np.array([[0, -1], [1, -1], [2, -1], [3, -1], [0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]], dtype=float)
    found = paired(1)
    found = replace(found, extra={**found.extra, "subsets": sets, "stderr": np.arange(10.0)[None] / 10})
    cells = {
        (c.attrib["data-row"], c.attrib["data-column"]): number(c, "data-stderr")
        for c in all_of(parsed(found.plot()), "rect", "data-stderr")
    }
    assert (cells["income", "income"], cells["age", "income"], cells["income", "age"]) == (0.1, 0.2, 0.2)


def test_an_undefined_entry_is_an_empty_cell_with_a_dash() -> None:
    found = paired(1)
    table = found.extra["pairs"].copy()
    table[0, 0, 1] = np.nan
    plot = replace(found, extra={"pairs": table}).plot()
    (cell,) = [c for c in all_of(parsed(plot), "rect", "data-row") if c.attrib["data-value"] == "nan"]
    assert cell.attrib["fill"] == "none"
    assert "–" in words_of(plot)


def test_only_the_features_that_interact_most_are_drawn() -> None:
    found = paired(1)
    table = np.zeros((1, 4, 4))
    table[0, 3, 3], table[0, 1, 1] = 5.0, 2.0
    plot = replace(found, extra={"pairs": table}).plot(most=2)
    assert {c.attrib["data-row"] for c in all_of(parsed(plot), "rect", "data-row")} == {"income", "amount"}
    assert "Not drawn: 2 more features." in words_of(plot)
