"""Result files."""

import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal
from tests.nouns import specimens

import assay
from assay import Blur, Constant, Marginal, Seed, evaluate, examples, explain, recompute
from assay.basics.errors import InputError, Refused
from assay.basics.stats import Interval
from assay.nouns.comparisons.benchmark_table import BenchmarkLine, BenchmarkModel, BenchmarkTable
from assay.nouns.records.jsonable import to_jsonable
from assay.nouns.records.store import load, save
from assay.nouns.results.finding import Finding
from assay.nouns.results.result import Note, Repair, Result

RESULTS = [specimens.explanation(), specimens.score(), specimens.attack_result(), specimens.certificate()]


def assert_same(one: Any, other: Any) -> None:
    """Equal in type and content, arrays with their number type, mappings in their order, features by fingerprint."""
    assert type(one) is type(other)
    if isinstance(one, np.ndarray):
        assert one.dtype == other.dtype
        assert_array_equal(one, other)
    elif isinstance(one, dict):
        assert list(one) == list(other)
        for key in one:
            assert_same(one[key], other[key])
    else:
        assert getattr(one, "fingerprint", one) == getattr(other, "fingerprint", other)


@pytest.mark.parametrize("result", RESULTS, ids=lambda r: type(r).__name__)
def test_every_field_comes_back(result: Result, tmp_path: Path) -> None:
    back = load(result.save(tmp_path / "result.assay"))
    assert type(back) is type(result)
    for item in fields(result):
        if item.name != "provenance":
            assert_same(getattr(back, item.name), getattr(result, item.name))
    assert_same(replace(back.provenance, options={}), replace(result.provenance, options={}))


def test_options_come_back_and_data_leaves_its_fingerprint(tmp_path: Path) -> None:
    options = load(save(specimens.explanation(), tmp_path / "e")).provenance.options
    assert list(options) == list(specimens.OPTIONS)
    plain = {"steps": 32, "share": 0.25, "limit": np.inf, "signed": False, "name": "NaN", "sizes": (1, 2.5, "x")}
    assert {name: options[name] for name in plain} == plain
    assert np.isnan(options["gap"])
    assert options["list"] == [1, None]
    assert options["table"] == {"a": 1.0, "b": -np.inf}
    assert options["remove"] == {"kind": "Constant", "value": 0.0}
    ball = {"kind": "Ball", "norm": "l2", "radius": 0.5, "low": -np.inf, "high": np.inf, "scale": ()}
    assert options["ball"] == ball
    assert options["background"]["kind"] == "Marginal"
    assert options["background"]["fingerprint"] == specimens.OPTIONS["background"].fingerprint
    assert options["start"]["repr"] == "array of float64 (3,)"
    assert len(options["start"]["fingerprint"]) == 32


def test_saving_what_was_loaded_gives_the_same_bytes(tmp_path: Path) -> None:
    first = save(specimens.explanation(), tmp_path / "one")
    second = save(load(first), tmp_path / "two")
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("result", RESULTS, ids=lambda r: type(r).__name__)
def test_one_result_has_one_form_in_bytes(result: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = save(result, tmp_path / "one").read_bytes()
    monkeypatch.setattr("time.time", lambda: 2e9)
    assert save(result, tmp_path / "two").read_bytes() == first


def test_the_file_holds_json_and_safetensors_alone(tmp_path: Path) -> None:
    with zipfile.ZipFile(save(specimens.explanation(), tmp_path / "e")) as pack:
        assert pack.namelist() == ["result.json", "arrays.safetensors"]
        words = json.loads(pack.read("result.json"), parse_constant=pytest.fail)
        assert words["schema"] == 2
        assert words["type"] == "Explanation"


def test_a_loaded_explanation_with_plain_options_can_be_recomputed(tmp_path: Path) -> None:
    case = examples.additive((3.0, 1.0))
    stored = load(explain.shapley(case, remove=Constant(0.5)).save(tmp_path / "e"))
    again = recompute(stored, examples.additive((6.0, 2.0)))
    assert_array_equal(again.values, explain.shapley(examples.additive((6.0, 2.0)), remove=Constant(0.5)).values)
    assert again.provenance.options["remove"] == Constant(0.5)


def test_a_loaded_explanation_that_lost_its_background_says_so(tmp_path: Path) -> None:
    case = examples.additive((3.0, 1.0))
    stored = load(explain.shapley(case, remove=Marginal(np.zeros((2, 2)))).save(tmp_path / "e"))
    with pytest.raises(InputError, match=r"remove held data that is not stored; call explain\.shapley again"):
        recompute(stored, case)


@pytest.mark.parametrize("noun", [Constant(2.5), Blur(4.0)])
def test_a_small_removal_survives_being_stored(noun: Any, tmp_path: Path) -> None:
    score = replace(specimens.score(), provenance=specimens.provenance(remove=noun))
    option = load(save(score, tmp_path / "s")).provenance.options["remove"]
    assert option.pop("kind") == type(noun).__name__
    assert type(noun)(**option) == noun


def test_a_repair_is_refused_because_models_are_not_stored(tmp_path: Path) -> None:
    repair = Repair(specimens.provenance(), (), examples.linear().model, "refitted", {}, {})
    with pytest.raises(InputError, match="models are not stored"):
        save(repair, tmp_path / "r")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"folder .*nowhere does not exist"):
        save(specimens.score(), tmp_path / "nowhere" / "s")


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = save(specimens.score(), tmp_path / "s")
    before = place.read_bytes()

    def full(*_: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="no space left"):
        save(specimens.score([1.0]), place)
    assert [p.name for p in tmp_path.iterdir()] == ["s"]
    assert place.read_bytes() == before


def test_a_result_file_has_the_permissions_any_new_file_has(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    assert os.stat(save(specimens.score(), tmp_path / "s")).st_mode == plain.stat().st_mode


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x05\x06" + b"\0" * 18])
def test_a_foreign_file_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(InputError, match="not a result saved by assay"):
        load(tmp_path / "f")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no file .*gone"):
        load(tmp_path / "gone")


def rewrite(source: Path, fields: dict[str, Any]) -> Path:
    with zipfile.ZipFile(source) as pack:
        document, arrays = json.loads(pack.read("result.json")), pack.read("arrays.safetensors")
    with zipfile.ZipFile(source, "w") as pack:
        pack.writestr("result.json", json.dumps(document | fields))
        pack.writestr("arrays.safetensors", arrays)
    return source


def test_another_schema_is_refused_by_number(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="schema 3; this version of assay reads 2"):
        load(rewrite(save(specimens.score(), tmp_path / "s"), {"schema": 3}))


@pytest.mark.parametrize("fields", [{"type": "Repair"}, {"fields": {}}, {"fields": []}, {"type": ["Score"]}])
def test_json_that_describes_no_result_is_refused(fields: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a result saved by assay"):
        load(rewrite(save(specimens.score(), tmp_path / "s"), fields))


@given(st.integers(0, 10**9), st.integers(1, 255))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_a_file_with_one_byte_changed_is_read_as_it_was_or_refused(place: int, change: int) -> None:
    whole = bytearray(STORED)
    whole[place % len(whole)] ^= change
    DAMAGED.write_bytes(bytes(whole))
    try:
        back = load(DAMAGED)
    except (InputError, Refused):  # a declared size may be what changed
        return
    assert_array_equal(back.values, specimens.score().values)
    assert back.provenance == specimens.score().provenance


@pytest.fixture(autouse=True, scope="module")
def _stored(tmp_path_factory: pytest.TempPathFactory) -> None:
    global STORED, DAMAGED
    folder = tmp_path_factory.mktemp("store")
    STORED, DAMAGED = save(specimens.score(), folder / "s").read_bytes(), folder / "damaged"


STORED: bytes
DAMAGED: Path


def test_findings_become_plain_json() -> None:
    finding = Finding(
        "SAN102",
        "fail",
        "a claim",
        "shapley",
        float("nan"),
        Interval(-np.inf, 0.5, 0.95, "bca"),
        evidence={"n": np.int64(3)},
    )
    plain = to_jsonable(
        [finding, Note("a", "b", ("r",)), specimens.provenance(remove=Constant(0.0), q=np.float32(0.5))]
    )
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain[0]["estimate"] is None
    assert plain[0]["interval"] == {"low": "-Infinity", "high": 0.5, "level": 0.95, "method": "bca"}
    assert plain[0]["evidence"] == {"n": 3}
    assert plain[1] == {"code": "a", "text": "b", "rows": ["r"]}
    assert plain[2]["seed"] == {"root": 3, "path": ["a", "b"]}
    assert plain[2]["options"] == {"remove": {"kind": "Constant", "value": 0.0}, "q": 0.5}


def test_arrays_sets_paths_and_pairs_of_names_become_plain_json() -> None:
    plain = to_jsonable(
        {("a", "b"): np.array([[1.0, np.nan]]), "s": {"y", "x"}, "p": Path("/tmp/x"), "t": np.bool_(True)}
    )
    assert plain == {"a/b": [[1.0, None]], "s": ["x", "y"], "p": "/tmp/x", "t": True}


def test_what_has_no_plain_form_is_described() -> None:
    plain = to_jsonable({"model": examples.linear().model, "rule": len, "seed": Seed(1)})
    assert plain["model"]["kind"] == "Model"
    assert plain["model"]["fingerprint"] == examples.linear().model.fingerprint
    assert plain["rule"]["repr"] == "len"
    assert plain["seed"] == {"root": 1, "path": []}


def comparisons() -> list[Any]:
    """Objects that compare methods: comparisons, agreements, meta-evaluations of scores, grids."""
    generator = np.random.default_rng(0)
    x, weights = generator.normal(size=(12, 4)), generator.normal(size=4)
    case = examples.analytic(lambda x: x @ weights, lambda x: np.tile(weights, (len(x), 1)), x, "linear")
    explanations = {
        name: getattr(explain, name)(case) for name in ("input_x_gradient", "saliency", "occlusion", "random")
    }
    scores = {
        name: {"deletion": evaluate.deletion(one, case), "sparseness": evaluate.sparseness(one, case)}
        for name, one in explanations.items()
    }
    return [
        assay.compare_methods(scores, share=0.1, unreliable=["sparseness"]),
        assay.compare_methods(scores, clusters=np.arange(12) // 2),
        assay.agreement(explanations, k=2),
        assay.meta_evaluation(
            "deletion", explanations["occlusion"], case, ball=assay.Ball("linf", 0.1), draws=2, randoms=3
        ),
        assay.settings_grid(
            explanations, case, "deletion", removals=[Constant(0.0), Constant(1.0)], signs=("as given", "absolute")
        ),
    ]


def summaries() -> list[Any]:
    """Global explanations, shifts and benchmark tables, with missing values, infinities and empty fields."""
    x = np.random.default_rng(0).normal(size=(6, 3))
    members = np.arange(6) % 2 == 0

    def linear(*weights: float) -> Any:
        w = np.array(weights)
        return explain.input_x_gradient(
            examples.analytic(lambda x: x @ w, lambda x: np.tile(w, (len(x), 1)), x, "linear", names=("a", "b", "ü"))
        )

    one, other = linear(2.0, -1.0, 0.0), linear(2.0, 1.0, 0.0)
    nothing = replace(one, values=one.values * np.array([0.0, 1, 1, 1, 1, 1])[:, None])
    model = BenchmarkModel(
        *("words", "hit", 0.25, "R² of the model", 0.9, float("nan"), float("inf"), 0.8, True),
        *({"edges": 0.5, "a/b": float("nan")}, "meaning", "hit <b>it</b>", 6, 3, ("one2020", "two2021")),
    )
    lines = (
        BenchmarkLine("words", "oracle", "oracle", 1.0, float("nan"), 1.0, 6, 0),
        BenchmarkLine("words", "saliency", "not applicable", None, None, None, 6, 0, "needs gradients"),
    )
    return [
        one.mean(),
        one.mean(np.arange(6) == 2),  # a single row: no interval
        replace(one, stderr=np.full((6, 3), 0.5)).gap(members),
        assay.explanation_shift(one, other, k=2),
        assay.explanation_shift(nothing, other, k=2, clusters=np.arange(6) // 2, level=0.9),
        BenchmarkTable((model,), lines, 7, True),
        BenchmarkTable((), (), 0, False),
    ]


def assert_deeply_same(one: Any, other: Any) -> None:
    """Equal in type and content all the way down, NaN to NaN."""
    assert type(one) is type(other)
    if is_dataclass(one) and not hasattr(one, "fingerprint"):
        for item in fields(one):
            assert_deeply_same(getattr(one, item.name), getattr(other, item.name))
    elif isinstance(one, Mapping):
        assert list(one) == list(other)
        for key in one:
            assert_deeply_same(one[key], other[key])
    elif isinstance(one, tuple):
        assert len(one) == len(other)
        for left, right in zip(one, other):
            assert_deeply_same(left, right)
    elif isinstance(one, float):
        assert_array_equal(one, other)
    else:
        assert_same(one, other)


@pytest.mark.parametrize("noun", comparisons(), ids=lambda noun: type(noun).__name__)
def test_what_compares_methods_comes_back_whole(noun: Any, tmp_path: Path) -> None:
    back = assay.load(noun.save(tmp_path / "one"))
    assert_deeply_same(back, noun)
    assert repr(back) == repr(noun)
    assert back.to_frame().equals(noun.to_frame())
    assert save(back, tmp_path / "two").read_bytes() == (tmp_path / "one").read_bytes()


@pytest.mark.parametrize("noun", summaries(), ids=lambda noun: type(noun).__name__)
def test_summaries_come_back_whole(noun: Any, tmp_path: Path) -> None:
    place = noun.save(tmp_path / "one")
    back = assay.load(place)
    assert_deeply_same(back, noun)
    assert repr(back) == repr(noun)
    assert save(back, tmp_path / "two").read_bytes() == place.read_bytes()


@pytest.mark.parametrize("noun", summaries()[2:6], ids=lambda noun: type(noun).__name__)
def test_of_a_later_version_or_broken_it_is_refused(noun: Any, tmp_path: Path) -> None:
    place = noun.save(tmp_path / "one")
    assert_frame_equal(assay.load(place).to_frame(), noun.to_frame())
    with pytest.raises(InputError, match="schema 3; this version of assay reads 2"):
        load(rewrite(place, {"schema": 3}))
    with pytest.raises(InputError, match="not a result saved by assay"):
        load(rewrite(place, {"schema": 2, "fields": {"values": {"kind": "array", "name": "values"}}}))
    place = noun.save(tmp_path / "one")
    place.write_bytes(place.read_bytes()[:-30])
    with pytest.raises(InputError, match="not a result saved by assay"):
        load(place)
