"""report, show, list, compare, gate, inspect, doctor, init, schema."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest
from tests.test_docs import generator

from assay.auditing import schema as schemas
from assay.auditing.check_catalogue import all_checks
from assay.auditing.config import load_config
from assay.auditing.run import Run
from assay.auditing.schema import ResultFile
from assay.cli.commands import doctor as doctoring
from assay.nouns.catalogue import FAMILIES

LEAK = "audit mine.py:build --data plain.csv --train plain.csv --target y --profile quick -q --select DAT,PRV"


@pytest.fixture
def audited(assay, project):
    assert assay(LEAK).code == 1
    return project / "audit"


def test_report_writes_every_format(assay, audited):
    texts = {name: assay(f"report audit --format {name}").out for name in ("html", "json", "md", "junit", "card")}
    ResultFile.model_validate_json(texts["json"], strict=True)
    ElementTree.fromstring(texts["junit"])
    assert texts["html"].strip() == (audited / "report.html").read_text(encoding="utf-8").strip()
    assert "DAT101" in texts["md"]
    assert texts["card"].strip()


def test_report_writes_a_file(assay, audited):
    done = assay("report audit/run.assay --format json --out there/again.json")
    assert done.code == 0
    assert Path("there/again.json").read_text() == (audited / "result.json").read_text() + "\n"


@pytest.mark.parametrize("command", ["report {}", "gate {}", "show DAT101 --run {}", "compare {} {}"])
def test_a_missing_run_is_a_usage_error_and_a_damaged_one_is_unreadable(assay, audited, command):
    shutil.copytree(audited, "torn")
    Path("torn/run.assay").write_bytes((audited / "run.assay").read_bytes()[:200])
    assert assay(command.format("nowhere", "nowhere")).code == 2
    torn = assay(command.format("torn", "torn"))
    assert torn.code == 4
    assert torn.err.startswith("error[E042]")


def test_a_run_of_another_schema_is_unreadable(assay, audited):
    with zipfile.ZipFile(audited / "run.assay") as pack:
        held = {name: pack.read(name) for name in pack.namelist()}
    held["result.json"] = held["result.json"].replace(b'"schema": 2', b'"schema": 99')
    with zipfile.ZipFile("other.assay", "w") as pack:
        for name, content in held.items():
            pack.writestr(name, content)
    done = assay("gate other.assay")
    assert done.code == 4
    assert "schema 99" in done.err


def test_the_gate_evaluates_a_finished_audit(assay, audited):
    assert assay("gate audit").code == 1
    assert assay("gate audit --ignore DAT").code == 0
    assert assay("gate audit --fail-on never --require SAN").code == 3
    assert assay("gate audit --ignore DAT,PRV").code == 5
    assert assay("gate audit --baseline audit").code == 0


def test_the_gate_as_json(assay, audited):
    result = json.loads(assay("gate audit --format json").out)
    assert result["exit"] == 1
    assert result["passed"] is False
    assert result["counts"]["fail"] == 1


def test_the_gate_takes_waivers_from_the_file_and_the_day_from_the_command(assay, audited):
    Path("assay.toml").write_text('[[accept]]\ncode = "DAT"\nowner = "ada"\nreason = "known"\nuntil = 2027-01-31\n')
    assert assay("gate audit --day 2027-01-31").code == 0
    late = assay("gate audit --day 2027-02-01")
    assert late.code == 1
    assert "the waiver of ada ended on 2027-01-31" in late.out


def test_taking_a_waiver_out_of_the_file_ends_it(assay, project):
    accept = '[[accept]]\ncode = "DAT"\nowner = "ada"\nreason = "known"\nuntil = 2999-01-31\n'
    Path("assay.toml").write_text(accept)
    assert assay(LEAK).code == 0
    Path("assay.toml").write_text("")
    assert assay("gate audit").code == 1
    Path("assay.toml").unlink()
    assert assay("gate audit").code == 0


def test_an_invalid_date_is_refused(assay, audited):
    assert assay("gate audit --day tomorrow").code == 2


def test_compare_finds_nothing_between_a_run_and_itself(assay, audited):
    assert assay("compare audit audit").code == 0
    comparison = json.loads(assay("compare audit audit --format json").out)
    assert {change["status"] for change in comparison["changes"]} == {"no change shown"}


def test_compare_exits_with_1_when_a_check_newly_fails(assay, audited):
    Path("clean.csv").write_text(
        "\n".join(",".join(line.split(",")[i] for i in (1, 2, 4)) for line in Path("train.csv").read_text().split())
    )
    clean = LEAK.replace("--train plain.csv", "--train clean.csv")
    assert assay(f"{clean} --out clean").code == 0
    assert assay("compare clean audit").code == 1


def test_show_explains_a_code_and_what_a_run_found(assay, audited):
    check, with_run = assay("show dat101"), assay("show DAT101 --run audit")
    assert "Do test rows also occur" in check.out
    assert "FAIL" not in check.out
    assert "FAIL" in with_run.out
    assert Run.load("audit")["DAT101"].advice in with_run.out
    found = json.loads(assay("show DAT101 --run audit --format json").out)
    assert [finding["verdict"] for finding in found["findings"]] == ["fail"]


def test_show_takes_the_beginning_of_a_code(assay):
    assert re.findall(r"^\w{3}\d{3}", assay("show PRV10").out, re.MULTILINE)[:3] == ["PRV101", "PRV102", "PRV103"]
    assert {code[:3] for code in re.findall(r"^\w{3}\d{3}", assay("show PRV").out, re.MULTILINE)} == {"PRV"}


def test_show_shows_a_saved_audit(assay, audited):
    assert assay("show audit/run.assay").out.startswith("Run(Audit of LogisticRegression")


def test_every_check_has_a_line_on_the_page_of_checks():
    page = generator().checks_page()
    assert all(f"| {check.code} | {check.question} |" in page for check in all_checks())
    assert {check.code[:3] for check in all_checks()} <= set(FAMILIES)


def test_the_methods_that_checks_name_exist(assay):
    for method in {check.method for check in all_checks() if check.method}:
        assert assay(f"show {method}").code == 0


@pytest.mark.parametrize("kind", ["methods", "checks", "profiles", "formats", "adapters", "diagnose"])
def test_list_gives_tables_and_json(assay, kind):
    rows = json.loads(assay(f"list {kind} --format json").out)
    table = assay(f"list {kind}").out
    assert rows
    assert str(next(iter(rows[-1].values()))).split()[0] in table


def test_inspect_describes_a_pickle_without_loading_it(assay, project):
    Path("m.pkl").write_bytes(b"cos\nsystem\n(S'touch harm'\ntR.")
    done = assay("inspect m.pkl")
    assert done.code == 0
    assert "can run code: yes" in done.out
    assert "os.system" in done.out or "posix.system" in done.out
    assert not Path("harm").exists()
    assert json.loads(assay("inspect m.pkl --format json").out)["can_run_code"] is True


def test_doctor_shows_versions(assay):
    report = json.loads(assay("doctor --format json").out)
    assert report["required"]["numpy"][0].isdigit()
    assert report["extras"]["torch"]["torch"]["state"] == "present"
    assert report["store"]["writable"] is True
    assert "numpy" in assay("doctor").out


def test_doctor_says_how_to_get_what_is_missing_and_what_is_broken(assay, monkeypatch):
    states = {"skops": {"state": "missing"}, "torchvision": {"state": "broken"}}
    monkeypatch.setattr(doctoring, "_state", lambda name, module: states.get(name, {"state": "present"}))
    monkeypatch.setattr(doctoring, "_version", lambda name: "1.0")
    report = assay("doctor").out
    assert "! skops: pip install 'assay[files]'" in report
    assert "torchvision is installed and cannot be imported" in report


def test_doctor_exits_with_3_when_the_store_cannot_be_written(assay, project):
    done = assay("doctor --store mine.py/store")
    assert done.code == 3
    assert "give another folder with --store" in done.out


def test_init_writes_a_file_that_is_valid_and_suggests_in_comments_only(assay, project):
    assert assay("init test.csv --target y --train train.csv --model mine.py:build").code == 0
    text = Path("assay.toml").read_text(encoding="utf-8")
    found = load_config(None)
    assert (found.data.test, found.data.target, found.data.train) == ("test.csv", "y", "train.csv")
    assert found.data.sensitive == ()
    assert '# sensitive = ["sex"]' in text
    assert '# ids = "id"' in text
    assert "2 classes: 0, 1" in text


def test_init_does_not_overwrite(assay, project):
    Path("assay.toml").write_text("# mine\n")
    done = assay("init test.csv --target y")
    assert done.code == 2
    assert Path("assay.toml").read_text() == "# mine\n"


def test_hostile_names_stay_text_in_what_init_writes(assay, project):
    names = ['sex"]\nfile = "evil', "age\x7f", "plain"]
    quoted = ",".join('"' + name.replace('"', '""') + '"' for name in names)
    Path("bad.csv").write_text(quoted + "\n" + "\n".join(f"{i},{i % 2},{i}" for i in range(30)) + "\n")
    assert assay(["init", "bad.csv", "--target", names[0]]).code == 0
    found = load_config(None)
    assert found.data.target == names[0]
    assert found.model.file == "model.skops"


def test_schema_prints_what_is_published(assay):
    folder = Path(schemas.__file__).parent / "schemas"
    for name in ("config", "result"):
        assert assay(f"schema {name}").out == (folder / f"{name}.json").read_text(encoding="utf-8")
