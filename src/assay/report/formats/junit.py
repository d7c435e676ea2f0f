# SPDX-License-Identifier: Apache-2.0
"""An audit as JUnit XML for continuous integration."""

from __future__ import annotations

import re
from collections import Counter
from xml.etree import ElementTree

from assay.nouns.records.record import Record
from assay.nouns.results.finding import Finding
from assay.report.drawing.formatting import VERDICTS, describe_rows_needed, finding_numbers, has_numbers
from assay.report.findings.waivers import waiver_state

_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

PASSING = ("pass", "informative")
PLURALS = {"failure": "failures", "error": "errors", "skipped": "skipped"}


def junit(record: Record) -> str:
    """One test case for each finding; waived, undecided and not applicable findings are skipped."""
    cases = ElementTree.Element("testsuite", name=_valid(record.title or "audit"))
    when = re.match(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d)", record.times.get("when", ""), re.ASCII)
    if when:
        cases.set("timestamp", f"{when[1]}T{when[2]}:00")
    totals: Counter[str] = Counter(tests=len(record.findings), failures=0, errors=0, skipped=0)
    seen: Counter[str] = Counter()
    for finding in record.findings:
        name = f"{finding.code} {finding.subject}"
        seen[name] += 1
        suffix = f" ({seen[name]})" if seen[name] > 1 else ""
        case = ElementTree.SubElement(
            cases, "testcase", classname=_valid(f"assay.{finding.code[:3]}"), name=_valid(name + suffix), time="0"
        )
        kind, why = _outcome(record, finding)
        if kind:
            totals[PLURALS[kind]] += 1
            child = ElementTree.SubElement(case, kind, message=_valid(why))
            if kind != "skipped":
                child.set("type", _valid(finding.code))
            child.text = _valid(_details(finding))
    for name, count in totals.items():
        cases.set(name, str(count))
    suites = ElementTree.Element("testsuites", {name: str(count) for name, count in totals.items()})
    suites.append(cases)
    ElementTree.indent(suites)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(suites, encoding="unicode") + "\n"


def _outcome(record: Record, finding: Finding) -> tuple[str, str]:
    """The child element of a test case and its message; two empty texts where the check passed."""
    waiver = waiver_state(record, finding)
    if waiver is not None and waiver.state == "waived":
        return "skipped", f"{waiver.text} – {finding.claim}"
    if finding.verdict in PASSING:
        return "", ""
    if finding.verdict in ("fail", "error"):
        kind = "failure" if finding.verdict == "fail" else "error"
        return kind, finding.claim + (f" – {waiver.text}" if waiver else "")
    needed = describe_rows_needed(finding)
    more = f" – {needed}" if needed else ""
    return "skipped", f"{VERDICTS[finding.verdict].one}: {finding.claim}{more}"


def _details(finding: Finding) -> str:
    numbers = " ".join(filter(None, finding_numbers(finding))) if has_numbers(finding) else ""
    return "\n".join(filter(None, (finding.claim, numbers, finding.meaning, finding.advice)))


def _valid(text: str) -> str:
    """The text with U+FFFD for characters that XML does not allow."""
    return _FORBIDDEN.sub("\ufffd", text)
